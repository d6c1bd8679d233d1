-- The tables of a store in SQLite, version 1. Run once, in one transaction, before fence.sql.
--
-- Text is compared by its bytes, which in UTF-8 is the order of code points. Times are milliseconds since the epoch.
-- Nothing here depends on a setting of the connection (foreign keys are off by default), and no function is newer than
-- SQLite 3.38, since programs in other languages write to the file with the library that they have.

-- One row: the version of this schema.
create table schema_version (
    version integer not null,
    only_row integer primary key default 1 check (only_row = 1)
) strict;

-- The database's clock; one moment for a whole statement.
create view clock as
select cast(round((julianday('now') - 2440587.5) * 86400000) as integer) as now_ms;

create table bundle (
    digest text not null primary key,
    body text not null, -- the document as JSON text
    version integer
) strict, without rowid;

-- Which events the reducers of a bundle know; the fence lets no others in.
create table event_type (
    bundle text not null references bundle,
    entity_type text not null,
    event_type text not null,
    primary key (bundle, entity_type, event_type)
) strict, without rowid;

create table tenant (
    tenant_id text not null primary key,
    created_ms integer not null,
    latest_generation integer not null -- the largest that was ever given; none is given twice
) strict, without rowid;

-- One row decides who may write what for a tenant. A tenant without one is refused.
create table gate (
    tenant_id text not null primary key references tenant,
    state text not null check (state in ('open', 'paused')),
    epoch integer not null, -- grows with every change of hands
    owner text,
    lease_until_ms integer, -- a paused gate counts as open from here on
    pause_deadline_ms integer, -- no lease is renewed beyond
    active_version integer not null,
    active_bundle text not null references bundle,
    active_generation integer not null,
    staging_generation integer, -- invisible to readers; written by the owner of the gate alone
    -- The generation that the owner's transaction at hand may write or remove, never the active one. It is set and
    -- cleared inside that transaction; nobody else can write meanwhile, so nobody else ever sees it set.
    unlocked_generation integer,
    check (state = 'open' or (owner is not null and lease_until_ms is not null and pause_deadline_ms is not null)),
    check (staging_generation <> active_generation),
    check (unlocked_generation <> active_generation)
) strict, without rowid;

create table event (
    row_id integer primary key autoincrement,
    tenant_id text not null,
    generation integer not null,
    entity_type text not null,
    entity_id text not null,
    seq integer not null,
    event_type text not null,
    -- Verbatim, so that numbers of any size and their spelling survive. What cannot be read could never be mended, since
    -- no event is ever changed.
    payload text not null check (json_valid(payload) and json_type(payload) = 'object'),
    ts integer not null,
    actor_id text not null,
    extra text check (extra is null or (json_valid(extra) and json_type(extra) = 'object')),
    source_position integer, -- a migrated event keeps the position of the event that it was made of
    ordinal integer not null default 0, -- tells apart what a migration made of one event
    position integer not null generated always as (coalesce(source_position, row_id)) virtual
) strict;

create unique index event_key on event (tenant_id, generation, entity_type, entity_id, seq);

-- Not unique, so that no INSERT OR REPLACE can remove an event by its position.
create index event_position on event (tenant_id, generation, position, ordinal);

-- What streams fold to. A cache: who writes events by plain SQL leaves it behind, and a reader folds what follows last_seq.
create table snapshot (
    tenant_id text not null,
    generation integer not null,
    entity_type text not null,
    entity_id text not null,
    state text not null,
    attrs text not null,
    shadows text not null,
    updated_ts integer,
    last_seq integer not null,
    primary key (tenant_id, generation, entity_type, entity_id)
) strict, without rowid;

-- Receipts: a command that is sent again is answered, not carried out again.
create table command (
    tenant_id text not null,
    command_id text not null,
    result text not null,
    at_ms integer not null,
    primary key (tenant_id, command_id)
) strict, without rowid;

-- What was done to tenants, by whom. Rows are only ever added.
create table audit (
    audit_id integer primary key autoincrement,
    at_ms integer not null,
    tenant_id text,
    actor_id text not null,
    action text not null,
    detail text not null
) strict;

create index audit_tenant on audit (tenant_id, audit_id);
