-- What the store in PostgreSQL asks and writes, by name. Every write names its tenant in its key or in its condition.
--
-- What is looked up by the key of a stream compares the whole key as one row, and orders by it. Without a sort only event_key
-- can answer that. Plans are kept by connections: one that was made while the table was small, and looked through a whole
-- tenant, would grow slower with every event. No jit: it goes by the price that a switched-off sort has on paper.

-- name: is_utf8
select current_setting('server_encoding') = 'UTF8';

-- name: installed
select
    exists (select from pg_catalog.pg_namespace where nspname = 'cicsc'),
    pg_catalog.to_regclass('cicsc.schema_version') is not null;

-- name: schema_version
select version from cicsc.schema_version;

-- name: put_schema_version
insert into cicsc.schema_version (version) values (%s);

-- name: lock_installation
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('cicsc installation', 0));

-- name: lock_shared
select pg_catalog.pg_advisory_xact_lock_shared(cicsc.lock_key(%s));

-- name: lock_exclusively
select pg_catalog.pg_advisory_xact_lock(cicsc.lock_key(%s));

-- name: put_bundle
insert into cicsc.bundle (digest, body, version) values (%s, %s, %s) on conflict do nothing;

-- name: put_event_type
insert into cicsc.event_type (bundle, entity_type, event_type) values (%s, %s, %s);

-- name: remove_event_types
delete from cicsc.event_type where bundle = %s;

-- name: bundle
select body from cicsc.bundle where digest = %s;

-- name: bundles
select digest, body from cicsc.bundle order by digest;

-- name: event_types
select entity_type, event_type from cicsc.event_type where bundle = %s;

-- name: put_tenant
insert into cicsc.tenant (tenant_id, created_ms, latest_generation)
values (%s, cicsc.clock_ms(), 1)
on conflict do nothing;

-- name: put_gate
insert into cicsc.gate (tenant_id, state, epoch, active_version, active_bundle, active_generation)
values (%s, 'open', 1, %s, %s, 1);

-- name: gate
select
    tenant_id, state, epoch, owner, lease_until_ms, pause_deadline_ms, active_version, active_bundle, active_generation,
    staging_generation, cicsc.clock_ms()
from cicsc.gate
where tenant_id = %s;

-- name: gates
select
    tenant_id, state, epoch, owner, lease_until_ms, pause_deadline_ms, active_version, active_bundle, active_generation,
    staging_generation, cicsc.clock_ms()
from cicsc.gate
order by tenant_id;

-- name: pause
-- The clock is read once, after the lock was taken.
update cicsc.gate g
set
    state = 'paused',
    epoch = g.epoch + 1,
    owner = %(owner)s,
    lease_until_ms = clock.now_ms + %(lease_ms)s,
    pause_deadline_ms = clock.now_ms + %(pause_ms)s
from (select cicsc.clock_ms() now_ms offset 0) clock
where g.tenant_id = %(tenant_id)s
    and (
        g.owner is null
        or (
            g.state = 'paused' and g.lease_until_ms <= clock.now_ms
            and not exists (select from cicsc.cutover c where c.tenant_id = %(tenant_id)s and c.run_id = g.owner)
        )
    );

-- name: renew
update cicsc.gate g
set lease_until_ms = least(g.pause_deadline_ms, clock.now_ms + %(lease_ms)s)
from (select cicsc.clock_ms() now_ms offset 0) clock
where g.tenant_id = %(tenant_id)s and g.state = 'paused' and g.owner = %(owner)s and g.epoch = %(epoch)s
    and g.lease_until_ms > clock.now_ms
    and not exists (select from cicsc.cutover c where c.tenant_id = %(tenant_id)s and c.run_id = %(owner)s);

-- name: resume
-- The pause of a run is no operator's to end: the run would be left without an end, and what it staged with it.
update cicsc.gate
set state = 'open', epoch = epoch + 1, owner = null, lease_until_ms = null, pause_deadline_ms = null
where tenant_id = %(tenant_id)s and state = 'paused' and owner = %(owner)s and epoch = %(epoch)s
    and not exists (select from cicsc.cutover c where c.tenant_id = %(tenant_id)s and c.run_id = %(owner)s);

-- name: head
select coalesce(max(position), 0), count(*) from cicsc.event where tenant_id = %s and generation = %s;

-- name: head_upto
select coalesce(max(position), 0), count(*)
from cicsc.event
where tenant_id = %s and generation = %s and position <= %s;

-- name: last_position
select max(position) from cicsc.event where tenant_id = %s and generation = %s;

-- name: latest_ts
select max(ts) from cicsc.event where tenant_id = %s and generation = %s and position <= %s;

-- name: stream_events
select entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra
from cicsc.event
where (tenant_id, generation, entity_type, entity_id, seq)
        > (%(tenant_id)s, %(generation)s, %(entity_type)s, %(entity_id)s, %(after_seq)s)
    and (tenant_id, generation, entity_type, entity_id)
        <= (%(tenant_id)s, %(generation)s, %(entity_type)s, %(entity_id)s)
order by tenant_id, generation, entity_type, entity_id, seq
limit %(limit)s;

-- name: last_seq
select max(seq) from cicsc.event where tenant_id = %s and generation = %s and entity_type = %s and entity_id = %s;

-- name: append_events
insert into cicsc.event
    (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra)
select %s, %s, e.entity_type, e.entity_id, e.seq, e.event_type, e.payload, e.ts, e.actor_id, e.extra
from unnest(
    %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[]
) with ordinality e (entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra, place)
order by e.place;

-- name: import_events
copy cicsc.event (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra) from stdin;

-- name: analyze_events
analyze cicsc.event;

-- name: generation_snapshots
select entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq
from cicsc.snapshot
where tenant_id = %s and generation = %s
order by entity_type, entity_id;

-- name: snapshot
select entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq
from cicsc.snapshot
where tenant_id = %s and generation = %s and entity_type = %s and entity_id = %s;

-- name: put_snapshots
-- Ordered by key, so that two writers of the same snapshots lock them in the same order.
insert into cicsc.snapshot as kept
    (tenant_id, generation, entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq)
select distinct on (s.entity_type, s.entity_id)
    %s, %s, s.entity_type, s.entity_id, s.state, s.attrs, s.shadows, s.updated_ts, s.last_seq
from unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[]
) s (entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq)
order by s.entity_type, s.entity_id, s.last_seq desc
on conflict (tenant_id, generation, entity_type, entity_id) do update
set
    state = excluded.state,
    attrs = excluded.attrs,
    shadows = excluded.shadows,
    updated_ts = excluded.updated_ts,
    last_seq = excluded.last_seq
where excluded.last_seq > kept.last_seq;

-- name: receipt
select result, at_ms from cicsc.command where tenant_id = %s and command_id = %s;

-- name: put_receipt
insert into cicsc.command (tenant_id, command_id, result, at_ms)
values (%s, %s, %s, cicsc.clock_ms())
on conflict do nothing;

-- name: put_audit
insert into cicsc.audit (at_ms, tenant_id, actor_id, action, detail)
values (cicsc.clock_ms(), %s, %s, %s, %s);

-- name: audit
select audit_id, at_ms, tenant_id, actor_id, action, detail from cicsc.audit order by audit_id;

-- name: tenant_audit
select audit_id, at_ms, tenant_id, actor_id, action, detail
from cicsc.audit
where tenant_id = %s
order by audit_id;

-- name: fence_functions
select
    p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid), p.prosrc, l.lanname::text, p.provolatile::text,
    p.prosecdef, coalesce(p.proconfig, '{}')
from pg_catalog.pg_proc p
join pg_catalog.pg_language l on l.oid = p.prolang
where p.pronamespace = (select oid from pg_catalog.pg_namespace where nspname = 'cicsc');

-- name: fence_triggers
select
    c.relname, t.tgname, t.tgenabled::text, t.tgtype::integer,
    (
        select coalesce(string_agg(a.attname, ', ' order by a.attnum), '')
        from pg_catalog.pg_attribute a
        where a.attrelid = t.tgrelid and a.attnum = any(t.tgattr)
    ),
    p.proname, coalesce(t.tgnewtable, ''), coalesce(t.tgoldtable, ''), pn.nspname, t.tgqual is null
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_proc p on p.oid = t.tgfoid
join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
where not t.tgisinternal
    and c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = 'cicsc')
    and c.relname in ('event', 'audit', 'gate');

-- name: fence_constraints
select n.conname, pg_catalog.pg_get_constraintdef(n.oid), n.convalidated
from pg_catalog.pg_constraint n
where n.conrelid = pg_catalog.to_regclass('cicsc.event') and n.contype in ('p', 'u', 'c');

-- name: fence_bypasses
-- What would let rows in beside the triggers, or hide rows from them.
select 'rule ' || r.rulename || ' on ' || r.ev_class::regclass::text
from pg_catalog.pg_rewrite r
where r.ev_class in (pg_catalog.to_regclass('cicsc.event'), pg_catalog.to_regclass('cicsc.audit'))
union all
select 'table ' || i.inhrelid::regclass::text || ' that inherits from ' || i.inhparent::regclass::text
from pg_catalog.pg_inherits i
where i.inhparent in (pg_catalog.to_regclass('cicsc.event'), pg_catalog.to_regclass('cicsc.audit'))
union all
-- Before a row is written or removed, a trigger can change it, or say that it is not; tgtype has 1 for a row, 2 for before.
select 'trigger ' || t.tgname || ' on ' || t.tgrelid::regclass::text
from pg_catalog.pg_trigger t
where t.tgrelid in (pg_catalog.to_regclass('cicsc.event'), pg_catalog.to_regclass('cicsc.audit'))
    and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 3 = 3
union all
select 'row security on ' || c.oid::regclass::text
from pg_catalog.pg_class c
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = 'cicsc') and c.relrowsecurity;

-- name: changed_gates
-- Written out, though fence_gate has the same: a check does not go by what it checks.
select g.tenant_id
from cicsc.gate g
left join (
    select k.bundle, jsonb_object_agg(k.entity_type, k.event_types) known_types
    from (
        select t.bundle, t.entity_type, jsonb_agg(t.event_type order by t.event_type) event_types
        from cicsc.event_type t
        group by t.bundle, t.entity_type
    ) k
    group by k.bundle
) b on b.bundle = g.active_bundle
where g.known_types is distinct from b.known_types
order by g.tenant_id;

-- name: late_positions
-- Tenants with events beyond the sequence that gives the next ones their positions, where this role may see it.
select g.tenant_id, last.position, coalesce(pg_sequence_last_value('cicsc.event_position_seq'), 0)
from cicsc.gate g
cross join lateral (
    select e.position from cicsc.event e
    where e.tenant_id = g.tenant_id and e.generation = g.active_generation
    order by e.tenant_id desc, e.generation desc, e.position desc
    limit 1
) last
where case
    when has_sequence_privilege('cicsc.event_position_seq', 'select')
        then last.position > coalesce(pg_sequence_last_value('cicsc.event_position_seq'), 0)
    end
order by g.tenant_id;

-- name: now
select cicsc.clock_ms();

-- name: own
-- The fence looks through a large batch as a whole; more memory keeps that off the disk.
select set_config('cicsc.owner', %s, true), set_config('cicsc.epoch', %s, true), set_config('work_mem', '64MB', true);

-- name: remove_events
delete from cicsc.event
where tenant_id = %(tenant_id)s and generation = %(generation)s
    and (entity_type, entity_id, seq) <= (
        select last.entity_type, last.entity_id, last.seq
        from (
            select e.entity_type, e.entity_id, e.seq from cicsc.event e
            where e.tenant_id = %(tenant_id)s and e.generation = %(generation)s
            order by e.tenant_id, e.generation, e.entity_type, e.entity_id, e.seq
            limit %(limit)s
        ) last
        order by last.entity_type desc, last.entity_id desc, last.seq desc
        limit 1
    );

-- name: remove_snapshots
delete from cicsc.snapshot
where tenant_id = %(tenant_id)s and generation = %(generation)s
    and (entity_type, entity_id) <= (
        select last.entity_type, last.entity_id
        from (
            select s.entity_type, s.entity_id from cicsc.snapshot s
            where s.tenant_id = %(tenant_id)s and s.generation = %(generation)s
            order by s.tenant_id, s.generation, s.entity_type, s.entity_id
            limit %(limit)s
        ) last
        order by last.entity_type desc, last.entity_id desc
        limit 1
    );

-- name: stage_events
copy cicsc.event
    (tenant_id, generation, position, ordinal, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra)
from stdin;

-- name: copy_bounds
-- COPY takes no parameters; what it reads is told by settings of the transaction.
select set_config('cicsc.tenant_id', %(tenant_id)s, true), set_config('cicsc.generation', %(generation)s::text, true),
    set_config('cicsc.first_type', %(first_type)s, true), set_config('cicsc.first_id', %(first_id)s, true),
    set_config('cicsc.end_generation', %(end_generation)s::text, true), set_config('cicsc.end_type', %(end_type)s, true),
    set_config('cicsc.end_id', %(end_id)s, true), set_config('cicsc.position', %(position)s::text, true);

-- name: copied_events
copy (
    select position, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra
    from cicsc.event
    where (tenant_id, generation, entity_type, entity_id) >= (
            current_setting('cicsc.tenant_id'), current_setting('cicsc.generation')::bigint,
            current_setting('cicsc.first_type'), current_setting('cicsc.first_id')
        )
        and (tenant_id, generation, entity_type, entity_id) < (
            current_setting('cicsc.tenant_id'), current_setting('cicsc.end_generation')::bigint,
            current_setting('cicsc.end_type'), current_setting('cicsc.end_id')
        )
        and position <= current_setting('cicsc.position')::bigint
    order by tenant_id, generation, entity_type, entity_id, seq
)
to stdout;

-- name: sum_events
copy (
    select tenant_id, generation, position, ordinal, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra
    from cicsc.event
    where (tenant_id, generation, entity_type, entity_id) >= (
            current_setting('cicsc.tenant_id'), current_setting('cicsc.generation')::bigint,
            current_setting('cicsc.first_type'), current_setting('cicsc.first_id')
        )
        and (tenant_id, generation, entity_type, entity_id) < (
            current_setting('cicsc.tenant_id'), current_setting('cicsc.end_generation')::bigint,
            current_setting('cicsc.end_type'), current_setting('cicsc.end_id')
        )
    order by tenant_id, generation, entity_type, entity_id, seq
)
to stdout;

-- name: stage_snapshots
copy cicsc.snapshot (tenant_id, generation, entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq) from stdin;

-- name: placed_events
-- Beside a condition on the first columns alone, the end would be looked for in every row up to the tenant's last.
select position, ordinal, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra
from cicsc.event
where (tenant_id, generation, entity_type, entity_id)
        >= (%(tenant_id)s, %(generation)s, %(first_type)s, %(first_id)s)
    and (tenant_id, generation, entity_type, entity_id)
        < (%(tenant_id)s, %(end_generation)s, %(end_type)s, %(end_id)s)
    and position <= %(position)s
order by tenant_id, generation, entity_type, entity_id, seq;

-- name: stream_at
select position, entity_type, entity_id
from cicsc.event
where tenant_id = %(tenant_id)s and generation = %(generation)s and position >= %(position)s
order by tenant_id, generation, position, ordinal
limit 1;

-- name: set_schema_version
update cicsc.schema_version set version = %s;
