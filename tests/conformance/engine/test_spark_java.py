"""The Java of a local Spark: how it starts, what it is told, and that nothing of it stays."""

from __future__ import annotations

import io
import logging
import os
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cicsc.engine.spark import java, session
from cicsc.engine.spark.space import cleared_folder, cleared_folders, is_local
from conformance.engine.conftest import PYSPARK_WARNS

pytestmark = PYSPARK_WARNS


def spark_home(folder: Path, script: str) -> str:
    """A Spark whose spark-submit is this script."""
    (folder / "bin").mkdir()
    submit = folder / "bin" / "spark-submit"
    submit.write_text(f"#!/bin/sh\n{script}\n")
    submit.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(("script", "reason"), [("exit 7", "exit code 7"), ("exec sleep 100", "within 2 seconds")])
def test_a_java_that_does_not_start_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    if "sleep" in script:
        monkeypatch.setattr(java, "START_S", 2)
    monkeypatch.setenv("SPARK_HOME", spark_home(tmp_path, f"echo $$ > {tmp_path}/pid; {script}"))
    with (tmp_path / "log").open("w+b") as log, pytest.raises(java.JavaError, match=reason), java.own_java({}, log):
        pytest.fail("there is no Java")
    number = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.killpg(number, 0)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_spark_that_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    with (tmp_path / "log").open("w+b") as log, pytest.raises(FileNotFoundError), java.own_java({}, log):
        pytest.fail("there is no Java")


def test_what_java_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "SPARK_HOME", spark_home(tmp_path, f'echo "$@" > {tmp_path}/words; env > {tmp_path}/env; exit 1')
    )
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{tmp_path}/one,{tmp_path}/two")
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-Dmine=1")
    with (tmp_path / "log").open("w+b") as log, pytest.raises(java.JavaError), java.own_java({"a.b": "c d"}, log):
        pytest.fail("there is no Java")
    told = dict(line.partition("=")[::2] for line in (tmp_path / "env").read_text().splitlines())
    assert (tmp_path / "words").read_text() == "--conf a.b=c d pyspark-shell\n"
    assert told["SPARK_SUBMIT_OPTS"] == f'-XX:-UsePerfData -Djava.io.tmpdir="{told["TMPDIR"]}" -Dmine=1'
    assert [Path(place).parent.name for place in told["SPARK_LOCAL_DIRS"].split(",")] == ["one", "two"]
    assert [*(tmp_path / "one").iterdir(), *(tmp_path / "two").iterdir()] == []


def test_in_another_thread_signals_are_left_alone() -> None:
    done = []

    def work() -> None:
        with session._signals_kept():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]


def test_what_py4j_says_of_an_interrupt_is_not_printed() -> None:
    printed = io.StringIO()
    handler = logging.StreamHandler(printed)
    source = 'import logging\nlogging.error("broken off")\nlogging.getLogger("py4j.clientserver").error("closed")\n'
    said = compile(source, "/py4j/java_gateway.py", "exec")
    logging.getLogger().addHandler(handler)
    try:
        with java.quiet_py4j():
            exec(said)
            logging.getLogger("ours").error("ours")
        exec(said)
    finally:
        logging.getLogger().removeHandler(handler)
    assert printed.getvalue().splitlines()[:2] == ["ours", "broken off"]


def test_a_folder_is_removed_once_nobody_writes_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def remove(place: Path, **options: Any) -> None:
        removals.append(place)
        if len(removals) == 3:
            shutil.rmtree(place, **options)

    removals: list[Path] = []
    monkeypatch.setattr("cicsc.engine.spark.space.shutil", SimpleNamespace(rmtree=remove))
    with cleared_folder(tmp_path) as folder:
        (folder / "file").touch()
    assert removals == [folder] * 3
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_where_they_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ExitStack() as stack:
        folders = cleared_folders([f"{tmp_path}/big/disk", ""], stack)
        assert [folder.parent for folder in folders] == [tmp_path / "big" / "disk", tmp_path]
    assert [folder.exists() for folder in folders] == [False, False]


@pytest.mark.parametrize(("master", "local"), [("local", 1), ("local[*]", 1), ("local[2,3]", 1),
                                               ("local-cluster[2,1,1024]", 0), ("yarn", 0), (None, 0)])  # fmt: skip
def test_which_masters_are_of_this_machine(master: str | None, local: int) -> None:
    assert is_local(master) is bool(local)


TWICE = """
from cicsc.engine.spark.session import spark_session
for _ in range(2):
    with spark_session("local[1]") as session:
        disks = session.sparkContext._jsc.sc().env().blockManager().diskBlockManager().localDirs()
        print(session.range(3).count(), *[folder.getPath() for folder in disks])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    ["spark.local.dir", *(pytest.param(name, marks=pytest.mark.full) for name in ("SPARK_LOCAL_DIRS", "TMPDIR"))],
)
def test_a_program_that_uses_spark_twice_and_names_a_disk(tmp_path: Path, setting: str) -> None:
    for name in ("disk", "conf", "tmp"):
        (tmp_path / name).mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "SPARK_CONF_DIR": str(tmp_path / "conf")}
    if setting == "spark.local.dir":
        (tmp_path / "conf" / "spark-defaults.conf").write_text(f"{setting} {tmp_path / 'disk'}\n")
    else:
        environment[setting] = str(tmp_path / "disk")
    done = subprocess.run([sys.executable, "-c", TWICE], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    found = [line.split() for line in done.stdout.decode().splitlines()]
    assert [(count, Path(disk).parents[1]) for count, disk in found] == [("3", tmp_path / "disk")] * 2
    assert [*(tmp_path / "disk").iterdir(), *(tmp_path / "tmp").iterdir()] == []


OUT_OF_MEMORY = """
from cicsc.engine.spark.history import _on_disk
from cicsc.engine.spark.inputs import spark_errors
from cicsc.engine.spark.session import spark_session
from cicsc.errors import WorkError
try:
    with spark_session("local[1]") as session, _on_disk(session.range(3)), spark_errors("events.jsonl"):
        jvm = session._jvm
        thread = jvm.java.lang.Thread
        handler = thread.getDefaultUncaughtExceptionHandler()
        handler.uncaughtException(thread.currentThread(), jvm.java.lang.OutOfMemoryError("deliberate"))
except WorkError as error:
    print(error.code, error.hint)
"""


@pytest.mark.slow
def test_a_java_whose_thread_is_out_of_memory_ends(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY], env=environment, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (
        b"SPARK_FAILED give it more memory (spark.driver.memory); nothing was written\n",
        b"",
    )
    assert list(tmp_path.iterdir()) == []
