"""Who uses a connection: one thread at a time, of the process that opened it.

A connection has one transaction, which knows nothing of threads; and after a fork two processes
read each other's answers. Neither may be found out by what was written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Final

ANOTHER_THREAD: Final = "another thread uses the store: let each thread open one of its own"


class OneUser:
    """Lets one thread at a time into the transaction of a connection, and no other process."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._threads: dict[None, int] = {}  # the one inside: what setdefault finds is there for all threads

    @property
    def is_here(self) -> bool:
        """Whether this process is the one that opened the connection."""
        return os.getpid() == self._process

    def require_here(self) -> None:
        """Raise ValueError in a process that only has inherited the connection."""
        if not self.is_here:
            raise ValueError(
                "the store was used before this process was forked: open it again, or first use it after the fork"
            )

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Keep other threads out for the time of the block; raises ValueError where one is in.

        The same thread may come again, since a signal may have kept it from leaving.
        """
        me = get_ident()
        try:
            if self._threads.setdefault(None, me) != me:
                raise ValueError(ANOTHER_THREAD)
            yield
        finally:
            if self._threads.get(None) == me:
                self._threads.clear()
