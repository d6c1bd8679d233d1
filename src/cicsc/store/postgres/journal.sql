-- What version 2 added to the tables: run once, in one transaction, after schema.sql and before fence.sql.
--
-- From here on gate.owner names the run that has the tenant, open or paused, or the operator who paused it.

-- The journal: what a run does to a tenant, and how far it has come. Each phase is written in the transaction of its effect.
create table cicsc.cutover (
    run_id text collate "C" not null primary key,
    tenant_id text collate "C" not null references cicsc.tenant,
    kind text collate "C" not null check (kind in ('cutover', 'rollback', 'import', 'finalize')),
    actor_id text collate "C" not null,
    phase text collate "C" not null
        check (phase in ('PLANNED', 'FENCED', 'VERIFIED', 'STAGED', 'SWITCHED', 'DONE', 'ABORTED')),
    epoch bigint not null, -- the gate's, as long as the run has the tenant
    lease_until_ms bigint not null, -- another may take over from here on
    plan_digest text collate "C",
    migration_id text collate "C",
    method text collate "C",
    source_bundle text collate "C" not null references cicsc.bundle,
    source_version bigint not null,
    source_generation bigint not null,
    target_bundle text collate "C" references cicsc.bundle,
    target_version bigint,
    target_generation bigint,
    head_position bigint not null,
    head_count bigint,
    head_digest text collate "C",
    target_count bigint,
    target_digest text collate "C",
    started_ms bigint not null,
    paused_at_ms bigint,
    verified_at_ms bigint,
    switched_at_ms bigint,
    resumed_at_ms bigint,
    resumed_by text collate "C",
    ended_ms bigint,
    reason text,
    report text
);

create index cutover_tenant on cicsc.cutover (tenant_id, started_ms, run_id);
