"""All five real logs as one history: 42 tenants, 1.44 million events, one application, on every engine.

The application has the types, constraints and migrations of the five, which never touch each other.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from real.calling import call

pytestmark = pytest.mark.slow

REAL = Path(__file__).parent
LOGS = {
    "bpic2012_loan_applications": "loans_v1_to_v2",
    "bpic2019_purchase_items": "v1_to_v2",
    "bpic2020_travel_expenses": "v1_to_v2",
    "road_traffic_fines": "fines_v1_to_v2",
    "sepsis": "v1_to_v2",
}
ENGINES = (
    ["--workers", "1"],
    ["--workers", "2"],
    ["--engine", "spark", "--spark-master", "local[2]"],
)


def bundles(checkout: Path, log: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two versions of one application."""
    folder, names = REAL / log, ("from.json", "to.json")
    if log == "bpic2019_purchase_items":
        folder, names = checkout / "examples" / "purchase_orders", ("bundle.v1.json", "bundle.v2.json")
    source, target = (json.loads((folder / name).read_text("utf-8")) for name in names)
    return source, target


def by_type(migration: dict[str, Any]) -> dict[str, Any]:
    """Return what a migration does to each type."""
    if "types" in migration:
        return dict(migration["types"])
    parts = {name: migration[name] for name in ("event_transforms", "state_map", "attrs_map") if name in migration}
    return {migration["on_type"]: parts}


def joined(checkout: Path, folder: Path) -> list[object]:
    """Write the application that all logs belong to, and return the flags of its migration."""
    sides: list[dict[str, Any]] = [{"version": 0, "types": {}, "constraints": {}} for _ in range(2)]
    types: dict[str, Any] = {}
    for log, migration_id in LOGS.items():
        found = bundles(checkout, log)
        types |= by_type(found[1]["core_ir"]["migrations"][migration_id])
        for side, document in zip(sides, found, strict=True):
            assert side["types"].keys().isdisjoint(document["core_ir"]["types"])
            side["types"] |= document["core_ir"]["types"]
            side["constraints"] |= {f"{log}_{name}": one for name, one in document["core_ir"]["constraints"].items()}
    sides[1]["migrations"] = {"all": {"from_version": 1, "to_version": 2, "types": types}}
    for version, side in enumerate(sides, 1):
        document = {"bundle_version": version, "core_ir": side}
        (folder / f"v{version}.json").write_text(json.dumps(document), "utf-8")
    return ["--from", folder / "v1.json", "--to", folder / "v2.json", "--migration", "all"]


@pytest.fixture(scope="module")
def history(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All logs, one after the other, as one file."""
    path = tmp_path_factory.mktemp("every_log") / "events.jsonl"
    with path.open("wb") as whole:
        for log in LOGS:
            with gzip.open(real_logs / f"{log}.jsonl.gz") as one:
                shutil.copyfileobj(one, whole)
    return path


def test_every_engine_gives_the_same(checkout: Path, history: Path, tmp_path: Path) -> None:
    flags = joined(checkout, tmp_path)
    artifacts = []
    for engine in ENGINES:
        written = tmp_path / "artifact.json"
        call("migration-dry-run", *flags, "--events", history, "--artifact", written, *engine)
        artifacts.append(written.read_bytes())
    first = json.loads(artifacts[0])
    assert (first["source_events"], len(first["heads"])) == (1_438_157, 42)
    assert first["ok"] is True
    assert artifacts[1:] == artifacts[:1] * (len(ENGINES) - 1)
