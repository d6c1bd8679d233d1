"""The command line with a small memory budget, so that a small history goes through temporary files.

Run as a program: the first argument is the budget in bytes, and in rows of a query; the rest is a call.
"""

from __future__ import annotations

import sys

from cicsc.cli.main import main
from cicsc.engine.rows import RowStore
from cicsc.history.sorted import open_history

if __name__ == "__main__":
    budget = int(sys.argv[1])
    assert open_history.__kwdefaults__["memory_bytes_max"]
    open_history.__kwdefaults__["memory_bytes_max"] = budget
    RowStore.__init__.__defaults__ = (max(2, budget // 10_000), None)
    sys.exit(main(sys.argv[2:]))
