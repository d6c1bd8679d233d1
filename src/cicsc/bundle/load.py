"""Loading a bundle from wherever it stands: a file, its bytes, a decoded mapping.

Opening, size and decoding are settled here, everything about the content in `check_bundle`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.model import Bundle
from cicsc.decoding import decode_json
from cicsc.errors import BundleError, InputError, UsageError, system_reason

BUNDLE_BYTES_MAX: Final = 8 * 2**20
"""Bytes of a bundle's JSON text. Bundles are written by people; the largest seen are some hundred kilobytes."""

_WRITE_HINT: Final = "bundle-schema prints the JSON Schema of a bundle, for an editor"
_HISTORY_HINT: Final = "is this a history, perhaps?"
_HISTORY_KEYS: Final = (b'"entity_id"', b'"event_type"')
"""What each event has, and a bundle does not have before anything else."""

_SEEN_BYTES: Final = 1024
"""Bytes at the beginning of a text that are looked at to tell a history."""


def load_bundle(source: str | Path | bytes | Mapping[str, object] | Bundle) -> Bundle:
    """Return the bundle that `source` holds.

    A string or a path names a file of JSON text, bytes are such text, a mapping is the decoded
    document; a bundle is returned as it is. Raises UsageError for any other source, InputError where there
    is no JSON to be had, and BundleError, which lists every problem, where the document is no valid bundle.
    """
    if isinstance(source, Bundle):
        return source
    origin, data = _named_bytes(source)
    bundle, problems = parse_bundle(_decoded(data, origin))
    if bundle is None:
        first = problems[0]
        more = f" (the first of {problems.total} problems)" if problems.total > 1 else ""
        message = f"{origin} is not a valid bundle: {first.path}: {first.message}{more}"
        raise BundleError(message, problems, total=problems.total, hint="bundle-validate lists every problem")
    return bundle


def _decoded(data: bytes, origin: str) -> object:
    """Decode JSON text; what is no JSON gets a hint, which is another one where it is a history."""
    try:
        return decode_json(data, origin)
    except InputError as error:
        is_history = all(key in data[:_SEEN_BYTES] for key in _HISTORY_KEYS)
        hint = _HISTORY_HINT if is_history else error.hint or _WRITE_HINT
        raise InputError(error.code, error.message, hint=hint) from None


def _named_bytes(source: str | Path | bytes | Mapping[str, object]) -> tuple[str, bytes]:
    """Return what messages call the source, and its JSON text, which is neither empty nor too long."""
    if isinstance(source, bytes):
        origin, data = "the given text", source
    elif isinstance(source, Mapping):
        origin, data = "the given mapping", _encoded(source)
    elif not isinstance(source, str | os.PathLike):
        raise UsageError(
            "SOURCE_UNKNOWN",
            f"cannot read a bundle from {type(source).__name__}: expected a path, JSON text as bytes, or a mapping",
        )
    elif str(source).lstrip().startswith("{") and str(source).rstrip().endswith("}"):
        raise UsageError(
            "SOURCE_UNKNOWN",
            "cannot read a bundle from a string of JSON text: expected the path of a file",
            hint="give the text as bytes, or decoded, as a mapping",
        )
    else:
        origin, data = f"bundle {str(source)!r}", _file_bytes(Path(source))
    if len(data) > BUNDLE_BYTES_MAX:
        raise InputError("BUNDLE_TOO_LARGE", f"{origin} is larger than {BUNDLE_BYTES_MAX} bytes", hint=_HISTORY_HINT)
    if not data.strip():
        raise InputError("BUNDLE_EMPTY", f"{origin} is empty, expected a JSON object", hint=_WRITE_HINT)
    return origin, data


def _file_bytes(path: Path) -> bytes:
    """Read a file, no further than it takes to see that it is too large."""
    try:
        with path.open("rb") as file:
            return file.read(BUNDLE_BYTES_MAX + 1)
    except FileNotFoundError:
        hint = "standard input is for --events only" if str(path) == "-" else "check the path, and the current folder"
        raise InputError("BUNDLE_NOT_FOUND", f"bundle {str(path)!r} does not exist", hint=hint) from None
    except IsADirectoryError:
        message = f"bundle {str(path)!r} is a folder, expected a JSON file"
        raise InputError("BUNDLE_IS_A_FOLDER", message, hint="name a file inside it") from None
    except (OSError, ValueError) as error:
        raise InputError(
            "BUNDLE_UNREADABLE",
            f"cannot read bundle {str(path)!r}: {system_reason(error)}",
            hint="check the path, and who may read it",
        ) from error


def _encoded(document: Mapping[str, object]) -> bytes:
    """Encode a mapping as JSON text, so that it is checked, and owned, like any other bundle."""
    try:
        return json.dumps(dict(document), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            "BUNDLE_NOT_JSON", f"the given mapping is not a JSON value: {error}", hint=_WRITE_HINT
        ) from error
