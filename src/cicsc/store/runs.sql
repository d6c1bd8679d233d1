-- The journal of runs, in the spelling of PostgreSQL; SQLite's is made from it when it is read.
--
-- Each step of a run is one or two of these in a transaction. Every one names the run, its epoch and its tenant, so that a
-- step by a run that no longer has the tenant changes no row. `now_ms` is the database's clock, read once per step.

-- name: run
select
    run_id, tenant_id, kind, actor_id, phase, epoch, lease_until_ms, plan_digest, migration_id, method,
    source_bundle, source_version, source_generation, target_bundle, target_version, target_generation,
    head_position, head_count, head_digest, target_count, target_digest,
    started_ms, paused_at_ms, verified_at_ms, switched_at_ms, resumed_at_ms, resumed_by, ended_ms, reason, report
from cicsc.cutover
where tenant_id = %(tenant_id)s and run_id = %(run_id)s;

-- name: tenant_runs
select
    run_id, tenant_id, kind, actor_id, phase, epoch, lease_until_ms, plan_digest, migration_id, method,
    source_bundle, source_version, source_generation, target_bundle, target_version, target_generation,
    head_position, head_count, head_digest, target_count, target_digest,
    started_ms, paused_at_ms, verified_at_ms, switched_at_ms, resumed_at_ms, resumed_by, ended_ms, reason, report
from cicsc.cutover
where tenant_id = %(tenant_id)s
order by started_ms, run_id;

-- name: standings
-- How tenants stand, all or one. One statement, so that a gate and its run are of one moment.
select
    g.tenant_id, g.state, g.epoch, g.owner, g.lease_until_ms, g.pause_deadline_ms, g.active_version, g.active_bundle,
    g.active_generation, g.staging_generation, cast(%(now_ms)s as bigint),
    case
        when g.state = 'paused'
            then (select max(a.at_ms) from cicsc.audit as a where a.tenant_id = g.tenant_id and a.action = 'pause')
    end,
    r.run_id, r.tenant_id, r.kind, r.actor_id, r.phase, r.epoch, r.lease_until_ms, r.plan_digest, r.migration_id, r.method,
    r.source_bundle, r.source_version, r.source_generation, r.target_bundle, r.target_version, r.target_generation,
    r.head_position, r.head_count, r.head_digest, r.target_count, r.target_digest,
    r.started_ms, r.paused_at_ms, r.verified_at_ms, r.switched_at_ms, r.resumed_at_ms, r.resumed_by, r.ended_ms, r.reason, null
from cicsc.gate as g
left join cicsc.cutover as r
    on r.tenant_id = g.tenant_id
        and r.run_id = coalesce(
            (select h.run_id from cicsc.cutover as h where h.tenant_id = g.tenant_id and h.run_id = g.owner),
            (
                select l.run_id from cicsc.cutover as l
                where l.tenant_id = g.tenant_id and l.kind <> 'import'
                order by l.started_ms desc, l.run_id desc
                limit 1
            )
        )
where cast(%(tenant_id)s as text) is null or g.tenant_id = %(tenant_id)s
order by g.tenant_id;

-- name: take_gate
-- An operator's pause that has run out is over; that of a run is not, since something is to be cleaned up after it.
update cicsc.gate
set
    state = 'open', epoch = epoch + 1, owner = %(run_id)s, lease_until_ms = null, pause_deadline_ms = null
where tenant_id = %(tenant_id)s
    and (
        owner is null
        or (
            state = 'paused' and lease_until_ms <= %(now_ms)s
            and not exists (select 1 from cicsc.cutover where tenant_id = %(tenant_id)s and run_id = gate.owner)
        )
    );

-- name: begin_run
insert into cicsc.cutover (
    run_id, tenant_id, kind, actor_id, phase, epoch, lease_until_ms, plan_digest, migration_id,
    source_bundle, source_version, source_generation, target_bundle, target_version, head_position, started_ms
)
values (
    %(run_id)s, %(tenant_id)s, %(kind)s, %(actor_id)s, 'PLANNED', %(epoch)s, %(lease_until_ms)s,
    %(plan_digest)s, %(migration_id)s, %(source_bundle)s, %(source_version)s, %(source_generation)s,
    %(target_bundle)s, %(target_version)s, %(head_position)s, %(now_ms)s
);

-- name: keep_run
update cicsc.cutover
set lease_until_ms = %(lease_until_ms)s
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s
    and lease_until_ms > %(now_ms)s
    and exists (select 1 from cicsc.gate where tenant_id = %(tenant_id)s and owner = %(run_id)s and epoch = %(epoch)s);

-- name: keep_gate
update cicsc.gate
set lease_until_ms = %(lease_until_ms)s
where tenant_id = %(tenant_id)s and owner = %(run_id)s and epoch = %(epoch)s and state = 'paused'
    and lease_until_ms > %(now_ms)s;

-- name: set_method
update cicsc.cutover
set method = %(method)s, target_bundle = %(target_bundle)s, target_version = %(target_version)s
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s and phase = 'PLANNED';

-- name: next_generation
update cicsc.tenant set latest_generation = latest_generation + 1 where tenant_id = %(tenant_id)s returning latest_generation;

-- name: fence_gate
update cicsc.gate
set
    state = 'paused', epoch = epoch + 1, lease_until_ms = %(lease_until_ms)s, pause_deadline_ms = %(pause_deadline_ms)s,
    staging_generation = %(staging_generation)s
where tenant_id = %(tenant_id)s and owner = %(run_id)s and epoch = %(epoch)s and state = 'open';

-- name: fence_run
update cicsc.cutover
set
    phase = 'FENCED', epoch = epoch + 1, lease_until_ms = %(lease_until_ms)s, paused_at_ms = %(now_ms)s,
    head_position = %(head_position)s, head_count = %(head_count)s, target_generation = %(target_generation)s
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s and phase = 'PLANNED'
    and lease_until_ms > %(now_ms)s;

-- name: verify_run
update cicsc.cutover
set
    phase = 'VERIFIED', verified_at_ms = %(now_ms)s,
    head_digest = %(head_digest)s, target_count = %(target_count)s, target_digest = %(target_digest)s
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s and phase = 'FENCED'
    and lease_until_ms > %(now_ms)s;

-- name: stage_run
update cicsc.cutover
set phase = 'STAGED'
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s and phase = 'VERIFIED'
    and lease_until_ms > %(now_ms)s;

-- name: run_holds
select epoch from cicsc.cutover
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s and phase in ('FENCED', 'VERIFIED')
    and lease_until_ms > %(now_ms)s;

-- name: switch_gate
update cicsc.gate
set
    state = 'open', epoch = epoch + 1, lease_until_ms = null, pause_deadline_ms = null, staging_generation = null,
    active_version = %(target_version)s, active_bundle = %(target_bundle)s, active_generation = %(target_generation)s
where tenant_id = %(tenant_id)s and owner = %(run_id)s and epoch = %(epoch)s and state = 'paused' and lease_until_ms > %(now_ms)s
    and active_generation = %(source_generation)s and active_bundle = %(source_bundle)s;

-- name: switch_run
update cicsc.cutover
set
    phase = 'SWITCHED', epoch = epoch + 1, switched_at_ms = %(now_ms)s, resumed_at_ms = %(now_ms)s, resumed_by = 'switch'
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s and phase = 'STAGED'
    and lease_until_ms > %(now_ms)s;

-- name: open_gate
update cicsc.gate
set state = 'open', epoch = epoch + 1, lease_until_ms = null, pause_deadline_ms = null
where tenant_id = %(tenant_id)s and owner = %(run_id)s and epoch = %(epoch)s;

-- name: abort_run
update cicsc.cutover
set
    phase = 'ABORTED', epoch = epoch + 1, resumed_at_ms = %(resumed_at_ms)s, resumed_by = %(resumed_by)s,
    lease_until_ms = %(lease_until_ms)s, ended_ms = %(now_ms)s, reason = %(reason)s
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s
    and phase in ('PLANNED', 'FENCED', 'VERIFIED', 'STAGED');

-- name: claim_run
update cicsc.cutover
set epoch = epoch + 1, lease_until_ms = %(lease_until_ms)s
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s;

-- name: finish_run
-- What has nothing to switch is done when its work is.
update cicsc.cutover
set phase = 'DONE', ended_ms = %(now_ms)s, report = %(report)s
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s
    and (phase = 'SWITCHED' or (phase = 'PLANNED' and kind in ('import', 'finalize')));

-- name: put_report
update cicsc.cutover
set report = %(report)s
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and epoch = %(epoch)s and phase = 'ABORTED';

-- name: release_gate
update cicsc.gate
set owner = null, staging_generation = null
where tenant_id = %(tenant_id)s and owner = %(run_id)s and epoch = %(epoch)s and state = 'open'
    and exists (
        select 1 from cicsc.cutover
        where tenant_id = %(tenant_id)s and run_id = %(run_id)s and phase in ('DONE', 'ABORTED')
    );

-- name: latest_position
select coalesce(max(position), 0) from cicsc.event where tenant_id = %(tenant_id)s and generation = %(generation)s;

-- name: next_held_generation
-- The next that holds anything; generations are not counted through, since a damaged row may tell any number.
select min(h.generation)
from (
    select (
        select e.generation from cicsc.event as e
        where e.tenant_id = %(tenant_id)s and e.generation > %(generation)s
        order by e.tenant_id, e.generation limit 1
    ) as generation
    union all
    select (
        select s.generation from cicsc.snapshot as s
        where s.tenant_id = %(tenant_id)s and s.generation > %(generation)s
        order by s.tenant_id, s.generation limit 1
    )
) as h;

-- name: count_both
-- One look for both generations: nothing else of a switch takes longer.
select
    coalesce(max(case when generation = %(source_generation)s then position end), 0),
    count(case when generation = %(source_generation)s then 1 end),
    count(case when generation = %(target_generation)s then 1 end)
from cicsc.event
where tenant_id = %(tenant_id)s and generation in (%(source_generation)s, %(target_generation)s);
