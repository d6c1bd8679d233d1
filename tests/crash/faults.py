"""What may go wrong with a call of a driver, and who makes it go wrong.

What a server can be made to report is reported by the server, and a lost connection is lost: its socket is shut down, so
that the server ends the transaction whenever it notices.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apsw
import psycopg

from crash.driver import Call, Watcher

Spoil = Callable[[Call, Callable[[], Any]], Any]

_END_FIRST = frozenset({"close"})
"""Calls after which the driver holds something no more; a failure of one of them does not change that."""


@dataclass(frozen=True)
class Fault:
    """One way to fail; `lasting` means that every call after it fails, too."""

    name: str
    spoil: Spoil
    lasting: bool = False


class Spoiler(Watcher):
    """Lets calls pass, but for the one whose turn it is."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._fault: Fault | None = None
        self._at = 0

    def arm(self, fault: Fault | None, at: int) -> None:
        """Count the calls from now on, and let the one of this number (from 0) fail."""
        self.calls.clear()
        self._fault, self._at = fault, at

    def disarm(self) -> bool:
        """Let all calls pass again; tell whether one was made to fail."""
        self._fault = None
        return len(self.calls) > self._at

    def call(self, call: Call, carry_out: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(call)
        fault = self._fault
        if fault is None or number < self._at or (number > self._at and not fault.lasting):
            return carry_out()
        return fault.spoil(call, carry_out)


def _before(error: Callable[[], BaseException]) -> Spoil:
    """The call is not carried out."""

    def spoil(call: Call, carry_out: Callable[[], Any]) -> Any:
        if call.what in _END_FIRST:
            carry_out()
        raise error()

    return spoil


def _after(error: Callable[[], BaseException]) -> Spoil:
    """The call is carried out, but nobody learns of it."""

    def spoil(call: Call, carry_out: Callable[[], Any]) -> Any:
        try:
            made = carry_out()
        except StopIteration:
            made = None
        if call.what == "connect":
            made.close()
        raise error()

    return spoil


# ------------------------------------------------------------------------------------------------- SQLite


def _rolled_back(call: Call, carry_out: Callable[[], Any]) -> Any:
    """SQLite ends the transaction by itself when a disk is full, or not, as it sees fit."""
    if call.connection is not None and call.connection.in_transaction:
        call.connection.execute("rollback")
    raise apsw.FullError("database or disk is full")


def _disk_error() -> apsw.Error:
    return apsw.IOError("disk I/O error")


_HERE = (
    Fault("out of memory", _before(MemoryError)),
    Fault("signal before", _before(KeyboardInterrupt)),
    Fault("signal after", _after(KeyboardInterrupt)),
)

SQLITE_FAULTS = (
    Fault("locked", _before(lambda: apsw.BusyError("database is locked"))),
    Fault("disk full", _before(lambda: apsw.FullError("database or disk is full"))),
    Fault("disk full, rolled back", _rolled_back),
    Fault("disk error before", _before(_disk_error)),
    Fault("disk error after", _after(_disk_error)),
    Fault("disk error for good", _before(_disk_error), lasting=True),
    Fault("no memory for SQLite", _before(lambda: apsw.NoMemError("out of memory"))),
    *_HERE,
)


# --------------------------------------------------------------------------------------------- PostgreSQL


def _cut(connection: psycopg.Connection[Any]) -> None:
    """Cut the line to the server; neither side is told."""
    if not connection.closed:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


def _lost() -> psycopg.OperationalError:
    return psycopg.OperationalError("server closed the connection unexpectedly")


def _disconnected_before(call: Call, carry_out: Callable[[], Any]) -> Any:
    if call.connection is None:
        raise _lost()
    _cut(call.connection)
    carry_out()
    call.connection.close()  # the driver had not yet noticed, since the call was only about its own memory
    raise _lost()


def _disconnected_after(call: Call, carry_out: Callable[[], Any]) -> Any:
    made = carry_out()
    connection = made if call.connection is None else call.connection
    _cut(connection)
    connection.close()
    raise _lost()


def _reported(state: str) -> Spoil:
    """The server refuses, and with it the whole transaction."""

    def spoil(call: Call, carry_out: Callable[[], Any]) -> Any:
        error = psycopg.errors.lookup(state)
        # While rows are copied, until the driver has let go of its lock, nothing else can be asked.
        is_copying = call.connection is None or call.what == "copied"
        if is_copying or call.connection.info.transaction_status is psycopg.pq.TransactionStatus.ACTIVE:
            raise error("the server refuses, as it was told")
        if call.what in _END_FIRST:
            carry_out()
        if call.connection.info.transaction_status is psycopg.pq.TransactionStatus.INERROR:
            raise error("the server refuses, as it was told")
        call.connection.execute(f"do 'begin raise exception using errcode = ''{state}''; end'")
        raise AssertionError

    return spoil


POSTGRES_FAULTS = (
    Fault("disconnect before", _disconnected_before),
    Fault("disconnect after", _disconnected_after),
    Fault("disconnect for good", _disconnected_before, lasting=True),
    Fault("serialization failure", _reported("40001")),
    Fault("disk full", _reported("53100")),
    Fault("server shuts down", _reported("57P01")),
    *_HERE,
)
