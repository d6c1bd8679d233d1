"""The next command reads the same history by the same means."""

from __future__ import annotations

import pytest
from rich.console import Console

import cicsc
from cicsc.report.invocation import Invocation
from cicsc.report.text import preflight_summary
from unit.migration.documents import HISTORY, SOURCE, event, target_document

ON_SPARK = Invocation(
    "migration-preflight",
    (("--events", "export/*.jsonl"), ("--engine", "spark"), ("--spark-master", "local[2]"), ("--workers", "2")),
)


@pytest.mark.parametrize(
    ("events", "command"),
    [
        (
            HISTORY,
            "cicsc migration-dry-run --events 'export/*.jsonl' --engine spark --spark-master 'local[2]' --artifact",
        ),
        (
            [event(2, "opened")],
            "cicsc history-verify --events 'export/*.jsonl' --engine spark --spark-master 'local[2]'",
        ),
    ],
    ids=["safe", "not-intact"],
)
def test_the_engine_is_kept(events: list[object], command: str) -> None:
    console = Console(width=200)
    with console.capture() as said:
        console.print(preflight_summary(cicsc.preflight(SOURCE, target_document(), events, "m"), ON_SPARK))

    assert command in said.get()
