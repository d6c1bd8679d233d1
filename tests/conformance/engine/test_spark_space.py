"""Where a local Spark keeps its data, and that it is asked beforehand whether there is room."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cicsc
from cicsc import durable
from cicsc.engine.spark.session import spark_session
from cicsc.engine.spark.space import LocalSpace, _size, executor_folder, local_space
from cicsc.errors import WorkError
from conformance.engine.conftest import PYSPARK_WARNS
from conformance.engine.test_same_bytes import MIGRATION, laid_out, paid_orders, source, target, text_of
from unit.stand_ins import stand_in

pytestmark = PYSPARK_WARNS


def free(monkeypatch: pytest.MonkeyPatch, left: Callable[[str], int]) -> None:
    room = stand_in(shutil, disk_usage=lambda folder: SimpleNamespace(free=left(str(folder))))
    monkeypatch.setattr(durable, "shutil", room)


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize(("rooms", "what"), [([10], "reading"), ([10**9, 10], "folding")])
def test_space_is_asked_for_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rooms: list[int], what: str
) -> None:
    history = laid_out(tmp_path, text_of(paid_orders(tenants=2, orders=30)))
    free(monkeypatch, lambda _: rooms.pop(0))
    with pytest.raises(WorkError, match=f"{what} '{history}' needs about 0 MB for temporary files") as raised:
        cicsc.dry_run(source(), target(), history, MIGRATION, out_events=tmp_path / "out.jsonl", engine="spark")
    assert raised.value.code == "DISK_FULL"
    assert raised.value.hint is not None
    assert "TMPDIR or SPARK_LOCAL_DIRS" in raised.value.hint
    assert (rooms, [path.name for path in tmp_path.iterdir()]) == ([], ["events.jsonl"])


@pytest.mark.usefixtures("spark")
def test_tasks_sort_where_spark_keeps_its_data() -> None:
    with spark_session(None) as session:
        (folder,) = local_space(session.sparkContext).folders
        found = session.sparkContext.parallelize([0], 1).map(lambda _: executor_folder()).collect()
        assert found == [folder]
        assert folder.parent.name.startswith("cicsc-")


def test_where_spark_names_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_LOCAL_DIRS", raising=False)
    assert executor_folder() is None


def test_nothing_is_known_of_a_cluster() -> None:
    space = local_space(SimpleNamespace(master="spark://there:7077"))
    space.require(10**18, "all")
    assert (space.folders, space.used()) == ((), 0)


def test_folders_on_one_disk_need_it_all_of_that_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [tmp_path / "cicsc-1" / "blocks", tmp_path / "two"]
    for place in places:
        place.mkdir(parents=True)
    space = LocalSpace(tuple(places))
    asked: list[str] = []
    free(monkeypatch, lambda folder: asked.append(folder) or 1_000_000)  # type: ignore[func-returns-value]
    space.require(1_000_000, "all")
    assert asked == [str(tmp_path / "cicsc-1"), str(tmp_path / "two")]
    with pytest.raises(WorkError, match="all needs about 1 MB"):
        space.require(1_000_001, "all")


def test_folders_on_several_disks_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins: Any = tuple(SimpleNamespace(stat=lambda n=n: SimpleNamespace(st_dev=n), parent=tmp_path) for n in (1, 2))
    free(monkeypatch, lambda _: 500_000)
    LocalSpace(stand_ins).require(1_000_000, "all")
    with pytest.raises(WorkError, match="all needs about 1 MB"):
        LocalSpace(stand_ins).require(1_000_002, "all")


def test_what_is_used_is_counted_in_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"123")
    (tmp_path / "d").write_bytes(b"4567")
    assert LocalSpace((tmp_path,)).used() == 7
    assert _size(tmp_path / "gone") == 0
