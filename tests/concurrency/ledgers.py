"""What the writers were told, read from their ledgers, and what is in the store beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cicsc.store.protocol import Store
from concurrency.writer import event_type_of


@dataclass(frozen=True)
class Acknowledged:
    """Events of which a writer was told that they are kept; `seq` is that of the first."""

    writer: str
    tenant_id: str
    entity_id: str
    seq: int
    tokens: list[str]
    version: int
    started: float
    ended: float


@dataclass(frozen=True)
class Refusal:
    """An attempt that was refused."""

    writer: str
    tenant_id: str
    code: str
    version: int
    started: float
    ended: float


@dataclass
class Ledgers:
    """The ledgers of all writers, read as far as they are written."""

    paths: dict[str, Path]
    acknowledged: list[Acknowledged] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    tried: dict[str, set[str]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    repeated: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Commands that were asked for again: the version they were done in, and the one that was active then."""
    _offsets: Counter[str] = field(default_factory=Counter)

    def read(self) -> None:
        """Read what was written since the last time; a line that is not whole yet is left for the next."""
        for writer, path in self.paths.items():
            for entry in self._lines(writer, path):
                self._take(writer, entry)

    def last_lines(self) -> str:
        """The last lines of each ledger, for a message."""
        return "\n".join(
            f"{writer}: {' '.join(path.read_text().splitlines()[-3:])}" for writer, path in self.paths.items()
        )

    def _lines(self, writer: str, path: Path) -> Iterator[list[Any]]:
        if not path.exists():
            return
        with path.open("rb") as ledger:
            ledger.seek(self._offsets[writer])
            data = ledger.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offsets[writer] += len(whole)
        yield from map(json.loads, whole.splitlines())

    def _take(self, writer: str, entry: list[Any]) -> None:
        match entry:
            case ["tried", tenant_id, numbers]:
                self.tried.setdefault(tenant_id, set()).update(f"{writer}-{number}" for number in numbers)
            case ["acknowledged", tenant_id, entity_id, seq, numbers, version, started, ended]:
                tokens = [f"{writer}-{number}" for number in numbers]
                self.acknowledged.append(
                    Acknowledged(writer, tenant_id, entity_id, seq, tokens, version, started, ended)
                )
                self.events[tenant_id] += len(tokens)
            case ["refused", tenant_id, code, version, started, ended]:
                self.refusals.append(Refusal(writer, tenant_id, code, version, started, ended))
            case ["moved", _, _]:
                pass
            case ["repeated", _, version, now]:
                self.repeated[version, now] += 1
            case _:
                raise AssertionError(entry)


@dataclass(frozen=True)
class Verdict:
    """What is wrong between ledgers and store; each is a list of tokens or of what else it is about."""

    lost: list[str]
    duplicated: list[str]
    invented: list[str]
    misplaced: list[str]
    gaps: list[str]
    past_the_fence: list[str]


RIGHT = Verdict([], [], [], [], [], [])


def judge(store: Store, tenant_id: str, ledgers: Ledgers) -> Verdict:
    """Hold the active history of a tenant, and what is kept of the older ones, against the ledgers."""
    name = event_type_of(store.gate(tenant_id).active_version)
    found: dict[str, tuple[str, int]] = {}
    times: Counter[str] = Counter()
    misplaced, gaps = [], []
    for (_, _, entity_id), events in store.streams(tenant_id):
        for expected, event in enumerate(events, 1):
            token = str(event.payload["token"])
            times[token] += 1
            found[token] = (entity_id, event.seq)
            if event.seq != expected:
                gaps.append(f"{entity_id} at {event.seq}")
            if event.event_type != name:
                misplaced.append(f"{token} is {event.event_type}")
    lost = []
    for entry in ledgers.acknowledged:
        if entry.tenant_id == tenant_id:
            for seq, token in enumerate(entry.tokens, entry.seq):
                if token not in found:
                    lost.append(token)
                elif found[token] != (entry.entity_id, seq):
                    misplaced.append(f"{token} at {found[token]}, acknowledged at {(entry.entity_id, seq)}")
    return Verdict(
        lost=lost,
        duplicated=[token for token, number in times.items() if number > 1],
        invented=sorted(times.keys() - ledgers.tried.get(tenant_id, set())),
        misplaced=misplaced,
        gaps=gaps,
        past_the_fence=[*_grown_generations(store, tenant_id)],
    )


def _grown_generations(store: Store, tenant_id: str) -> Iterator[str]:
    """Name every generation that is not what the run that left it had verified."""
    for run in store.runs.of_tenant(tenant_id):
        if run.phase in {"SWITCHED", "DONE"}:
            head = store.head(tenant_id, run.source_generation)
            if (head.position, head.count) != (run.head_position, run.head_count):
                yield f"generation {run.source_generation}: {head}, switched at {run.head_position}, {run.head_count}"
