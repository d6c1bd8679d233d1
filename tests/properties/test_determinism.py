"""The same inputs give the same bytes, whatever their order, the surroundings or the way they were sorted."""

from __future__ import annotations

import copy
import gzip
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cicsc.engine.inprocess import migrate_history
from cicsc.history.model import event_fields
from cicsc.history.sorted import open_history
from cicsc.migration.plan import compile_plan
from cicsc.migration.verdict import Verdict
from oracle.digest import history_digest
from oracle.values import canonical
from properties.applications import MIGRATION_ID
from properties.strategies import Seeded, seeds
from properties.test_migration_oracle import Case, Kept, draw_case
from sizes import size

EXAMPLES = size(40, ci=80, full=300)
OUTPUTS = ("artifact.json", "migrated.jsonl", "positions.jsonl")

SURROUNDINGS = (
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "4294967295", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "0"},
    {"PYTHONHASHSEED": "random", "TZ": "", "LC_ALL": "de_DE.ISO-8859-1"},
)


def write_history(path: Path, events: Sequence[dict[str, Any]]) -> Path:
    """Write a history; the format follows the ending, and keys stand in the order of the events' own."""
    lines = [json.dumps(event, ensure_ascii=path.suffix == ".gz") for event in events]
    text = "[" + ",\n".join(lines) + "]" if path.suffix == ".json" else "".join(line + "\n" for line in lines)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def dry_run(folder: Path, history: Path, surroundings: dict[str, str]) -> dict[str, bytes | None]:
    """Run the command in a process of its own; return the bytes of what it wrote, None for what it did not."""
    folder.mkdir()
    flags = {"--artifact": OUTPUTS[0], "--out-events": OUTPUTS[1], "--out-positions": OUTPUTS[2]}
    command = [sys.executable, "-m", "cicsc", "migration-dry-run", "--events", str(history)]
    command += ["--from", str(history.parent / "from.json"), "--to", str(history.parent / "to.json")]
    command += [
        "--migration",
        MIGRATION_ID,
        *(str(part) for flag, name in flags.items() for part in (flag, folder / name)),
    ]
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("LC_")}, **surroundings}
    done = subprocess.run(command, capture_output=True, env=environment, cwd=folder, check=False)
    assert done.returncode in {0, 1}, done.stderr.decode(errors="replace")
    assert json.loads(done.stdout)["ok"] is (done.returncode == 0)
    return {name: (folder / name).read_bytes() if (folder / name).exists() else None for name in OUTPUTS}


def found_case(wanted_ok: bool) -> Case:
    """The first generated case of some size whose dry run ends as wanted."""
    for seed in itertools.count():
        case = draw_case(Seeded(seed))
        if len(case.events) >= 20:
            verdict, _, _, _ = migrated(case, case.events)
            faults = (verdict.source.violations, verdict.target.violations, verdict.divergence.streams)
            if bool(any(faults)) is not wanted_ok and not (wanted_ok and case.broken):
                return case
    raise AssertionError


@pytest.mark.parametrize("ok", [True, False])
def test_a_dry_run_writes_the_same_bytes_in_all_surroundings(tmp_path: Path, ok: bool) -> None:
    case = found_case(ok)
    (tmp_path / "from.json").write_text(json.dumps(case.source))
    (tmp_path / "to.json").write_text(json.dumps(case.target))
    backwards = [dict(reversed(event.items())) for event in reversed(case.events)]
    by_name = sorted(case.events, key=lambda event: (event["event_type"], -event["seq"]))
    histories = (
        write_history(tmp_path / "events.jsonl", case.events),
        write_history(tmp_path / "backwards.json", backwards),
        write_history(tmp_path / "by-name.jsonl.gz", by_name),
        write_history(tmp_path / "events again.jsonl", case.events),
    )
    runs = [
        dry_run(tmp_path / f"run {number}", history, surroundings)
        for number, (history, surroundings) in enumerate(zip(histories, SURROUNDINGS, strict=True))
    ]
    runs.append(dry_run(tmp_path / "repeated", histories[0], SURROUNDINGS[0]))
    assert runs[0][OUTPUTS[0]] is not None
    assert (runs[0][OUTPUTS[1]] is not None) is ok
    for name in OUTPUTS:
        assert len({run[name] for run in runs}) == 1, name


def migrated(
    case: Case, events: Sequence[dict[str, Any]], **options: Any
) -> tuple[Verdict, Any, list[dict[str, Any]], list[Any]]:
    """Migrate some events of a case; the verdict, the digests, the migrated events and the positions."""
    source, target = case.parsed()
    plan = compile_plan(source, target, target.migrations[MIGRATION_ID], now=5, actor="me")
    plan = replace(plan, digests=True, migrated=True, positions=True)
    written, positions = Kept(), Kept()
    with open_history(events, **options) as history:
        verdict, digests = migrate_history(plan, history, written, positions)
    return verdict, digests, [event_fields(event) for event in written.rows], positions.rows


@settings(max_examples=EXAMPLES)
@given(seed=seeds(), order=st.randoms(use_true_random=False))
def test_neither_order_nor_spilled_sorting_changes_anything(seed: int, order: Any) -> None:
    case = draw_case(Seeded(seed))
    shuffled = list(case.events)
    order.shuffle(shuffled)
    plain = migrated(case, case.events)
    assert migrated(case, shuffled) == plain
    assert migrated(case, shuffled, memory_bytes_max=600) == plain
    assert plain[1].given == history_digest(shuffled)


@settings(max_examples=EXAMPLES)
@given(seed=seeds())
def test_the_quick_way_through_a_stream_is_the_plain_one(seed: int) -> None:
    case = draw_case(Seeded(seed))
    quick = migrated(case, case.events)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cicsc.migration.stream._StreamRun.pass_quickly", lambda *_: False)
        assert migrated(case, case.events) == quick
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cicsc.canonical._are_plain", lambda _: False)
        assert migrated(case, case.events) == quick


def respelled(value: Any) -> Any:
    """The same value with every integral number written the other way: 2 as 2.0, 2.0 as 2."""
    if isinstance(value, list):
        return [respelled(item) for item in value]
    if isinstance(value, dict):
        return {key: respelled(item) for key, item in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1023 and int(float(value)) == value:
        return float(value)
    return value


@settings(max_examples=EXAMPLES)
@given(seed=seeds())
def test_how_a_number_is_written_changes_nothing(seed: int) -> None:
    case = draw_case(Seeded(seed))
    again = [{**event, "payload": respelled(event["payload"])} for event in case.events]
    plain = migrated(case, case.events)
    assert history_digest(again) == history_digest(case.events)
    assert migrated(case, again) == plain
    assert [canonical(event) for event in migrated(case, again)[2]] == [canonical(event) for event in plain[2]]


@settings(max_examples=EXAMPLES)
@given(seed=seeds())
def test_verdicts_on_tenants_merge_in_any_order_to_the_verdict_on_all(seed: int) -> None:
    case = draw_case(Seeded(seed))
    whole = migrated(case, case.events)[0]
    parts = [
        migrated(case, [event for event in case.events if event["tenant_id"] == tenant])[0]
        for tenant in sorted({event["tenant_id"] for event in case.events})
    ]
    for ordered in itertools.permutations(parts):
        assert merged(ordered) == whole
    for middle in range(1, len(parts)):
        assert merged([merged(parts[:middle]), merged(parts[middle:])]) == whole


def merged(parts: Sequence[Verdict]) -> Verdict:
    """Merge verdicts from the left, leaving the given ones as they are."""
    result = Verdict()
    for part in parts:
        result.merge(copy.deepcopy(part))
    return result
