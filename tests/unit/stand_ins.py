"""Modules of the standard library that behave otherwise, for one module that uses them.

To change such a module itself would change it for every thread of the process, also for those of other libraries.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace


def stand_in(module: ModuleType, *, without: str | None = None, **changed: object) -> SimpleNamespace:
    """Return all that a module holds, with some of it changed, or without one name."""
    held = {name: value for name, value in vars(module).items() if name != without}
    return SimpleNamespace(**held | changed)
