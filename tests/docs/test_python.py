"""The Python that the guide shows runs, and tells what is wrong whatever that is."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from cicsc.history.model import event_fields
from docs.documents import CHECKOUT
from unit.migration.documents import HISTORY, SOURCE, target_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = _BLOCK.findall((CHECKOUT / "docs" / "guide.md").read_text())
MIGRATION = {"v1_to_v2": target_document()["core_ir"]["migrations"]["m"]}
NEVER = {"kind": "snapshot", "on_type": "Account", "expr": {"lit": {"bool": False}}}


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write what the guide names, and return a function that writes the target."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle.v1.json").write_text(json.dumps(SOURCE))
    (tmp_path / "events.jsonl").write_text("\n".join(json.dumps(event_fields(event)) for event in HISTORY))

    def write(**changes: object) -> None:
        document = target_document()
        document["core_ir"] |= {"migrations": MIGRATION} | changes
        (tmp_path / "bundle.v2.json").write_text(json.dumps(document))

    return write


def test_some_python_is_shown() -> None:
    assert len(SHOWN) == 1


def test_what_is_shown_passes_where_all_is_well(target: Callable[..., None]) -> None:
    target()
    for code in SHOWN:
        exec(code, {})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"migrations": {}}, "is not in the target bundle"),
        ({"constraints": {"c": 1}}, "$.core_ir.constraints.c"),
        ({"constraints": {"c": NEVER}}, "constraint 'c' does not hold"),
        ({"polices": {}}, "did you mean 'policies'?"),
    ],
)
def test_what_is_shown_says_what_is_wrong(target: Callable[..., None], changes: dict[str, object], told: str) -> None:
    target(**changes)
    for code in SHOWN:
        with pytest.raises(AssertionError) as caught:
            exec(code, {})
        assert told in str(caught.value)
