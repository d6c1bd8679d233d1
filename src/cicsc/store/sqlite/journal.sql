-- What version 2 added to the tables: run once, in one transaction, after schema.sql and before fence.sql.
--
-- From here on gate.owner names the run that has the tenant, open or paused, or the operator who paused it.

-- The journal: what a run does to a tenant, and how far it has come. Each phase is written in the transaction of its effect.
create table cutover (
    run_id text not null primary key,
    tenant_id text not null references tenant,
    kind text not null check (kind in ('cutover', 'rollback', 'import', 'finalize')),
    actor_id text not null,
    phase text not null
        check (phase in ('PLANNED', 'FENCED', 'VERIFIED', 'STAGED', 'SWITCHED', 'DONE', 'ABORTED')),
    epoch integer not null, -- the gate's, as long as the run has the tenant
    lease_until_ms integer not null, -- another may take over from here on
    plan_digest text,
    migration_id text,
    method text,
    source_bundle text not null references bundle,
    source_version integer not null,
    source_generation integer not null,
    target_bundle text references bundle,
    target_version integer,
    target_generation integer,
    head_position integer not null,
    head_count integer,
    head_digest text,
    target_count integer,
    target_digest text,
    started_ms integer not null,
    paused_at_ms integer,
    verified_at_ms integer,
    switched_at_ms integer,
    resumed_at_ms integer,
    resumed_by text,
    ended_ms integer,
    reason text,
    report text
) strict, without rowid;

create index cutover_tenant on cutover (tenant_id, started_ms, run_id);
