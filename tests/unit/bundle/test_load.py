"""Loading: where a bundle may come from, and what is refused before its content is read."""

from __future__ import annotations

import json
import os
import pickle
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from cicsc.bundle.load import BUNDLE_BYTES_MAX, load_bundle
from cicsc.errors import BundleError, InputError, UsageError
from unit.bundle.documents import bundle, changed

if TYPE_CHECKING:
    from pathlib import Path


def encoded() -> bytes:
    return json.dumps(bundle()).encode()


def refusal(source: object) -> InputError:
    with pytest.raises(InputError) as caught:
        load_bundle(source)  # type: ignore[arg-type]
    return caught.value


def test_load_bundle_reads_a_path_and_its_name(tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(encoded())
    assert load_bundle(path) == load_bundle(str(path))


def test_load_bundle_reads_text_and_mappings_alike() -> None:
    assert load_bundle(encoded()) == load_bundle(bundle()) == load_bundle(MappingProxyType(bundle()))


def test_load_bundle_accepts_a_byte_order_mark() -> None:
    assert load_bundle(b"\xef\xbb\xbf" + encoded()).digest == load_bundle(encoded()).digest


def test_load_bundle_returns_a_bundle_as_it_is() -> None:
    loaded = load_bundle(bundle())
    assert load_bundle(loaded) is loaded


def test_load_bundle_owns_its_document() -> None:
    document = bundle()
    loaded = load_bundle(document)
    document["core_ir"]["types"].clear()
    assert loaded.document == bundle()


def test_load_bundle_digest_ignores_order_and_spacing() -> None:
    spaced = json.dumps(bundle(), indent=3, sort_keys=True).encode()
    assert load_bundle(spaced).digest == load_bundle(encoded()).digest


def test_bundle_survives_pickling() -> None:
    loaded = load_bundle(bundle())
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def test_load_bundle_reports_a_missing_file(tmp_path: Path) -> None:
    error = refusal(tmp_path / "none.json")
    assert (error.code, error.message) == ("BUNDLE_NOT_FOUND", f"bundle '{tmp_path}/none.json' does not exist")


def test_load_bundle_reports_a_folder(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert error.code == "BUNDLE_IS_A_FOLDER"
    assert error.message == f"bundle '{tmp_path}' is a folder, expected a JSON file"


@pytest.mark.parametrize("content", [b"", b" \n\t "])
def test_load_bundle_reports_an_empty_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.json"
    path.write_bytes(content)
    error = refusal(path)
    assert (error.code, error.message) == ("BUNDLE_EMPTY", f"bundle '{path}' is empty, expected a JSON object")


def test_load_bundle_reports_a_path_that_cannot_be_opened() -> None:
    error = refusal("nul\0byte")
    assert error.code == "BUNDLE_UNREADABLE"
    assert error.message.startswith("cannot read bundle 'nul\\x00byte': ")


def test_load_bundle_reports_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    path = tmp_path / "file" / "bundle.json"
    error = refusal(path)
    assert (error.code, error.message) == ("BUNDLE_UNREADABLE", f"cannot read bundle '{path}': not a directory")


def test_load_bundle_reports_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_bytes(b"{}")
    os.truncate(path, BUNDLE_BYTES_MAX + 1)
    error = refusal(path)
    assert (error.code, error.message) == ("BUNDLE_TOO_LARGE", f"bundle '{path}' is larger than 8388608 bytes")


def test_load_bundle_accepts_a_file_of_the_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_bytes(encoded().ljust(BUNDLE_BYTES_MAX))
    assert load_bundle(path).digest == load_bundle(bundle()).digest


@pytest.mark.parametrize("text", [b"{", b"{} {}", b'{"a": NaN}', b'{"a": 1, "a": 2}', b'"\xff"', b"[" * 100_000])
def test_load_bundle_reports_text_that_is_no_json(text: bytes) -> None:
    assert "the given text" in refusal(text).message


@pytest.mark.parametrize(
    "document",
    [{"a": {1, 2}}, {"a": float("nan")}, {"a": "\ud800"}, {(1, 2): 3}, {"a": b""}],
    ids=["set", "nan", "surrogate", "tuple key", "bytes"],
)
def test_load_bundle_reports_a_mapping_that_is_no_json(document: object) -> None:
    error = refusal(document)
    assert error.code == "BUNDLE_NOT_JSON"
    assert error.message.startswith("the given mapping is not a JSON value: ")


def test_load_bundle_reports_a_mapping_inside_itself() -> None:
    document: dict[str, object] = {}
    document["a"] = document
    assert refusal(document).code == "BUNDLE_NOT_JSON"


def test_load_bundle_reports_a_mapping_too_deep_to_encode() -> None:
    document: dict[str, object] = {}
    for _ in range(100_000):
        document = {"a": document}
    assert refusal(document).code == "BUNDLE_NOT_JSON"


def test_load_bundle_raises_the_only_problem() -> None:
    with pytest.raises(BundleError) as caught:
        load_bundle(b"3")
    assert caught.value.message == (
        "the given text is not a valid bundle: $: expected a bundle, an object, found the number 3"
    )
    assert caught.value.exit_code == 1


def test_load_bundle_raises_every_problem() -> None:
    document = changed(("core_ir", "ui"), None)
    document["core_ir"]["slas"] = None
    with pytest.raises(BundleError) as caught:
        load_bundle(document)
    assert [problem.path for problem in caught.value.problems] == ["$.core_ir.slas", "$.core_ir.ui"]
    assert caught.value.message == (
        "the given mapping is not a valid bundle: $.core_ir.slas: expected an object, found null"
        " (the first of 2 problems)"
    )


def test_load_bundle_tells_what_is_no_source_of_a_bundle() -> None:
    with pytest.raises(UsageError, match="cannot read a bundle from int: expected a path"):
        load_bundle(5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="from a string of JSON text: expected the path of a file"):
        load_bundle(' {"core_ir": {}}\n')


def test_load_bundle_hints_at_a_history() -> None:
    event = b'{"tenant_id": "t", "entity_type": "T", "entity_id": "1", "seq": 1, "event_type": "e"}'
    found = refusal(event + b"\n" + event)
    assert (found.code, found.hint) == ("JSON_INVALID", "is this a history, perhaps?")


def test_load_bundle_hints_at_the_schema_where_there_is_no_json() -> None:
    found = refusal(b"bundle_version: 1\n")
    assert "expected a JSON value, found 'bundle_version'" in found.message
    assert found.hint == "bundle-schema prints the JSON Schema of a bundle, for an editor"


def test_load_bundle_keeps_a_hint_about_the_text() -> None:
    assert "iconv" in str(refusal(encoded().decode().encode("utf-16")).hint)
