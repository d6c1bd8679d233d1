"""A call loads what it needs and no more: no operations and no rich for the help, no stores and no workers for a small file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("cicsc.operations", "cicsc.history", "cicsc.expression", "rich", "msgspec", "pyarrow", "duckdb")

OF_OTHERS = (
    "apsw", "multiprocessing", "psycopg", "pyarrow", "pyspark", "rich", "zstandard",
    "cicsc.cli.migration_dry_run", "cicsc.cli.tenant_execute", "cicsc.engine.reading", "cicsc.engine.shares", "cicsc.engine.spark",
    "cicsc.operations.dry_run", "cicsc.operations.import_history", "cicsc.operations.live",
    "cicsc.operations.store_admin", "cicsc.runtime", "cicsc.store.protocol",
)  # fmt: skip
EXAMPLE = Path(__file__).parents[2] / "examples" / "purchase_orders"


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from cicsc.cli.main import main; code = main(['--help']); "
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert done.stderr == b"0 []\n"


def test_preflight_of_a_small_file_loads_nothing_of_other_commands() -> None:
    call = [
        "migration-preflight", "--from", str(EXAMPLE / "bundle.v1.json"), "--to", str(EXAMPLE / "bundle.v2.json"),
        "--migration", "v1_to_v2", "--events", str(EXAMPLE / "events.jsonl"),
    ]  # fmt: skip
    script = (
        f"import sys; from cicsc.cli.main import main; code = main({call!r}); "
        f"print(code, [name for name in {OF_OTHERS!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert done.stderr == b"0 []\n"
