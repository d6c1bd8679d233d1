"""Whether a declared inverse gives back what a migration is made from, asked of the source history itself.

A structural inverse does so by its nature. What an author declares may miss what the payload map leaves
out; from the migrated history alone nobody can tell that any more. What is found goes into the `Verdict`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from cicsc.history.model import Event
from cicsc.migration.inverse import reversibility
from cicsc.migration.transform import compile_rules, successors
from cicsc.migration.undo import restores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cicsc.bundle.model import Bundle, Migration
    from cicsc.history.model import StreamKey
    from cicsc.migration.transform import Rule
    from cicsc.migration.verdict import Verdict


class Restoring(Struct, frozen=True):
    """The way of one entity type's events forward, and back as it is declared."""

    forward: Mapping[str, Rule]
    back: Mapping[str, Rule]

    def watched(self, key: StreamKey, events: Iterable[Event], verdict: Verdict) -> Iterable[Event]:
        """Return the events of a stream as they are; those that do not come back are counted, of a list at once."""
        passing = self._watch(key, events, verdict)
        if not isinstance(events, list):
            return passing
        for _ in passing:
            pass
        return events

    def _watch(self, key: StreamKey, events: Iterable[Event], verdict: Verdict) -> Iterator[Event]:
        for event in events:
            if not self._restores(key, event):
                message = f"stream {key!r} at seq {event.seq}: event type {event.event_type!r} is not restored"
                verdict.not_restored.include((*key, event.seq), message)
            yield event

    def _restores(self, key: StreamKey, event: Event) -> bool:
        """Tell whether an event comes back as it was; it does where nothing is declared for what it becomes."""
        [(event_type, payload)] = successors(self.forward.get(event.event_type), event)
        back = self.back.get(event_type)
        if back is None:
            return True
        became = Event(*key, event.seq, event_type, payload, event.ts, event.actor_id, event.extra)
        return restores(back, became, event)


def compile_restoring(source: Bundle, migration: Migration) -> dict[str, Restoring]:
    """Compile what is to be asked, by entity type: nothing where no inverse is declared, or none could be taken."""
    if migration.inverse is None or not reversibility(migration, source).reversible:
        return {}
    return {
        name: Restoring(compile_rules(migration.types[name]), compile_rules(declared))
        for name, declared in migration.inverse.items()
        if name in migration.types
    }
