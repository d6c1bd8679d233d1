"""Every field of every report is documented, with a command or with the parts that reports have in common."""

from __future__ import annotations

import re

import msgspec
import pytest

from cicsc.report import models, store_models
from cicsc.report.live import models as live
from docs.documents import CHECKOUT, sections

COMMANDS = (CHECKOUT / "docs" / "commands.md").read_text("utf-8")
COMMON = sections((CHECKOUT / "docs" / "formats.md").read_text("utf-8"))["Reports"]
PROSE = re.sub(r"^```.*?^```$", "", COMMANDS + COMMON, flags=re.MULTILINE | re.DOTALL)
NAMES = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`]+`", PROSE))))


@pytest.mark.parametrize("module", [models, store_models, live], ids=lambda module: module.__name__)
def test_fields_of_reports_are_documented(module: object) -> None:
    reports = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, models.Report)]
    _, parts = msgspec.json.schema_components(reports, schema_hook=lambda _: {"description": "anything"})
    fields = {name for part in parts.values() for name in part["properties"]}

    assert len(fields) > 20
    assert fields - NAMES == set()
