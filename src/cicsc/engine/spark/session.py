"""Getting a Spark: the one that is there, that of spark-submit, or one of our own, which is stopped again.

Standard output stays free for reports, and Spark's chatter is kept from people: what a Spark of our own
prints goes to a temporary file, which is looked at when it does not start.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import threading
import warnings
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

from cicsc import signals
from cicsc.durable import temporary_file
from cicsc.engine.spark.java import JavaError, named_programs, own_java, quiet_py4j
from cicsc.engine.spark.space import LOCAL_DIRS, cleared_folders, is_local
from cicsc.errors import UsageError, WorkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

CONNECT_S: Final = 10.0
"""How long a standalone master may take to accept a connection, in seconds; Spark itself would try for a minute."""

STOP_S: Final = 30.0
"""How long a Spark may take to stop, in seconds."""

READ_BYTES: Final = 32 * 1024 * 1024
"""Bytes of a file that one task reads at most, where the file can be cut."""

ROWS_PER_BATCH: Final = 512
"""Lines or rows handed to Python at once; only their number can be bounded, so it has to suit long ones."""

_MODULES: Final = ("pyspark", "pyarrow", "pandas")
_OWN: Final = {
    "spark.app.name": "cicsc",
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_MASTER: Final = re.compile(r"local(-cluster)?(\[.+\])?|yarn|\w+://.+")
_STANDALONE: Final = re.compile(r"spark://(.+)")


@contextmanager
def spark_session(master: str | None) -> Iterator[SparkSession]:
    """Give a session whose settings are of its own, on `master` or on what there is.

    A Spark that is running, or that spark-submit has made, is used and left as it is; else one is started,
    by default on all cores of this machine, and stopped at the end. Raises UsageError where the extra is not
    installed or `master` is another than that of the running Spark, and WorkError where there is no Java or
    the master cannot be reached.
    """
    require_modules()
    from pyspark import SparkContext  # noqa: PLC0415 - optional, and takes long to import
    from pyspark.sql import SparkSession  # noqa: PLC0415

    running = SparkContext._active_spark_context  # noqa: SLF001 - the only way to look without starting one
    with ExitStack() as stack:
        if running is None:
            running = stack.enter_context(_started(master))
        elif master not in {None, running.master}:
            raise UsageError(
                "SPARK_RUNNING",
                f"a Spark with master {running.master!r} is running in this process, expected {master!r}",
                hint="leave the master out to use the one that runs, or stop it first",
            )
        session = SparkSession(running).newSession()
        _settle(session)
        yield session


def require_modules() -> None:
    """Raise UsageError where what the engine needs is not installed."""
    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            "SPARK_MISSING",
            f"the spark engine needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            hint="run: pip install 'cicsc[spark]'",
        )


def _settle(session: SparkSession) -> None:
    """Set what the result, or the memory, depends on."""
    settings = {
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.caseSensitive": "true",  # two extra fields may differ in case only
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ROWS_PER_BATCH),
        "spark.sql.files.ignoreCorruptFiles": "false",
        "spark.sql.files.ignoreMissingFiles": "false",
        "spark.sql.files.maxPartitionBytes": str(READ_BYTES),
        "spark.sql.session.timeZone": "UTC",
    }
    for name, value in settings.items():
        session.conf.set(name, value)


@contextmanager
def _started(master: str | None) -> Iterator[Any]:
    """Give a SparkContext of our own."""
    from py4j.protocol import Py4JError  # noqa: PLC0415 - optional, comes with pyspark
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415 - optional, and takes long to import
    from pyspark.errors import PySparkException  # noqa: PLC0415
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415

    _require_reachable(master)
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    conf = SparkConf(loadDefaults=False).setAll([] if submitted else list(_OWN.items()))
    if master is not None:
        conf.setMaster(master)
    with temporary_file() as log, quiet_py4j(), signals.closed_in_peace() as stack:
        try:
            with nullcontext() if submitted else named_programs(), _signals_kept():
                gateway = SparkContext._gateway  # noqa: SLF001 - that of a Spark that was there before
                if gateway is None:
                    opened = nullcontext(launch_gateway()) if submitted else own_java(_OWN, log)  # type: ignore[no-untyped-call]
                    gateway = stack.enter_context(opened)
                _keep_together(conf, gateway, stack)
                context = SparkContext(conf=conf, gateway=gateway)
        except (JavaError, Py4JError, PySparkException, OSError) as error:
            log.seek(0)
            raise _not_started(master, error, log.read().decode(errors="replace")) from error
        stack.callback(_stop, context)
        yield context


def _keep_together(conf: Any, gateway: Any, stack: ExitStack) -> None:
    """Let a Spark on this machine keep its data in folders of ours, which are removed."""
    from pyspark import SparkConf  # noqa: PLC0415 - optional, and takes long to import

    known = SparkConf(_jvm=gateway.jvm)
    if gateway.jvm.System.getenv(LOCAL_DIRS) is None and is_local(
        conf.get("spark.master") or known.get("spark.master")
    ):
        parents = (known.get("spark.local.dir") or "").split(",")
        conf.set("spark.local.dir", ",".join(str(folder) for folder in cleared_folders(parents, stack)))


def _stop(context: Any) -> None:
    """Stop a Spark; one that does not answer is left to the end of its Java."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it may be gone already
        stopping = threading.Thread(target=_stop_quietly, args=(context,), daemon=True)
        stopping.start()
        stopping.join(STOP_S)


def _stop_quietly(context: Any) -> None:
    from py4j.protocol import Py4JError  # noqa: PLC0415 - optional, comes with pyspark

    with suppress(Py4JError, OSError):
        context.stop()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep pyspark from taking over Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _require_reachable(master: str | None) -> None:
    """Raise UsageError for what names no master, WorkError where no standalone master accepts a connection."""
    if master is not None and not _MASTER.fullmatch(master):
        raise _no_master(master)
    named = _STANDALONE.fullmatch(master or "")
    if named is None:
        return
    reasons = []
    for address in named[1].split(","):
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise _no_master(master)
        try:
            with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S):
                return
        except (OSError, OverflowError, UnicodeError) as error:
            reasons.append(f"{address}: {str(getattr(error, 'strerror', None) or error).lower()}")
    raise WorkError(
        "SPARK_UNREACHABLE",
        f"cannot reach the Spark master {master!r}: {'; '.join(reasons)}",
        hint="check the address and that the master runs; it is safe to try again",
    )


def _no_master(master: str | None) -> UsageError:
    return UsageError(
        "INVALID_VALUE",
        f"the Spark master is {master!r}, which is no URL of one",
        hint="for example local[4], spark://HOST:PORT or yarn",
    )


def _not_started(master: str | None, error: Exception, printed: str) -> WorkError:
    text = f"{printed}\n{error}"
    return WorkError(
        "SPARK_FAILED",
        f"cannot start Spark{'' if master is None else f' on {master!r}'}: {reason_of(text)}",
        hint="check JAVA_HOME (Java 8, 11 or 17) and Spark's settings",
    )


def reason_of(text: str) -> str:
    """Return the innermost reason in what Java says of a failure, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][-4000:]
    caused = [line for line in lines if re.match(r"(Caused by: |: )?[\w.$]+(Exception|Error)\b", line)]
    found = (caused or lines or ["no reason was given"])[-1]
    return re.sub(r"^(Caused by: |: )?(?:[\w$]+\.)*", "", found)[:500]
