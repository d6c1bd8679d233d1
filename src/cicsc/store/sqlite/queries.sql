-- What the store in SQLite asks and writes, by name. Every write names its tenant in its key or in its condition.
-- The clock is the database's: milliseconds since the epoch, one moment per statement.

-- name: application_id
pragma application_id;

-- name: integrity_check
pragma integrity_check;

-- name: journal_mode
pragma journal_mode;

-- name: begin_wal
pragma journal_mode = wal;

-- name: count_objects
select count(*) from sqlite_schema;

-- name: schema_version
select version from schema_version;

-- name: put_schema_version
insert into schema_version (version) values (?);

-- name: installed_objects
select type, name, tbl_name, sql
from sqlite_schema
where sql is not null and name not like 'sqlite\_%' escape '\'
order by type, name;

-- name: put_bundle
insert into bundle (digest, body, version) values (?, ?, ?) on conflict do nothing;

-- name: put_event_type
insert into event_type (bundle, entity_type, event_type) values (?, ?, ?);

-- name: remove_event_types
delete from event_type where bundle = ?;

-- name: bundle
select body from bundle where digest = ?;

-- name: bundles
select digest, body from bundle order by digest;

-- name: event_types
select entity_type, event_type from event_type where bundle = ? order by entity_type, event_type;

-- name: put_tenant
insert into tenant (tenant_id, created_ms, latest_generation)
values (?, (select now_ms from clock), 1)
on conflict do nothing;

-- name: put_gate
insert into gate (tenant_id, state, epoch, active_version, active_bundle, active_generation)
values (?, 'open', 1, ?, ?, 1);

-- name: gate
select
    tenant_id, state, epoch, owner, lease_until_ms, pause_deadline_ms, active_version, active_bundle, active_generation,
    staging_generation, (select now_ms from clock)
from gate
where tenant_id = ?;

-- name: gates
select
    tenant_id, state, epoch, owner, lease_until_ms, pause_deadline_ms, active_version, active_bundle, active_generation,
    staging_generation, (select now_ms from clock)
from gate
order by tenant_id;

-- name: unlocked_gates
select tenant_id, unlocked_generation from gate where unlocked_generation is not null order by tenant_id;

-- name: lock_generations
update gate set unlocked_generation = null where unlocked_generation is not null;

-- name: pause
update gate
set
    state = 'paused',
    epoch = epoch + 1,
    owner = :owner,
    lease_until_ms = (select now_ms from clock) + :lease_ms,
    pause_deadline_ms = (select now_ms from clock) + :pause_ms
where tenant_id = :tenant_id
    and (
        owner is null
        or (
            state = 'paused' and lease_until_ms <= (select now_ms from clock)
            and not exists (select 1 from cutover where tenant_id = :tenant_id and run_id = gate.owner)
        )
    );

-- name: renew
update gate
set lease_until_ms = min(pause_deadline_ms, (select now_ms from clock) + :lease_ms)
where tenant_id = :tenant_id and state = 'paused' and owner = :owner and epoch = :epoch
    and lease_until_ms > (select now_ms from clock)
    and not exists (select 1 from cutover where tenant_id = :tenant_id and run_id = :owner);

-- name: resume
-- The pause of a run is no operator's to end: the run would be left without an end, and what it staged with it.
update gate
set state = 'open', epoch = epoch + 1, owner = null, lease_until_ms = null, pause_deadline_ms = null
where tenant_id = :tenant_id and state = 'paused' and owner = :owner and epoch = :epoch
    and not exists (select 1 from cutover where tenant_id = :tenant_id and run_id = :owner);

-- name: head
select coalesce(max(position), 0), (select count(*) from event where tenant_id = ?1 and generation = ?2)
from event
where tenant_id = ?1 and generation = ?2;

-- name: head_upto
select coalesce(max(position), 0), count(*) from event where tenant_id = ? and generation = ? and position <= ?;

-- name: last_position
select max(position) from event where tenant_id = ? and generation = ?;

-- name: latest_ts
select max(ts) from event where tenant_id = ? and generation = ? and position <= ?;

-- name: stream_events
select entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra
from event
where tenant_id = ? and generation = ? and entity_type = ? and entity_id = ? and seq > ?
order by seq;

-- name: last_seq
select coalesce(max(seq), 0) from event where tenant_id = ? and generation = ? and entity_type = ? and entity_id = ?;

-- name: append_event
insert into event (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: generation_snapshots
select entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq
from snapshot
where tenant_id = ? and generation = ?
order by entity_type, entity_id;

-- name: snapshot
select entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq
from snapshot
where tenant_id = ? and generation = ? and entity_type = ? and entity_id = ?;

-- name: put_snapshot
insert into snapshot (tenant_id, generation, entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq)
values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (tenant_id, generation, entity_type, entity_id) do update
set
    state = excluded.state,
    attrs = excluded.attrs,
    shadows = excluded.shadows,
    updated_ts = excluded.updated_ts,
    last_seq = excluded.last_seq
where excluded.last_seq > snapshot.last_seq;

-- name: receipt
select result, at_ms from command where tenant_id = ? and command_id = ?;

-- name: put_receipt
insert into command (tenant_id, command_id, result, at_ms)
values (?, ?, ?, (select now_ms from clock))
on conflict do nothing;

-- name: put_audit
insert into audit (at_ms, tenant_id, actor_id, action, detail)
values ((select now_ms from clock), ?, ?, ?, ?);

-- name: audit
select audit_id, at_ms, tenant_id, actor_id, action, detail from audit order by audit_id;

-- name: tenant_audit
select audit_id, at_ms, tenant_id, actor_id, action, detail from audit where tenant_id = ? order by audit_id;

-- name: now
select now_ms from clock;

-- name: unlock_generation
update gate set unlocked_generation = :generation
where tenant_id = :tenant_id and owner = :run_id and epoch = :epoch and active_generation <> :generation;

-- name: lock_generation
update gate set unlocked_generation = null where tenant_id = :tenant_id;

-- name: remove_events
delete from event
where row_id in (
    select row_id from event where tenant_id = :tenant_id and generation = :generation
    order by entity_type, entity_id, seq limit :limit
) and tenant_id = :tenant_id and generation = :generation;

-- name: remove_snapshots
delete from snapshot
where tenant_id = :tenant_id and generation = :generation and (entity_type, entity_id) in (
    select entity_type, entity_id from snapshot where tenant_id = :tenant_id and generation = :generation limit :limit
);

-- name: stage_event
insert into event
    (
        tenant_id, generation, source_position, ordinal,
        entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra
    )
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: placed_events
select position, ordinal, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra
from event
where tenant_id = :tenant_id and generation = :generation and position <= :position
    and (entity_type, entity_id) >= (:first_type, :first_id)
    and (generation, entity_type, entity_id) < (:end_generation, :end_type, :end_id)
order by entity_type, entity_id, seq;

-- name: stream_at
select position, entity_type, entity_id
from event
where tenant_id = :tenant_id and generation = :generation and position >= :position
order by position, ordinal
limit 1;

-- name: set_schema_version
update schema_version set version = ?;
