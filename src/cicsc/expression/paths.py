"""JSON paths and quoted names: how a message names a place inside a document.

A path starts at ``$``; a step is ``.name`` for a plain name, ``["any text"]`` otherwise, ``[3]`` for an index.
"""

from __future__ import annotations

import json
import re
from typing import Final

SHOWN_CHARACTERS_MAX: Final = 120
"""Characters of a name that a path or a message shows, so that a huge name is not repeated in each of them."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def json_path(parent: str, step: str | int) -> str:
    """Extend `parent` by one step; text that is not a plain name is quoted as JSON, a very long one is shortened."""
    if isinstance(step, int):
        return f"{parent}[{step}]"
    step = shortened(step)
    if _PLAIN_NAME.match(step):
        return f"{parent}.{step}"
    return f"{parent}[{json.dumps(step)}]"


def shortened(name: str) -> str:
    """Cut a name to what a path or a message shows of it."""
    return name if len(name) <= SHOWN_CHARACTERS_MAX else f"{name[:SHOWN_CHARACTERS_MAX]}..."


def quoted(name: str) -> str:
    """Quote a name for a message."""
    return repr(shortened(name))
