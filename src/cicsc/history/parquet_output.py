"""Writing Parquet: the eight fields, the payload as JSON text, and a column for each extra field.

Which extra fields there are is known only at the end, so events wait in a temporary file as JSON
Lines. An extra field that no column can hold exactly is refused: nothing is lost silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec
from msgspec import UNSET

from cicsc.canonical import EVENT_FIELDS
from cicsc.durable import Publication, temporary_file, whole_file
from cicsc.errors import UsageError, WorkError
from cicsc.history.model import INTEGER_MAX, INTEGER_MIN, Event
from cicsc.history.rows import POSITION_FIELDS, PositionRow, RowWriter
from cicsc.history.runs import decode_record, encode_record

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_PER_GROUP: Final = 16_384
_EXTRAS_MAX: Final = 1_000
"""Columns that extra fields may take."""

_encode: Final = msgspec.json.Encoder().encode


@contextmanager
def parquet_event_writer(path: Path, together: Publication | None) -> Iterator[RowWriter[Event]]:
    """Give a writer of events to a Parquet file."""
    _require_library(path)
    with whole_file(path, together) as file, temporary_file() as spooled:
        writer = _SpoolingWriter(path, spooled)
        yield writer
        spooled.seek(0)
        _write_events(file, spooled, writer.kinds)


@contextmanager
def parquet_position_writer(path: Path, together: Publication | None) -> Iterator[RowWriter[PositionRow]]:
    """Give a writer of a position map to a Parquet file."""
    _require_library(path)
    import pyarrow as pa  # noqa: PLC0415 - optional, and takes long to import
    import pyarrow.parquet as parquet  # noqa: PLC0415, PLR0402

    kinds = (pa.string(), pa.string(), pa.string(), pa.int64(), pa.int64())
    schema = pa.schema(list(zip(POSITION_FIELDS, kinds, strict=True)))
    with whole_file(path, together) as file, parquet.ParquetWriter(file, schema) as table:
        writer = _PositionWriter(table, schema)
        yield writer
        writer.flush()


class _SpoolingWriter:
    """Keeps events for later, and learns which extra fields they have and what kind of values."""

    def __init__(self, path: Path, spooled: BinaryIO) -> None:
        self.kinds: dict[str, type] = {}
        self._path = path
        self._spooled = spooled

    def write(self, rows: Iterable[Event]) -> None:
        lines = []
        for event in rows:
            if event.extra is not UNSET:
                for name, value in event.extra.items():
                    self._learn(name, value)
            lines.append(encode_record(event) + b"\n")
        self._spooled.writelines(lines)

    def _learn(self, name: str, value: object) -> None:
        kind = type(value)
        fits = kind in (str, bool, float) or (isinstance(value, int) and INTEGER_MIN <= value <= INTEGER_MAX)
        if not fits or self.kinds.setdefault(name, kind) is not kind or len(self.kinds) > _EXTRAS_MAX:
            raise WorkError(
                "PARQUET_EXTRA_FIELD",
                f"cannot write {str(self._path)!r}: no parquet column holds all values of the extra field {name!r}",
                hint="nothing was written; write a .jsonl file instead, which holds every value",
            )


class _PositionWriter:
    """Gathers rows into groups of one size, so that the bytes do not depend on how rows come in."""

    def __init__(self, table: Any, schema: pa.Schema) -> None:
        self._table = table
        self._schema = schema
        self._rows: list[PositionRow] = []

    def write(self, rows: Iterable[PositionRow]) -> None:
        self._rows.extend(rows)
        while len(self._rows) >= _ROWS_PER_GROUP:
            self._write_group(self._rows[:_ROWS_PER_GROUP])
            del self._rows[:_ROWS_PER_GROUP]

    def flush(self) -> None:
        """Write the last group."""
        if self._rows:
            self._write_group(self._rows)

    def _write_group(self, rows: list[PositionRow]) -> None:
        _write_columns(self._table, self._schema, [list(column) for column in zip(*rows, strict=True)])


def _write_events(file: BinaryIO, spooled: BinaryIO, kinds: dict[str, type]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - optional, and takes long to import
    import pyarrow.parquet as parquet  # noqa: PLC0415, PLR0402

    columns = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    extras = sorted(kinds)
    fields = [(name, pa.int64() if name in ("seq", "ts") else pa.string()) for name in EVENT_FIELDS]
    schema = pa.schema([*fields, *((name, columns[kinds[name]]) for name in extras)])
    with parquet.ParquetWriter(file, schema) as table:
        while events := [decode_record(line) for line in islice(spooled, _ROWS_PER_GROUP)]:
            _write_columns(table, schema, [_column(events, name) for name in EVENT_FIELDS] + _extra(events, extras))


def _column(events: list[Event], name: str) -> list[object]:
    if name == "payload":
        return [_encode(event.payload).decode() for event in events]
    return [getattr(event, name) for event in events]


def _extra(events: list[Event], names: list[str]) -> list[list[object]]:
    held = [{} if event.extra is UNSET else event.extra for event in events]
    return [[fields.get(name) for fields in held] for name in names]


def _write_columns(table: Any, schema: pa.Schema, columns: list[list[object]]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - optional, and takes long to import

    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    table.write_batch(pa.record_batch(arrays, schema=schema), row_group_size=_ROWS_PER_GROUP)


def _require_library(path: Path) -> None:
    try:
        import pyarrow  # noqa: F401, ICN001, PLC0415 - optional, and takes long to import
    except ImportError as error:
        raise UsageError(
            "PARQUET_MISSING",
            f"cannot write {str(path)!r}: pyarrow is not installed",
            hint="run: pip install 'cicsc[parquet]'",
        ) from error
