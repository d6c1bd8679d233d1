-- The fence: what the database itself refuses, whoever writes and in whatever language.
--
--     TENANT_PAUSED        the tenant is paused; try again later
--     STALE_GENERATION     the generation is not the active one
--     UNKNOWN_EVENT_TYPE   the active bundle has no reducer for the event type
--     WRONG_SEQ            seq is not the stream's last + 1
--     UNKNOWN_TENANT       the tenant has no gate
--     HISTORY_IMMUTABLE    events and the audit are never changed
--     LONE_SURROGATE       a text of the event has half of a surrogate pair, which no reader takes
--
-- The message of the error begins with the code. The rest of it is fixed, since a text that is put together would need
-- SQLite 3.47 in every program that writes.
--
-- A file has one writer at a time, so a transaction that changes the gate has seen every write before it commit, and none
-- is under way beside it. INSERT OR REPLACE fires no trigger for the row that it removes; so an insert is refused before it
-- begins when its key is taken (seq is then not the last + 1) or when it names the row that it wants to be.
-- `store-check` compares what is installed with this file.

create trigger fence_insert before insert on event
begin
    select case
        when gate.tenant_id is null
            then raise(abort, 'UNKNOWN_TENANT: the tenant has no gate, expected a tenant that was created')
        when new.row_id > 0 -- negative where the statement does not give it
            then raise(abort, 'HISTORY_IMMUTABLE: row_id is given by the store, expected an insert without it')
        when gate.is_paused and not gate.is_staging
            then raise(abort, 'TENANT_PAUSED: writes of the tenant are paused, try again later')
        when new.generation is not gate.active_generation and not gate.is_staging
            then raise(abort, 'STALE_GENERATION: expected the active generation of the tenant')
        when (new.source_position is not null or new.ordinal is not 0) and not gate.is_staging
            then raise(abort, 'HISTORY_IMMUTABLE: positions are given by the store, expected an insert without them')
        when not gate.is_staging and not exists (
            select 1 from event_type
            where bundle = gate.active_bundle and entity_type = new.entity_type and event_type = new.event_type
        )
            then raise(abort, 'UNKNOWN_EVENT_TYPE: expected an event type that has a reducer in the active bundle')
        when new.seq is not 1 + coalesce((
            select max(seq) from event
            where tenant_id = new.tenant_id and generation = new.generation
                and entity_type = new.entity_type and entity_id = new.entity_id
        ), 0)
            then raise(abort, 'WRONG_SEQ: expected the last seq of the stream + 1')
        -- SQLite takes half of a pair for U+FFFD where it compares with a pattern, and two noncharacters too, but replaces
        -- bytes. Escaped backslashes are taken away first, and NUL, at which older libraries end a text.
        when not gate.is_staging and (instr(new.payload, '\u') or instr(new.extra, '\u')) and exists (
            select 1 from json_tree(
                '[' || replace(replace(new.payload || coalesce(',' || new.extra, ''), '\\', ''), '\u0000', '') || ']'
            )
            where replace(replace(replace(
                coalesce(key, '') || coalesce(atom, ''), char(0xFFFD), ''), char(0xFFFE), ''), char(0xFFFF), ''
            ) glob '*' || char(0xFFFD) || '*'
        )
            then raise(abort, 'LONE_SURROGATE: expected surrogates in pairs')
    end
    from (select 1) left join (
        select
            tenant_id,
            active_generation,
            active_bundle,
            coalesce(new.generation = staging_generation and new.generation = unlocked_generation, false) as is_staging,
            state = 'paused' and lease_until_ms > (select now_ms from clock) as is_paused
        from gate
        where tenant_id = new.tenant_id
    ) as gate;
end;

-- A row that names itself -1 looks above as if it named none; a later one of that name would replace it.
create trigger fence_row after insert on event
when new.row_id < 1
begin
    select raise(abort, 'HISTORY_IMMUTABLE: row_id is given by the store, expected an insert without it');
end;

create trigger fence_update before update on event
begin
    select raise(abort, 'HISTORY_IMMUTABLE: events are never changed');
end;

-- Staging is cleaned up, and an old generation dropped, by who unlocks it first; that can never be the active one.
create trigger fence_delete before delete on event
when not exists (select 1 from gate where tenant_id = old.tenant_id and unlocked_generation = old.generation)
begin
    select raise(abort, 'HISTORY_IMMUTABLE: events are never removed');
end;

create trigger fence_audit_insert before insert on audit
when new.audit_id > 0 -- negative where the statement does not give it
begin
    select raise(abort, 'HISTORY_IMMUTABLE: audit_id is given by the store, expected an insert without it');
end;

create trigger fence_audit_row after insert on audit
when new.audit_id < 1
begin
    select raise(abort, 'HISTORY_IMMUTABLE: audit_id is given by the store, expected an insert without it');
end;

create trigger fence_audit_update before update on audit
begin
    select raise(abort, 'HISTORY_IMMUTABLE: the audit is never changed');
end;

create trigger fence_audit_delete before delete on audit
begin
    select raise(abort, 'HISTORY_IMMUTABLE: the audit is never changed');
end;
