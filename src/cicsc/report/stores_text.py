"""The summaries of commands about stores, tenants, and what is brought in and out."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from cicsc.report.assessment import listed
from cicsc.report.invocation import Invocation
from cicsc.report.layout import Detail, Mark, Marked, headline, next_step, plain
from cicsc.report.moments import dated
from cicsc.report.printable import counted, shortened, value_text
from cicsc.report.store_models import (
    FenceReport,
    HistoryExport,
    HistoryImport,
    StoreCheckReport,
    StoreReport,
    TenantCreated,
    TenantImport,
    TenantList,
)

FINDINGS_MAX = 20
"""Findings of a check shown; the report holds more."""

TENANTS_MAX = 50
"""Tenants shown in a table; the report holds them all."""

_DIGEST_CHARACTERS = 12
"""Characters of a digest that tell bundles apart for people."""


def init_summary(report: StoreReport) -> RenderableType:
    """Summarize the creation of a store."""
    done = "created" if report.changed else "it is there already"
    return headline("store", f"{done}, schema version {report.schema_version}", "ok")


def upgrade_summary(report: StoreReport, call: Invocation) -> RenderableType:
    """Summarize the upgrade of a store, and of its fence where that was asked for."""
    is_older = report.found_version != report.schema_version
    done = f"from {report.found_version} to {report.schema_version}" if is_older else "nothing to do"
    schema = headline("store", f"schema version {report.schema_version}, {done}", "ok")
    return schema if report.fence is UNSET else Group(schema, *_fence(report.fence, call))


def _fence(fence: FenceReport, call: Invocation) -> Iterator[RenderableType]:
    if not fence.found:
        yield headline("fence", "as installed, nothing to do", "ok")
        return
    yield headline("fence", "installed anew", "FAILED" if fence.left else "ok")
    yield plain("what was not as installed:")
    yield from listed(fence.found, len(fence.found), FINDINGS_MAX)
    if fence.left:
        yield Marked("FAILED", "what still is not, and is to be put right by hand:")
        yield from listed(fence.left, len(fence.left), FINDINGS_MAX)
    yield from next_step("look over what was written meanwhile", call.then("store-check", "--store"))


def check_summary(report: StoreCheckReport, call: Invocation) -> RenderableType:
    """Summarize the check of a store."""
    return Group(*_check(report, call))


def create_summary(report: TenantCreated, call: Invocation) -> RenderableType:
    """Summarize the creation of a tenant."""
    tenant = report.tenant
    command = call.then("history-import", "--store", "--tenant").plus("--events", "events.jsonl")
    return Group(
        headline(f"tenant {value_text(tenant.tenant_id)}", f"created, at version {tenant.active_version}", "ok"),
        plain(f"bundle {tenant.active_bundle}"),
        *next_step("bring its history in, if it has one", command),
    )


def list_summary(report: TenantList) -> RenderableType:
    """Summarize the tenants of a store as a table."""
    title = headline("store", counted(len(report.tenants), "tenant"), "ok")
    if not report.tenants:
        return title
    table = _table("tenant", "version", "bundle", "generation", "state")
    for tenant in report.tenants[:TENANTS_MAX]:
        owner = "" if tenant.owner is UNSET else f" ({shortened(tenant.owner)})"
        row = (
            shortened(tenant.tenant_id),
            str(tenant.active_version),
            tenant.active_bundle[:_DIGEST_CHARACTERS],
            str(tenant.active_generation),
            f"{'paused' if tenant.tenant_paused else 'open'}{owner}",
        )
        table.add_row(*map(plain, row))
    return Group(title, table, *_rest(len(report.tenants)))


def import_summary(report: HistoryImport, call: Invocation) -> RenderableType:
    """Summarize an import."""
    return Group(*_import(report, call))


def export_summary(report: HistoryExport, call: Invocation) -> RenderableType:
    """Summarize an export."""
    size = (counted(report.events, "event"), counted(report.streams, "stream"), counted(len(report.tenants), "tenant"))
    command = Invocation("history-verify", ()).plus("--events", report.out_events)
    command = command.plus("--expected-hash", report.digest)
    return Group(
        headline("export", f"done, {size[0]} in {size[1]} of {size[2]}", "ok"),
        plain(f"digest {report.digest}"),
        plain(f"written to {report.out_events}"),
        *(next_step("verify what was written", command) if call.value("--out-events") is not None else ()),
    )


def _check(report: StoreCheckReport, call: Invocation) -> Iterator[RenderableType]:
    total = sum(report.counts.values())
    verdict: tuple[str, Mark] = ("nothing is wrong", "ok") if report.ok else (counted(total, "finding"), "FAILED")
    yield headline("store", *verdict)
    size = (counted(report.tenants, "tenant"), counted(report.events, "event"), counted(report.snapshots, "snapshot"))
    yield plain(f"looked at {size[0]}, {size[1]}, {size[2]}")
    if report.ok:
        return
    yield plain()
    for code, count in report.counts.items():
        yield Marked("FAILED", f"{code}: {count:,}")
        yield from listed((item.message for item in report.findings if item.code == code), count, FINDINGS_MAX)
    if "FILE_DAMAGED" in report.counts:
        yield from next_step(
            "stop the writers, and keep a copy of the file and of its -wal before anything else; then restore a "
            "backup, or where only indexes are named, let SQLite make them anew (reindex), and run this again"
        )
        return
    if set(report.counts) == {"POSITIONS_BEHIND"}:
        yield from next_step(
            "stop the writers, and set the sequence to the largest position, as docs/postgresql.md has it"
        )
        return
    if set(report.counts) == {"FENCE_CHANGED"}:
        command = call.then("store-upgrade", "--store").plus("--reinstall-fence")
        yield from next_step("the histories are in order: find out who changed the fence, and install it anew", command)
        return
    yield from next_step(
        "change nothing by hand; find out who wrote past the fence, then restore or export what is good"
    )


def _import(report: HistoryImport, call: Invocation) -> Iterator[RenderableType]:
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in report.counts.items()) or "no tenants"
    yield headline("import", counts, "ok" if report.ok else "FAILED")
    if not report.tenants:
        yield Marked("note", "the history has no events, so nothing was imported")
        return
    yield plain(f"{counted(report.events, 'event')} read")
    if report.digest is not None:
        yield plain(f"digest {report.digest}")
    yield plain()
    # What went wrong comes first: a long list is cut short.
    for tenant in sorted(report.tenants, key=lambda tenant: tenant.ok)[:TENANTS_MAX]:
        yield from _imported(tenant)
    yield from _rest(len(report.tenants))
    if report.ok:
        command = call.then("store-check", "--store", "--tenant")
        yield from next_step("look the store over", command)
        return
    bad = [tenant.error for tenant in report.tenants if isinstance(tenant.error, dict)]
    if len(bad) == 1 and bad[0]["hint"]:
        yield from next_step(str(bad[0]["hint"]))
    else:
        yield from next_step("correct what is named, then run the same command again: what is imported stays")


def _imported(tenant: TenantImport) -> Iterator[RenderableType]:
    done = f"{tenant.outcome}, {counted(tenant.events, 'event')}, {counted(tenant.snapshots, 'snapshot')}"
    yield Marked("ok" if tenant.ok else "FAILED", f"{value_text(tenant.tenant_id)}: {done}")
    if isinstance(tenant.error, dict):
        yield Detail(dated(str(tenant.error["message"])))


def _rest(tenants: int) -> Iterator[RenderableType]:
    if tenants > TENANTS_MAX:
        yield plain(f"  and {counted(tenants - TENANTS_MAX, 'more tenant')}")


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for name in names:
        table.add_column(name, overflow="fold")
    return table
