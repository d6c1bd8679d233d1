-- The tables of a store, version 1. Run once, in one transaction, before fence.sql.
--
-- Names are compared and ordered by their bytes (collate "C"), which is the order of code points, whatever the locale of
-- the database. Times are milliseconds since the epoch, on the database's clock.

create schema cicsc;

-- One row: the version of this schema.
create table cicsc.schema_version (
    version integer not null,
    only_row boolean primary key default true check (only_row)
);

create table cicsc.bundle (
    digest text collate "C" primary key,
    body text not null, -- the document as JSON text
    version bigint
);

-- Which events the reducers of a bundle know; the fence lets no others in.
create table cicsc.event_type (
    bundle text collate "C" not null references cicsc.bundle,
    entity_type text collate "C" not null,
    event_type text collate "C" not null,
    primary key (bundle, entity_type, event_type)
);

create table cicsc.tenant (
    tenant_id text collate "C" primary key,
    created_ms bigint not null,
    latest_generation bigint not null -- the largest that was ever given; none is given twice
);

-- One row decides who may write what for a tenant. A tenant without one is refused.
create table cicsc.gate (
    tenant_id text collate "C" primary key references cicsc.tenant,
    state text collate "C" not null check (state in ('open', 'paused')),
    epoch bigint not null, -- grows with every change of hands
    owner text collate "C",
    lease_until_ms bigint, -- a paused gate counts as open from here on
    pause_deadline_ms bigint, -- no lease is renewed beyond
    active_version bigint not null,
    active_bundle text collate "C" not null references cicsc.bundle,
    active_generation bigint not null,
    staging_generation bigint, -- invisible to readers; written by the owner of the gate alone
    check (state = 'open' or (owner is not null and lease_until_ms is not null and pause_deadline_ms is not null)),
    check (staging_generation <> active_generation)
);

create table cicsc.event (
    tenant_id text collate "C" not null,
    generation bigint not null,
    entity_type text collate "C" not null,
    entity_id text collate "C" not null,
    seq bigint not null,
    event_type text collate "C" not null,
    payload text not null, -- verbatim, so that numbers of any size and their spelling survive
    ts bigint not null,
    actor_id text collate "C" not null,
    extra text,
    position bigint not null generated always as identity,
    ordinal integer not null default 0 check (ordinal >= 0), -- tells apart what a migration made of one event
    constraint event_key primary key (tenant_id, generation, entity_type, entity_id, seq),
    constraint event_position unique (tenant_id, generation, position, ordinal),
    -- What cannot be read could never be mended, since no event is ever changed.
    constraint event_payload check (json_typeof(payload::json) = 'object'),
    constraint event_extra check (json_typeof(extra::json) = 'object')
);

-- What streams fold to. A cache: who writes events by plain SQL leaves it behind, and a reader folds what follows last_seq.
create table cicsc.snapshot (
    tenant_id text collate "C" not null,
    generation bigint not null,
    entity_type text collate "C" not null,
    entity_id text collate "C" not null,
    state text not null,
    attrs text not null,
    shadows text not null,
    updated_ts bigint,
    last_seq bigint not null,
    primary key (tenant_id, generation, entity_type, entity_id)
);

-- Receipts: a command that is sent again is answered, not carried out again.
create table cicsc.command (
    tenant_id text collate "C" not null,
    command_id text collate "C" not null,
    result text not null,
    at_ms bigint not null,
    primary key (tenant_id, command_id)
);

-- What was done to tenants, by whom. Rows are only ever added.
create table cicsc.audit (
    audit_id bigint primary key generated always as identity,
    at_ms bigint not null,
    tenant_id text collate "C",
    actor_id text collate "C" not null,
    action text collate "C" not null,
    detail text not null
);

create index audit_tenant on cicsc.audit (tenant_id, audit_id);
