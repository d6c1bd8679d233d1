"""Which of some numbered tasks is whose next.

Either all take the first that is left, or each begins with consecutive ones of its own. Knows nothing of processes.
"""

from __future__ import annotations


class Turns:
    """The tasks `0` to `tasks - 1` that nobody has begun, for the takers `0` to `takers - 1`.

    They are taken in the order of their numbers. Where takers go `apart`, each does so in consecutive tasks of its
    own; who has none left takes the last one of those who have most.
    """

    def __init__(self, tasks: int, takers: int, *, apart: bool = False) -> None:
        parts = takers if apart else 1
        self._left = [range(tasks * part // parts, tasks * (part + 1) // parts) for part in range(parts)]

    def take(self, taker: int) -> int | None:
        """Return the task that a taker begins, None where there is none."""
        own = taker % len(self._left)
        if self._left[own]:
            self._left[own], task = self._left[own][1:], self._left[own][0]
            return task
        fullest = max(range(len(self._left)), key=lambda part: len(self._left[part]))
        if not self._left[fullest]:
            return None
        self._left[fullest], task = self._left[fullest][:-1], self._left[fullest][-1]
        return task

    def drop_from(self, task: int) -> None:
        """Forget this task and those after it."""
        self._left = [range(part.start, max(part.start, min(part.stop, task))) for part in self._left]
