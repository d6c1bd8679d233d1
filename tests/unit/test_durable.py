"""Files appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cicsc import durable
from cicsc.durable import Publication, TemporaryFolder, temporary_file, whole_file
from cicsc.errors import WorkError
from unit.limits import file_size_limit
from unit.stand_ins import stand_in


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, data: bytes, *, times: int = 1, failure: BaseException | None = None) -> None:
    with whole_file(path) as file:
        for _ in range(times):
            file.write(data)
        if failure is not None:
            raise failure


def test_whole_file_holds_what_was_written(tmp_path: Path) -> None:
    with whole_file(tmp_path / "out") as file:
        file.write(b"first")
        file.write(b" second")
    assert (tmp_path / "out").read_bytes() == b"first second"
    assert names(tmp_path) == ["out"]


def test_target_keeps_its_old_content_until_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with whole_file(target) as file:
        file.write(b"new" * 1_000_000)
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new" * 1_000_000


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), OSError("of the caller")])
def test_failure_leaves_nothing_behind(tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)) as raised:
        write(tmp_path / "out", b"x" * 1_000_000, failure=failure)
    assert raised.value is failure
    assert names(tmp_path) == []


def test_failure_keeps_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(ValueError, match="no"):
        write(target, b"new", failure=ValueError("no"))
    assert target.read_bytes() == b"old"


def test_folders_on_the_path_are_created(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a" / "b" / "out") as file:
        file.write(b"x")
    assert (tmp_path / "a" / "b" / "out").read_bytes() == b"x"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0, 0o666)])
def test_permissions_are_those_of_open(tmp_path: Path, mask: int, mode: int) -> None:
    with umask(mask), whole_file(tmp_path / "out"):
        pass
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == mode


def test_permissions_of_a_replaced_file_are_kept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.touch()
    target.chmod(0o604)
    with whole_file(target):
        pass
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with whole_file(tmp_path / "link") as file:
        file.write(b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


def test_longest_file_name_is_writable(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    with whole_file(target) as file:
        file.write(b"x")
    assert target.read_bytes() == b"x"


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="it is a folder") as raised, whole_file(tmp_path):
        pass
    assert raised.value.code == "NOT_A_FILE"


def test_device_is_refused_and_not_replaced() -> None:
    with pytest.raises(WorkError, match="no regular file"), whole_file("/dev/null"):
        pass
    assert not Path("/dev/null").is_file()


def test_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(WorkError, match=r"cannot write .*: not a directory") as raised,
        whole_file(tmp_path / "file" / "out"),
    ):
        pass
    assert raised.value.code == "UNWRITABLE"
    assert raised.value.exit_code == 3


def test_unwritable_place_is_refused() -> None:
    with pytest.raises(WorkError) as raised, whole_file("/proc/cicsc-out"):
        pass
    assert raised.value.code in {"UNWRITABLE", "WRITE_FAILED"}


def test_disk_full_while_writing_leaves_nothing_behind(tmp_path: Path) -> None:
    with file_size_limit(1_000_000), pytest.raises(WorkError, match=r"cannot write .*: file too large") as raised:
        write(tmp_path / "out", b"x" * 100_000, times=100)
    assert raised.value.code == "DISK_FULL"
    assert names(tmp_path) == []


def test_disk_full_at_the_last_flush_leaves_nothing_behind(tmp_path: Path) -> None:
    with file_size_limit(100), pytest.raises(WorkError) as raised, whole_file(tmp_path / "out") as file:
        file.write(b"x" * 1_000)
    assert raised.value.code == "DISK_FULL"
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "DISK_FULL"), (errno.EROFS, "UNWRITABLE"), (errno.EIO, "WRITE_FAILED")]
)
def test_failing_sync_is_translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(durable, "os", stand_in(os, fsync=fail))
    with pytest.raises(WorkError) as raised, whole_file(tmp_path / "out") as file:
        file.write(b"x")
    assert raised.value.code == code
    assert names(tmp_path) == []


def test_file_is_on_its_way_to_the_disk_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(durable, "AHEAD_BYTES", 1_000_000)
    ask = stand_in(os, posix_fadvise=lambda _, start, size, advice: asked.append((start, size, advice)))
    monkeypatch.setattr(durable, "os", ask)
    with whole_file(tmp_path / "out") as file:
        for _ in range(25):
            file.write(b"x" * 100_000)
    assert [start for start, _, _ in asked] == [0, asked[0][1]]
    assert all(1_000_000 <= size < 1_300_000 for _, size, _ in asked)
    assert {advice for _, _, advice in asked} == {os.POSIX_FADV_DONTNEED}


def test_system_may_refuse_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(durable, "AHEAD_BYTES", 1)
    monkeypatch.setattr(durable, "os", stand_in(os, posix_fadvise=fail))
    with whole_file(tmp_path / "out") as file:
        file.write(b"x" * 1_000_000)
    assert (tmp_path / "out").stat().st_size == 1_000_000


def test_system_may_know_nothing_of_such_a_wish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "AHEAD_BYTES", 1)
    monkeypatch.setattr(durable, "os", stand_in(os, without="posix_fadvise"))
    with whole_file(tmp_path / "out") as file:
        file.write(b"x")
    assert (tmp_path / "out").read_bytes() == b"x"


def test_interrupt_of_a_process_leaves_nothing_behind(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from cicsc.durable import whole_file\n"
        "with whole_file(sys.argv[1]) as file:\n"
        "    file.write(b'x' * 1_000_000)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path / "out")], capture_output=True, check=False)
    assert b"KeyboardInterrupt" in run.stderr
    assert names(tmp_path) == []


def publish(*paths: Path, before: Callable[[], object] = lambda: None) -> None:
    """Write files that are to appear together, the last of them first; something happens when all are written."""
    with Publication() as together:
        with ExitStack() as stack:
            for path in paths:
                stack.enter_context(whole_file(path, together)).write(b"x")
        before()


def test_file_in_whose_place_another_made_a_folder_leaves_neither(tmp_path: Path) -> None:
    with pytest.raises(WorkError) as raised:
        publish(tmp_path / "out", tmp_path / "out" / "other")

    assert raised.value.code == "NOT_A_FILE"
    assert names(tmp_path) == []


def test_file_whose_folder_went_meanwhile_leaves_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "folder"

    with pytest.raises(WorkError):
        publish(folder / "two", tmp_path / "one", before=lambda: shutil.rmtree(folder))

    assert names(tmp_path) == []


def test_signal_while_files_take_their_places_acts_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "one", tmp_path / "two")

    assert names(tmp_path) == ["one", "two"]


def test_temporary_file_can_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_file() as file:
        file.write(b"x" * 1_000_000)
        file.seek(0)
        assert file.read() == b"x" * 1_000_000
        assert names(tmp_path) == []


def test_temporary_file_on_a_full_disk_is_an_error() -> None:
    with file_size_limit(1_000), pytest.raises(WorkError) as raised, temporary_file() as file:
        file.write(b"x" * 1_000_000)
    assert raised.value.code == "DISK_FULL"


@pytest.mark.parametrize("make", [TemporaryFolder, lambda: temporary_file().__enter__()])
def test_missing_place_for_temporary_files_is_an_error(
    make: Callable[[], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(WorkError, match=r"cannot write '.*/none/cicsc-"):
        make()


def test_no_place_for_temporary_files_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    with pytest.raises(WorkError, match="cannot write 'temporary files': no usable temporary directory"):
        TemporaryFolder()
