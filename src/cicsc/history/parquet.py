"""Reading Parquet: one row is one event, a column for each field, any other column an extra field.

The payload is a column of JSON text, or of structs or maps. Rows are read a batch at a time. This
module and `parquet_output` are the only ones that import pyarrow, which is installed on request.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from cicsc.canonical import EVENT_FIELDS
from cicsc.decoding import MAX_NESTING, decode_json
from cicsc.durable import temporary_file
from cicsc.errors import InputError
from cicsc.expression.values import is_deeper
from cicsc.history.opening import OpenInput
from cicsc.history.plain import plain_value
from cicsc.progress import SILENT, Amount, Progress

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_PER_BATCH: Final = 4096
_FIELDS: Final = frozenset(EVENT_FIELDS)

_PAYLOAD_NESTING_MAX: Final = MAX_NESTING - 1
"""Levels of a payload's text: with the event around it, it nests as deep as text of an event may."""


def parquet_rows(opened: OpenInput, progress: Progress = SILENT) -> Iterator[tuple[str, object]]:
    """Yield each row's place and value, and note the bytes of a file as its rows pass, those of a copy as it is made.

    A null in a column that is no field of events means that the event lacks the extra field. Raises
    InputError for a file that is no Parquet, or whose columns cannot hold events.
    """
    parquet = _library(opened.name)
    with _random_access(opened, progress) as (file, left), reading_errors(opened.name):
        table = parquet.ParquetFile(file)
        check_columns(table.schema_arrow, opened.name)
        yield from _rows(table, opened.name, left, progress)


def _library(name: str) -> Any:
    try:
        import pyarrow.parquet as parquet  # noqa: PLC0415, PLR0402 - optional, and takes long to import
    except ImportError as error:
        raise InputError(
            "PARQUET_MISSING", f"cannot read {name}: pyarrow is not installed", hint="run: pip install 'cicsc[parquet]'"
        ) from error
    return parquet


@contextmanager
def reading_errors(name: str) -> Iterator[None]:
    """Turn what pyarrow says of data into errors of ours."""
    import pyarrow as pa  # noqa: PLC0415 - optional, and takes long to import

    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0].strip("'\".").lower()
        raise InputError("PARQUET_INVALID", f"cannot read {name} as parquet: {reason}") from error


@contextmanager
def _random_access(opened: OpenInput, progress: Progress) -> Iterator[tuple[BinaryIO, int]]:
    """Give a file in which a reader can move about: the input itself, or a copy of what comes in.

    With it come the bytes of the input that are not noted yet.
    """
    if opened.file is not None:
        seen = opened.file.tell()
        size = opened.file.seek(0, os.SEEK_END)
        yield opened.file, size - seen
        return
    with temporary_file() as copy:
        copy.writelines(opened.chunks)
        progress.note(Amount(temporary_bytes=copy.tell()))
        yield copy, 0


def check_columns(schema: pa.Schema, name: str) -> None:
    """Raise InputError, naming every fault, where columns cannot hold events."""
    faults = [fault for field in EVENT_FIELDS if (fault := _column_fault(schema, field))]
    names = schema.names
    faults += [f"column {field!r} occurs more than once" for field in sorted(set(names)) if names.count(field) > 1]
    if faults:
        raise InputError(
            "PARQUET_COLUMNS",
            f"cannot read {name} as events: {'; '.join(faults)}",
            hint="give it the columns tenant_id, entity_type, entity_id, event_type, actor_id (strings), "
            "seq, ts (integers) and payload (JSON text, struct or map)",
        )


def _column_fault(schema: pa.Schema, field: str) -> str | None:
    import pyarrow.types as kinds  # noqa: PLC0415 - optional, and takes long to import

    if field not in schema.names:
        return f"column {field!r}: expected, not found"
    kind = schema.field(schema.get_field_index(field)).type
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    is_text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
    if field in ("seq", "ts"):
        right, expected = kinds.is_integer(kind) or kinds.is_floating(kind), "integers"
    elif field == "payload":
        right, expected = is_text or kinds.is_struct(kind) or kinds.is_map(kind), "JSON text, structs or maps"
    else:
        right, expected = is_text, "strings"
    return None if right else f"column {field!r}: expected {expected}, found {kind}"


def _rows(table: Any, name: str, size: int, progress: Progress) -> Iterator[tuple[str, object]]:
    index = noted = 0
    for batch in table.iter_batches(batch_size=_ROWS_PER_BATCH):
        for row in cast("list[dict[str, object]]", batch.to_pylist(maps_as_pydicts="strict")):
            origin = f"{name} row {index}"
            yield origin, event_value(row, origin)
            index += 1
        passed = size * index // max(1, table.metadata.num_rows)
        progress.note(Amount(bytes_read=passed - noted))
        noted = passed


def event_value(row: dict[str, object], origin: str) -> object:
    """Return what a row says, as decoding JSON would give it; raises InputError for what JSON cannot say."""
    payload = row["payload"]
    fields = {field: value for field, value in row.items() if field in _FIELDS or value is not None}
    if isinstance(payload, str):
        del fields["payload"]
        decoded = decode_json(payload.encode(), f"the payload of {origin}")
        if payload.count("[") + payload.count("{") > _PAYLOAD_NESTING_MAX and is_deeper(decoded, _PAYLOAD_NESTING_MAX):
            what = f"expected at most {_PAYLOAD_NESTING_MAX} levels of nesting inside of an event, found more"
            raise InputError("JSON_NESTING", f"cannot decode the payload of {origin}: {what}")
        return {**cast("dict[str, object]", plain_value(fields, origin)), "payload": decoded}
    return plain_value(fields, origin)
