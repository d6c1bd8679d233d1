"""What Spark is to read: one path, folder or glob, in which form, and what messages call its files.

Spark finds the files, wherever its file systems are; which form they have is told by their names.
Files count as ordered by their path, which matters only for which of several faults is named.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from cicsc.engine.spark.session import reason_of
from cicsc.errors import InputError, UsageError, WorkError
from cicsc.history.opening import STANDARD_INPUT, file_changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame, SparkSession

Form = Literal["lines", "parquet"]

_BETWEEN = "\x1e"
_PARQUET = ".parquet"
_COMPRESSED = frozenset({".gz", ".bz2", ".zst", ".lz4", ".snappy", ".deflate"})
_BZIP2 = ".bz2"
_BZIP2_OF_NOTHING_BYTES = 14
_SIZE = re.compile(r"path=(.*); isDirectory=false; length=(\d+);", re.DOTALL)
_DAMAGE = re.compile(
    "EOFException|ZipException|DataFormatException|incorrect (data|header) check|not a gzip file|crc (failure|error)|"
    "unexpected end of (input )?stream|bad block header|stream corrupted",
    re.IGNORECASE,
)
_DAMAGED_HINT = "the file is incomplete or damaged; copy it again from where it came"


@dataclass(frozen=True, slots=True)
class SparkInput:
    """A history as Spark reads it: a row for each line or event, with where it comes from.

    `name` is what messages call all of it, `single` the only file; several are called by their own paths. `size` is
    that of all files, in bytes, `files` what Spark knows of them.
    """

    frame: DataFrame
    form: Form
    name: str
    single: str | None
    size: int
    files: Files

    def require_unchanged(self) -> None:
        """Raise InputError where a file is not what it was when it was found; further ones do not matter."""
        with spark_errors(self.name):
            if not self.files.states <= _states(self.files.index):
                raise file_changed(self.name)

    def require_read(self, paths: Iterable[str]) -> None:
        """Raise InputError where a compressed file gave no line, though it is not what becomes of nothing.

        Spark takes one without a byte for an empty one, and of bzip2 skips what is none, be it all of it.
        """
        read = {_named(unquote(path)) for path in paths}
        sizes = ((match[1], int(match[2])) for state in self.files.states if (match := _SIZE.search(state)))
        without = [
            _named(path)
            for path, size in sizes
            if size == 0 or (path.endswith(_BZIP2) and size != _BZIP2_OF_NOTHING_BYTES)
            if PurePosixPath(path).suffix in _COMPRESSED and _named(path) not in read
        ]
        if without:
            raise InputError(
                "COMPRESSION_INVALID",
                f"cannot decompress {min(without)!r}: expected compressed data, found none",
                hint=_DAMAGED_HINT,
            )


@dataclass(frozen=True, slots=True)
class Files:
    """Files as Spark has found them: its index, and of each what tells whether it is the same as before."""

    index: Any
    states: frozenset[str]


def spark_input(session: SparkSession, source: object) -> SparkInput:
    """Find the files of a source; raises UsageError for what is no path, and InputError where there is none."""
    if (other := _stream_of(source)) is not None:
        raise UsageError(
            "SOURCE_UNKNOWN",
            f"the spark engine reads files: expected a path, a folder or a glob, found {other}",
            hint="write the history to a file that every executor can read, or leave the engine out",
        )
    assert isinstance(source, str | Path)
    name = repr(str(source))
    path = _located(session, str(source))
    lines = session.read.option("lineSep", "\n").option("recursiveFileLookup", "true")
    with spark_errors(name):
        frame = lines.text(path)
        files = frame.inputFiles()
        plan = frame._jdf.queryExecution().analyzed()  # noqa: SLF001 - not offered otherwise
        size, index = int(plan.stats().sizeInBytes()), plan.relation().location()
        found = Files(index, _states(index))
    if not files:
        raise InputError("FILE_NOT_FOUND", f"cannot open {name}: there is no file in it", hint="check the path")
    single = name if len(files) == 1 and Path(source).is_file() else None
    if _form(files, name) == "lines":
        return SparkInput(_lines_with_origin(frame), "lines", name, single, size, found)
    with spark_errors(name):
        rows = session.read.option("recursiveFileLookup", "true").option("mergeSchema", "true").parquet(path)
        return SparkInput(_rows_with_origin(rows, name), "parquet", name, single, size, found)


def _states(index: Any) -> frozenset[str]:
    """Return what Hadoop says of each file now: its path, its size and when it was last written to."""
    index.refresh()
    told = str(index.allFiles().mkString(_BETWEEN)).split(_BETWEEN)  # as one text, since each call takes its time
    return frozenset(one.partition("; access_time=")[0] for one in told)


def _stream_of(source: object) -> str | None:
    """Say what a source is that is no file: Spark would take a pipe for an empty one."""
    if not isinstance(source, str | Path):
        return type(source).__name__
    if str(source) == STANDARD_INPUT:
        return "standard input"
    place = Path(source)
    with suppress(OSError, ValueError):  # which the opening tells
        return None if place.is_file() or place.is_dir() or not place.exists() else "a pipe or a device"
    return None


def _located(session: SparkSession, source: str) -> str:
    """Return a path so that Spark looks where this process stands, unless its paths lie elsewhere by default."""
    default = session.sparkContext._jsc.hadoopConfiguration().get("fs.defaultFS")  # noqa: SLF001 - not offered otherwise
    if "://" in source or source.startswith("file:") or not (default or "file:").startswith("file:"):
        return source
    path = os.path.abspath(source)  # noqa: PTH100 - a glob is no path, and links are Spark's to follow
    if os.path.exists(path):  # noqa: PTH110 - as above
        return "".join(f"\\{character}" if character in "{}[]*?\\" else character for character in path)
    return path


def _form(files: list[str], name: str) -> Form:
    parquet = sum(PurePosixPath(file).suffix == _PARQUET for file in files)
    if parquet not in {0, len(files)}:
        raise InputError(
            "FORMATS_DIFFER",
            f"cannot read {name}: {parquet} of its {len(files)} files are Parquet, expected all or none",
            hint="name the files of one form with a glob, for example 'FOLDER/*.parquet'",
        )
    return "parquet" if parquet else "lines"


def _lines_with_origin(frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions as sql  # noqa: PLC0415 - optional, and takes long to import

    origin = sql.concat_ws(" ", sql.col("_metadata.file_block_start"), sql.col("_metadata.file_path"))
    return frame.select(sql.col("value").cast("binary").alias("value"), origin.alias("origin"))


def _rows_with_origin(frame: DataFrame, name: str) -> DataFrame:
    from pyspark.sql import Column  # noqa: PLC0415 - optional, and takes long to import
    from pyspark.sql import functions as sql  # noqa: PLC0415 - as above
    from pyspark.sql.pandas.types import to_arrow_schema  # noqa: PLC0415 - as above

    from cicsc.history.parquet import check_columns  # noqa: PLC0415 - as above

    check_columns(to_arrow_schema(frame.schema), name)
    # Any text may name a column, also one that Spark would take for a path, and two may differ in case only.
    found = Column(frame._jdf.metadataColumn("_metadata"))  # noqa: SLF001 - not offered otherwise
    origin = sql.concat_ws(" ", sql.lit("0"), found["file_path"])
    return frame.select(sql.struct("*").alias("event"), origin.alias("origin"), found["row_index"].alias("row"))


def shown(path: str) -> str:
    """Name one of several files as messages do, from what Spark calls it: a path of this machine, or a URL."""
    return repr(_named(unquote(path)))


def _named(path: str) -> str:
    for scheme in ("file://", "file:"):
        if path.startswith(scheme):
            return path.removeprefix(scheme)
    return path


@contextmanager
def spark_errors(name: str) -> Iterator[None]:
    """Turn what Spark raises into errors of ours; `name` is what messages call the input."""
    from py4j.protocol import Py4JError, Py4JNetworkError  # noqa: PLC0415 - optional, comes with pyspark
    from pyspark.errors import PySparkException  # noqa: PLC0415 - optional, and takes long to import

    try:
        yield
    except (Py4JNetworkError, ConnectionError) as error:
        raise WorkError(
            "SPARK_FAILED",
            "the Spark driver ended while it worked",
            hint="give it more memory (spark.driver.memory); nothing was written",
        ) from error
    except (Py4JError, PySparkException) as error:
        raise _translated(name, str(error)) from error


def _translated(name: str, text: str) -> InputError | WorkError:
    reason = reason_of(text)
    lowered = reason[:1].lower() + reason[1:]
    if "PATH_NOT_FOUND" in text or "Path does not exist" in text:
        return InputError("FILE_NOT_FOUND", f"cannot open {name}: there is no such file", hint="check the path")
    if "AccessControlException" in text or "Permission denied" in text:
        return InputError(
            "FILE_UNREADABLE", f"cannot read {name}: {lowered}", hint="check the file and its permissions"
        )
    if "SparkFileNotFoundException" in text:
        return file_changed(name)
    if "Relative path in absolute URI" in text:
        return InputError(
            "FILE_UNREADABLE",
            f"cannot read {name}: Spark takes no file whose name holds a colon: {lowered}",
            hint="rename it, or leave the engine out",
        )
    if "COLUMN_ALREADY_EXISTS" in text:
        return InputError("PARQUET_COLUMNS", f"cannot read {name} as events: a column occurs more than once: {lowered}")
    if any(word in text for word in ("is not a Parquet file", "UNABLE_TO_INFER_SCHEMA", "parquet")):
        return InputError("PARQUET_INVALID", f"cannot read {name} as parquet: {lowered}")
    if _DAMAGE.search(reason):
        return InputError(
            "COMPRESSION_INVALID",
            f"cannot decompress {name}: {lowered}",
            hint=_DAMAGED_HINT,
        )
    return WorkError("SPARK_FAILED", f"Spark could not do the work: {lowered}", hint="nothing was written")
