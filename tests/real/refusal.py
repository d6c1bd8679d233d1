"""What a refused migration of a real log must say, in the shape of `expected.json` beside its bundles."""

from __future__ import annotations

import re
from typing import Any

from real.calling import Called

FIRST_VIOLATIONS = 3


def refusal_of(called: Called) -> dict[str, Any]:
    """The verdict of a preflight: failed checks, holes, violations of the target, divergences and the smallest example."""
    checks, verify = called["checks"], called["verify"]
    target, equivalence = verify["target_verify"], verify["equivalence"]
    return {
        "failed_checks": [name for name, check in checks.items() if not check["ok"]],
        "holes": _holes(checks["migration_total"].get("problems", [])),
        "target_violations": target.get("violations_by_constraint", {}),
        "first_violations": _first_entities(target["violations"]),
        "diverged_by_field": equivalence["diverged_by_field"],
        "example": _example(equivalence.get("example")),
    }


def _holes(problems: list[dict[str, str]]) -> list[str]:
    """The event types that a migration leaves without a reducer."""
    return [re.findall(r"event type '([^']+)'", problem["message"])[0] for problem in problems]


def _first_entities(violations: list[dict[str, Any]]) -> list[str]:
    return [violation["sample"]["entity_id"] for violation in violations[:FIRST_VIOLATIONS]]


def _example(example: dict[str, Any] | None) -> dict[str, Any] | None:
    names = ("entity_id", "seq", "event_type", "field", "expected", "found")
    return None if example is None else {name: example[name] for name in names}
