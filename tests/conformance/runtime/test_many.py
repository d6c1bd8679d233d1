"""Many writers at once, and histories of any commands: nothing acknowledged is lost, and snapshots are what events fold to."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cicsc.errors import CommandError
from cicsc.replay.fold import replay_steps
from cicsc.replay.reducers import compile_types
from cicsc.runtime import CommandResult, Runtime
from cicsc.store.check import check_store
from cicsc.store.protocol import Store
from conformance.runtime.bank import BANK
from conformance.store.desk import Desk
from conformance.store.history import stored

WRITERS = 8
COMMANDS = 12

PROGRAMS = compile_types(BANK)


def test_every_acknowledged_command_is_there_once(desk: Desk, store: Store, account: CommandResult) -> None:
    def write(writer: int) -> list[tuple[int, int]]:
        done = []
        with desk.open() as own:
            runtime = Runtime(own)
            for number in range(COMMANDS):
                given = {"amount": 1, "note": f"{writer} {number}"}
                result = runtime.execute("t", "Account", "1", "deposit", given, actor=f"w{writer}")
                assert not result.repeated
                done.append((writer, result.last_seq))
        return done

    with ThreadPoolExecutor(WRITERS) as pool:
        acknowledged = [one for done in pool.map(write, range(WRITERS)) for one in done]

    written = stored(store)[1:]
    notes = Counter(event.payload["note"] for event in written)
    assert notes == Counter(f"{writer} {number}" for writer in range(WRITERS) for number in range(COMMANDS))
    assert sorted((int(event.actor_id[1:]), event.seq) for event in written) == sorted(acknowledged)
    (snapshot,) = store.snapshots("t")
    assert (snapshot.attrs["balance"], snapshot.last_seq) == (WRITERS * COMMANDS, WRITERS * COMMANDS + 1)
    assert check_store(store).ok


AMOUNTS = st.one_of(st.integers(-3, 9), st.sampled_from([2.0, 10**30]))
COMMAND = st.one_of(
    st.tuples(st.just("open"), st.fixed_dictionaries({"owner": st.recursive(st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.floats(allow_nan=False, allow_infinity=False), st.lists, max_leaves=4)})),
    st.tuples(st.sampled_from(["deposit", "withdraw"]), st.fixed_dictionaries({"amount": AMOUNTS})),
    st.tuples(st.sampled_from(["swap", "look", "close"]), st.just({})),
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from("ab"), COMMAND, st.booleans()), max_size=12)

EXAMPLES = count()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_what_is_kept_is_what_the_events_fold_to(store: Store, steps) -> None:
    """Each example works on entities of its own; one runtime keeps what it compiled, a new one keeps nothing."""
    kept = Runtime(store, host={"has_role": lambda actor, _role: actor == "ann"})
    number = next(EXAMPLES)
    last: dict[str, CommandResult] = {}
    for turn, (entity, (command, fields), anew) in enumerate(steps):
        runtime = Runtime(store, host={"has_role": lambda *_: True}) if anew else kept
        name = f"{number} {entity}"
        with suppress(CommandError):  # a guard that is not true, or a constraint that would not hold
            last[name] = runtime.execute("t", "Account", name, command, fields, actor="ann", now=turn)

    for name, result in last.items():
        with store.reading("t") as reading:
            events = list(reading.events("Account", name))
            snapshot = reading.snapshot("Account", name)
        replayed = [found for _, _, found in replay_steps(PROGRAMS["Account"], ("t", "Account", name), events)]
        assert replayed[-1:] == ([] if snapshot is None else [snapshot])
        if replayed:
            assert result.snapshot == replayed[-1]
            assert result.snapshot.attrs.get("balance", 0) >= 0
