-- The fence: what the database itself refuses, whoever writes and in whatever language.
--
--     CI001  TENANT_PAUSED        the tenant is paused; try again later
--     CI002  STALE_GENERATION     the generation is not the active one
--     CI003  UNKNOWN_EVENT_TYPE   the active bundle has no reducer for the event type
--     CI004  WRONG_SEQ            seq is not the stream's last + 1
--     CI005  UNKNOWN_TENANT       the tenant has no gate
--     CI006  HISTORY_IMMUTABLE    events and the audit are never changed
--     CI007  LONE_SURROGATE       a text of the event has half of a surrogate pair, which no reader takes
--
-- A write takes the tenant's advisory lock, shared; who pauses or switches the tenant takes it exclusively, and so waits
-- for every write that has passed the gate, until its transaction ends. The gate is read after the lock, by a statement of
-- its own, so that READ COMMITTED sees what the lock waited for; a stricter transaction that began earlier fails with a
-- serialization error, since there the row is locked FOR SHARE.
--
-- The functions of triggers run with their owner's rights, so writers need no right but to insert events; their search
-- path is pinned, or nothing is looked up by it. The small functions before them have no settings of their own, so that
-- they are inlined. The triggers fire always, in replication roles too. `store-check` compares what is installed with this
-- file.

create function cicsc.clock_ms() returns bigint
language sql volatile
as $fence$
    select pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp()) * 1000)::pg_catalog.int8
$fence$;

-- Tenants whose names share a key wait for each other's pause, nothing worse: the lock only orders, the gate decides.
create function cicsc.lock_key(tenant text) returns bigint
language sql immutable strict
as $fence$
    select pg_catalog.hashtextextended(tenant collate pg_catalog."C", 6776938829341)
$fence$;

-- Whether this transaction has said (set_config) that it is the one that owns the gate.
create function cicsc.owns(gate cicsc.gate) returns boolean
language sql stable
as $fence$
    select coalesce(
        gate.owner = pg_catalog.current_setting('cicsc.owner', true)
        and gate.epoch::text = pg_catalog.current_setting('cicsc.epoch', true),
        false
    )
$fence$;

-- Whether a text in a JSON document is escaped to half of a surrogate pair; escaped backslashes are taken away first.
create function cicsc.has_lone_surrogate(document text) returns boolean
language sql immutable
as $fence$
    select case when pg_catalog.strpos(document, E'\\u') operator(pg_catalog.>) 0
        then pg_catalog.replace(document, E'\\\\', '') collate pg_catalog."C" operator(pg_catalog.~)
            E'\\\\u[dD][89abAB]..(?!\\\\u[dD][c-fC-F])|(?<!\\\\u[dD][89abAB]..)\\\\u[dD][c-fC-F]'
        else false
    end
$fence$;

create function cicsc.fence_insert() returns trigger
language plpgsql volatile security definer
as $fence$
declare
    one record;
    target record;
    gate cicsc.gate;
    wrong record;
    path pg_catalog.text;
    seqscan pg_catalog.text;
    jit pg_catalog.text;
    is_staged pg_catalog.bool := true;
begin
    -- The quick way, for one event, as most writes are: two small statements find that nothing speaks against it. Where they
    -- do not, the rules below decide, and say why. Nothing here is looked up by the search path, which is the writer's: to
    -- pin it costs more than to read the gate.
    select w.tenant_id, w.generation, w.entity_type, w.entity_id, w.seq, w.event_type, w.position, w.ordinal,
        pg_catalog.strpos(w.payload operator(pg_catalog.||) coalesce(w.extra, ''), E'\\u') escape_at,
        exists (select from written offset 1) has_more
    into one
    from written w;
    if not one.has_more
        and one.seq operator(pg_catalog.>=) 1
        and one.ordinal operator(pg_catalog.=) 0
        and one.position operator(pg_catalog.<=) pg_catalog.pg_sequence_last_value('cicsc.event_position_seq')
        and pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) 'read committed'
        and pg_catalog.pg_advisory_xact_lock_shared(cicsc.lock_key(one.tenant_id)) is not null
    then
        -- The event before is the first at or after its place, since this one is there by now. It is asked for by the whole
        -- key in its order, which only event_key can answer, and for more than is in that: to read an index alone takes
        -- the server longer to prepare than it spares.
        perform from cicsc.gate g
        where g.tenant_id operator(pg_catalog.=) one.tenant_id
            and g.active_generation operator(pg_catalog.=) one.generation
            and g.state operator(pg_catalog.=) 'open'
            and g.known_types operator(pg_catalog.->) one.entity_type operator(pg_catalog.?) one.event_type
            and (
                one.seq operator(pg_catalog.=) 1
                or (
                    select e.seq operator(pg_catalog.<) one.seq and e.ts is not null from cicsc.event e
                    where (e.tenant_id, e.generation, e.entity_type, e.entity_id, e.seq) operator(pg_catalog.>=)
                        (one.tenant_id, one.generation, one.entity_type, one.entity_id, one.seq operator(pg_catalog.-) 1)
                    order by e.tenant_id, e.generation, e.entity_type, e.entity_id, e.seq
                    limit 1
                )
            );
        if found and one.escape_at operator(pg_catalog.>) 0 then
            perform from written w
            where not cicsc.has_lone_surrogate(w.payload) and not cicsc.has_lone_surrogate(w.extra);
        end if;
        if found then
            return null;
        end if;
    end if;

    -- Plans are kept for the session: one made for a large statement must not read whole tables for each small one. What is
    -- switched off counts as so expensive that every statement would be compiled to machine code first, hence no jit.
    path := pg_catalog.current_setting('search_path');
    seqscan := pg_catalog.current_setting('enable_seqscan');
    jit := pg_catalog.current_setting('jit');
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
        pg_catalog.set_config('enable_seqscan', 'off', true), pg_catalog.set_config('jit', 'off', true);

    for target in select distinct w.tenant_id, w.generation from written w order by w.tenant_id, w.generation loop
        perform pg_advisory_xact_lock_shared(cicsc.lock_key(target.tenant_id));
        select g.* into gate from cicsc.gate g where g.tenant_id = target.tenant_id for share;
        if not found then
            raise exception using errcode = 'CI005',
                message = format('tenant %L has no gate: expected a tenant that was created', target.tenant_id);
        end if;
        continue when target.generation = gate.staging_generation and cicsc.owns(gate);
        is_staged := false;
        if gate.state = 'paused' and gate.lease_until_ms > cicsc.clock_ms() then
            raise exception using errcode = 'CI001',
                message = format('tenant %L is paused by %L until %s', target.tenant_id, gate.owner, gate.lease_until_ms);
        end if;
        if target.generation <> gate.active_generation then
            raise exception using errcode = 'CI002',
                message = format('cannot write into generation %s of tenant %L: expected the active generation %s',
                    target.generation, target.tenant_id, gate.active_generation);
        end if;
    end loop;

    -- What is staged is of the next bundle, and at places of the events before; its run sees to both.
    if not is_staged then
        select w.*, g.active_bundle into wrong
        from (
            select w.tenant_id, w.generation, w.entity_type, w.event_type,
                max(w.ordinal) > 0 or max(w.position) > pg_sequence_last_value('cicsc.event_position_seq') is_placed
            from written w
            group by w.tenant_id, w.generation, w.entity_type, w.event_type
        ) w
        join cicsc.gate g on g.tenant_id = w.tenant_id and g.active_generation = w.generation
        where w.is_placed or not exists (
            select from cicsc.event_type t
            where t.bundle = g.active_bundle and t.entity_type = w.entity_type and t.event_type = w.event_type
        )
        order by w.tenant_id, w.entity_type, w.event_type
        limit 1;
        if found and wrong.is_placed then
            raise exception using errcode = 'CI006',
                message = format('cannot write events of tenant %L at a place of their own: positions are given by the store',
                    wrong.tenant_id);
        elsif found then
            raise exception using errcode = 'CI003',
                message = format('event type %L of entity type %L has no reducer in the active bundle %s of tenant %L',
                    wrong.event_type, wrong.entity_type, wrong.active_bundle, wrong.tenant_id);
        end if;

        select w.* into wrong from written w
        where cicsc.has_lone_surrogate(w.payload) or cicsc.has_lone_surrogate(w.extra)
        limit 1;
        if found then
            raise exception using errcode = 'CI007',
                message = format('cannot append seq %s to stream (%L, %L, %L): expected surrogates in pairs, found a lone one',
                    wrong.seq, wrong.tenant_id, wrong.entity_type, wrong.entity_id);
        end if;
    end if;

    -- What was there has no gaps and no seq twice (event_key), so it is enough that the new ones follow it without a gap.
    -- The whole key is compared as one row, since only event_key can answer that: a plan that was made while the table was
    -- small would otherwise read the whole tenant by event_position.
    select s.* into wrong
    from (
        select w.tenant_id, w.generation, w.entity_type, w.entity_id, min(w.seq) first, max(w.seq) last, count(*) number
        from written w
        group by w.tenant_id, w.generation, w.entity_type, w.entity_id
    ) s
    where case
        when s.first < 1 or s.last - s.first + 1 <> s.number then true
        when s.first = 1 then false
        else (s.tenant_id, s.generation, s.entity_type, s.entity_id, s.first - 1) is distinct from (
            select row(e.tenant_id, e.generation, e.entity_type, e.entity_id, e.seq) from cicsc.event e
            where (e.tenant_id, e.generation, e.entity_type, e.entity_id, e.seq)
                <= (s.tenant_id, s.generation, s.entity_type, s.entity_id, s.first - 1)
            order by e.tenant_id desc, e.generation desc, e.entity_type desc, e.entity_id desc, e.seq desc
            limit 1
        )
    end
    order by s.tenant_id, s.generation, s.entity_type, s.entity_id
    limit 1;
    if not found then
        perform set_config('search_path', path, true), set_config('enable_seqscan', seqscan, true),
            set_config('jit', jit, true);
        return null;
    end if;

    select seqs.found, seqs.expected into target
    from (
        select w.seq found, lag(w.seq, 1, coalesce((
            select max(e.seq) from cicsc.event e
            where e.tenant_id = wrong.tenant_id and e.generation = wrong.generation
                and e.entity_type = wrong.entity_type and e.entity_id = wrong.entity_id
                and not exists (
                    select from written w
                    where w.tenant_id = e.tenant_id and w.generation = e.generation
                        and w.entity_type = e.entity_type and w.entity_id = e.entity_id and w.seq = e.seq
                )
        ), 0)) over (order by w.seq) + 1 expected
        from written w
        where w.tenant_id = wrong.tenant_id and w.generation = wrong.generation
            and w.entity_type = wrong.entity_type and w.entity_id = wrong.entity_id
    ) seqs
    where seqs.found <> seqs.expected
    order by seqs.found
    limit 1;
    raise exception using errcode = 'CI004',
        message = format('cannot append to stream (%L, %L, %L): expected seq %s, found %s',
            wrong.tenant_id, wrong.entity_type, wrong.entity_id, target.expected, target.found);
end
$fence$;

create function cicsc.fence_delete() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $fence$
declare
    target record;
    gate cicsc.gate;
begin
    for target in select distinct r.tenant_id, r.generation from removed r order by r.tenant_id, r.generation loop
        perform pg_advisory_xact_lock_shared(cicsc.lock_key(target.tenant_id));
        select g.* into gate from cicsc.gate g where g.tenant_id = target.tenant_id for share;
        -- Who has the tenant may clean up what was staged, and drop an old generation; never the active one.
        if not found or target.generation = gate.active_generation or not cicsc.owns(gate) then
            raise exception using errcode = 'CI006',
                message = format('cannot delete events of tenant %L, generation %s: events are never removed',
                    target.tenant_id, target.generation);
        end if;
    end loop;
    return null;
end
$fence$;

create function cicsc.fence_change() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $fence$
begin
    raise exception using errcode = 'CI006',
        message = format('cannot %s %I.%I: its rows are never changed', lower(tg_op), tg_table_schema, tg_table_name);
end
$fence$;

-- The gate holds the event types of its bundle, so that one look at it tells whether an event may pass.
create function cicsc.fence_gate() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $fence$
begin
    new.known_types := (
        select jsonb_object_agg(k.entity_type, k.event_types)
        from (
            select t.entity_type, jsonb_agg(t.event_type order by t.event_type) event_types
            from cicsc.event_type t
            where t.bundle = new.active_bundle
            group by t.entity_type
        ) k
    );
    return new;
end
$fence$;

create trigger fence_insert after insert on cicsc.event
    referencing new table as written for each statement execute function cicsc.fence_insert();
create trigger fence_update before update on cicsc.event
    for each statement execute function cicsc.fence_change();
create trigger fence_delete after delete on cicsc.event
    referencing old table as removed for each statement execute function cicsc.fence_delete();
create trigger fence_truncate before truncate on cicsc.event
    for each statement execute function cicsc.fence_change();
create trigger fence_change before update or delete or truncate on cicsc.audit
    for each statement execute function cicsc.fence_change();
create trigger fence_gate before insert or update of active_bundle, known_types on cicsc.gate
    for each row execute function cicsc.fence_gate();

alter table cicsc.event enable always trigger fence_insert;
alter table cicsc.event enable always trigger fence_update;
alter table cicsc.event enable always trigger fence_delete;
alter table cicsc.event enable always trigger fence_truncate;
alter table cicsc.audit enable always trigger fence_change;
alter table cicsc.gate enable always trigger fence_gate;

update cicsc.gate set active_bundle = active_bundle; -- of a store that is upgraded
