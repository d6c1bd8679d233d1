"""Migrating one stream, with all that comes of it kept."""

from msgspec.structs import replace

from cicsc.canonical import LeafHasher
from cicsc.migration.plan import compile_plan
from cicsc.migration.stream import migrate_stream
from cicsc.migration.verdict import Verdict
from unit.migration.documents import KEY, bundles


class Sink:
    takes_lines = True

    def __init__(self):
        self.events, self.map, self.leaves, self.rows, self.snapshots = [], [], [], [], []

    def migrated(self, events):
        assert len(events) <= 2_000
        self.events += events

    def positions(self, rows):
        self.map += rows

    def leaf(self, side, key, count, digest):
        self.leaves.append((side, key, count, digest))

    def row(self, side, check, source, row):
        self.rows.append((side, check, source, row))

    def snapshot(self, snapshot):
        self.snapshots.append(snapshot)


def run(events, *, key=KEY, plan=None, migration=None, change_target=None, change_source=None, lazy=False, **options):
    source, target, parsed = bundles(migration, change_target, change_source)
    verdict, sink = Verdict(), Sink()
    plan = plan or replace(compile_plan(source, target, parsed, now=9, actor="me"), **options)
    migrate_stream(plan, key, iter(events) if lazy else events, verdict, sink)
    return verdict, sink


def leaf(events):
    hasher = LeafHasher()
    for one in events:
        hasher.update(one)
    return hasher.hexdigest()
