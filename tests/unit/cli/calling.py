"""What a call of the command line in this process comes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    code: int
    out: bytes
    err: str

    @property
    def report(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, Any]:
        assert self.report["ok"] is False
        assert set(self.report["error"]) == {"code", "message", "hint"}
        return dict(self.report["error"])

    @property
    def error_code(self) -> str:
        return str(self.report["error"]["code"])


Call = Callable[..., Said]
