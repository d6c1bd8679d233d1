"""Metrics in the text format of Prometheus, read back by a parser that accepts nothing else."""

from __future__ import annotations

import re

import msgspec
import pytest

from cicsc.report.live.metrics import metrics_text
from cicsc.report.live.models import Boundaries, RunStatus, StatusReport, TenantStatus

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:{NAME}="(?:[^"\\\n]|\\[\\n"])*",?)*)\}})? (-?[0-9]+(?:\.[0-9]+)?)')
LABEL = re.compile(rf'({NAME})="((?:[^"\\\n]|\\[\\n"])*)"')
ESCAPES = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}

RUN = RunStatus(
    run_id="r1",
    kind="cutover",
    actor_id="ann",
    migration_id="v0_to_v1",
    phase="DONE",
    outcome="switched",
    has_tenant=False,
    epoch=4,
    lease_until=9_000,
    from_version=0,
    to_version=1,
    started_at=1_000,
    boundaries=Boundaries(paused_at=2_000, resumed_at=2_250),
    pause_ms=250,
    resumed_by="switch",
    ended_at=2_300,
    reason=None,
)
OPEN = TenantStatus(
    tenant_id="acme",
    active_version=1,
    active_bundle="0" * 64,
    active_generation=2,
    staging_generation=None,
    paused=False,
    paused_since=None,
    pause_ms=None,
    pause_deadline=None,
    lease_until=None,
    lease_remaining_ms=None,
    owner=None,
    owner_kind=None,
    epoch=4,
    run=RUN,
)
PAUSED = msgspec.structs.replace(
    OPEN,
    paused=True,
    paused_since=1_000,
    pause_ms=1_500,
    lease_until=9_000,
    lease_remaining_ms=6_500,
    owner="r2",
    owner_kind="run",
    run=msgspec.structs.replace(RUN, run_id="r2", phase="FENCED", outcome="running", has_tenant=True, pause_ms=None),
)

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


def parsed(text: str) -> Samples:
    """Read the text format strictly: HELP, TYPE, then the samples of that family, which come once each."""
    found: Samples = {}
    assert text.endswith("\n")
    lines = text.removesuffix("\n").split("\n")
    while lines:
        helped = re.fullmatch(rf"# HELP ({NAME}) [^\n]+", lines.pop(0))
        assert helped
        name = helped[1]
        assert name not in found
        assert lines.pop(0) == f"# TYPE {name} gauge"
        samples = found.setdefault(name, {})
        while lines and not lines[0].startswith("#"):
            sample = SAMPLE.fullmatch(lines.pop(0))
            assert sample
            assert sample[1] == name
            labels = tuple(
                (key, re.sub(r"\\.", lambda part: ESCAPES[part[0]], value))
                for key, value in LABEL.findall(sample[2] or "")
            )
            assert labels not in samples
            samples[labels] = float(sample[3])
    return found


def metrics(*tenants: TenantStatus) -> Samples:
    return parsed(metrics_text(StatusReport(ok=True, at=10_500, tenants=list(tenants))))


def value(samples: Samples, name: str, tenant: str = "acme", **labels: str) -> float | None:
    return samples[name].get((("tenant", tenant), *labels.items()))


def test_an_open_tenant() -> None:
    samples = metrics(OPEN)

    assert value(samples, "cicsc_tenant_paused") == 0
    assert value(samples, "cicsc_tenant_pause_seconds") == 0
    assert value(samples, "cicsc_tenant_lease_remaining_seconds") is None
    assert value(samples, "cicsc_tenant_version") == 1
    assert value(samples, "cicsc_tenant_generation") == 2
    assert value(samples, "cicsc_tenant_epoch") == 4
    assert value(samples, "cicsc_tenant_run_phase", kind="cutover", phase="DONE") == 1
    assert value(samples, "cicsc_tenant_run_active") == 0
    assert value(samples, "cicsc_tenant_last_pause_seconds") == 0.25
    assert samples["cicsc_status_timestamp_seconds"] == {(): 10.5}


def test_a_paused_tenant() -> None:
    samples = metrics(PAUSED)

    assert value(samples, "cicsc_tenant_paused") == 1
    assert value(samples, "cicsc_tenant_pause_seconds") == 1.5
    assert value(samples, "cicsc_tenant_lease_remaining_seconds") == 6.5
    assert value(samples, "cicsc_tenant_run_phase", kind="cutover", phase="FENCED") == 1
    assert value(samples, "cicsc_tenant_run_active") == 1
    assert value(samples, "cicsc_tenant_run_abandoned") == 0
    assert value(samples, "cicsc_tenant_last_pause_seconds") is None


def test_a_tenant_that_a_dead_run_has() -> None:
    assert PAUSED.run is not None
    left = msgspec.structs.replace(PAUSED, run=msgspec.structs.replace(PAUSED.run, outcome="abandoned"))

    assert value(metrics(left), "cicsc_tenant_run_abandoned") == 1


def test_a_tenant_without_a_run() -> None:
    samples = metrics(msgspec.structs.replace(OPEN, run=None))

    assert samples["cicsc_tenant_run_phase"] == {}
    assert value(samples, "cicsc_tenant_run_abandoned") == 0


def test_no_tenant_at_all() -> None:
    samples = parsed(metrics_text(StatusReport(ok=True, at=None, tenants=[])))

    assert set(map(len, samples.values())) == {0}


@pytest.mark.parametrize("tenant", ['"', "\\", "\n", 'a\\"b\\n"}', "\\\n", "", "é\r\t\x1b[2J\u2028", '{x="y"} 1'])
def test_labels_come_back_as_they_were(tenant: str) -> None:
    samples = metrics(msgspec.structs.replace(OPEN, tenant_id=tenant), PAUSED)

    assert value(samples, "cicsc_tenant_version", tenant) == 1
    assert value(samples, "cicsc_tenant_version", "acme") == 1
