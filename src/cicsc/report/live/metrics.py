"""How tenants stand, in the text format of Prometheus (version 0.0.4), for a collector of text files.

Each family has its HELP and TYPE, and a sample for each tenant that it says something of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from cicsc.report.live.models import StatusReport, TenantStatus

_THOUSAND: Final = 1000


class _Family(Struct, frozen=True):
    """A metric: its name, what it says, and the value for a tenant (None: no sample), with further labels."""

    name: str
    text: str
    value: Callable[[TenantStatus], float | None]
    labels: Callable[[TenantStatus], dict[str, str]] = lambda _: {}


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / _THOUSAND


def _phase(tenant: TenantStatus) -> dict[str, str]:
    run = tenant.run
    return {} if run is None else {"kind": run.kind, "phase": run.phase}


FAMILIES: Final = (
    _Family("cicsc_tenant_paused", "Whether writes of the tenant are refused now.", lambda t: int(t.paused)),
    _Family(
        "cicsc_tenant_pause_seconds",
        "How long the pause that holds now has taken, 0 where none does.",
        lambda t: _seconds(t.pause_ms) or 0,
    ),
    _Family(
        "cicsc_tenant_lease_remaining_seconds",
        "How long the lease of whoever has the tenant still holds, 0 where it is over; no sample where nobody has it.",
        lambda t: _seconds(t.lease_remaining_ms),
    ),
    _Family("cicsc_tenant_version", "The active version of the application.", lambda t: t.active_version),
    _Family("cicsc_tenant_generation", "The active generation of the history.", lambda t: t.active_generation),
    _Family("cicsc_tenant_epoch", "How often the gate of the tenant has changed hands.", lambda t: t.epoch),
    _Family(
        "cicsc_tenant_run_phase",
        "The phase of the run that has the tenant or had it last: 1 for the one it is in.",
        lambda t: None if t.run is None else 1,
        _phase,
    ),
    _Family(
        "cicsc_tenant_run_active",
        "Whether a run has the tenant now, open or paused.",
        lambda t: int(t.owner_kind == "run"),
    ),
    _Family(
        "cicsc_tenant_run_abandoned",
        "Whether a run has the tenant whose lease is over, so that migration-recover is due.",
        lambda t: int(t.run is not None and t.run.outcome == "abandoned"),
    ),
    _Family(
        "cicsc_tenant_last_pause_seconds",
        "How long the last run paused the tenant; no sample where it did not, or does still.",
        lambda t: None if t.run is None else _seconds(t.run.pause_ms),
    ),
)


def metrics_text(report: StatusReport) -> str:
    """Write the metrics; they end with when they were read, on the database's clock."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: StatusReport) -> Iterator[str]:
    for family in FAMILIES:
        yield f"# HELP {family.name} {family.text}"
        yield f"# TYPE {family.name} gauge"
        for tenant in report.tenants:
            value = family.value(tenant)
            if value is not None:
                yield f"{family.name}{_labels({'tenant': tenant.tenant_id, **family.labels(tenant)})} {value}"
    if report.at is not None:
        yield "# HELP cicsc_status_timestamp_seconds When the status was read, in seconds since the epoch."
        yield "# TYPE cicsc_status_timestamp_seconds gauge"
        yield f"cicsc_status_timestamp_seconds {report.at / _THOUSAND}"


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
