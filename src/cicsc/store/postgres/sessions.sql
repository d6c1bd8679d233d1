-- What the store in PostgreSQL makes of its own sessions, and asks about those of others, by name.

-- name: set_up
-- What is set for a role or a database is meant for applications: a path on which others may create functions and
-- operators, which would run with an operator's rights, and limits of time, which a long history exceeds each time anew.
-- Locks are waited for as long as is said here. The limit on idling in a transaction stays, but see `limit_idling`. Rows that
-- a policy hides are an error, since a history without them would be another. The fence takes the first of several rows.
-- What a column lacks is sent as NULL in an array, and the names in what the server writes of the fence are not quoted.
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),
    pg_catalog.set_config('lock_timeout', %s, false),
    pg_catalog.set_config('statement_timeout', '0', false), pg_catalog.set_config('idle_session_timeout', '0', false),
    case when pg_catalog.current_setting('server_version_num')::pg_catalog.int4 operator(pg_catalog.>=) 170000
        then pg_catalog.set_config('transaction_timeout', '0', false) end,
    pg_catalog.set_config('row_security', 'off', false), pg_catalog.set_config('plpgsql.extra_errors', 'none', false),
    pg_catalog.set_config('array_nulls', 'on', false), pg_catalog.set_config('quote_all_identifiers', 'off', false),
    pg_catalog.set_config('enable_sort', 'off', false), pg_catalog.set_config('enable_incremental_sort', 'off', false),
    pg_catalog.set_config('enable_bitmapscan', 'off', false), pg_catalog.set_config('jit', 'off', false);

-- name: limit_idling
-- A lease opens a tenant when nobody comes back, unless the session of who is gone goes on to hold the tenant's lock: the
-- server does not know that a process is stopped, or its machine without power. A shorter limit of others stays.
select set_config(
    'idle_in_transaction_session_timeout',
    case when l.given::interval between interval '1 ms' and l.ours::interval then l.given else l.ours end, true
)
from (select current_setting('idle_in_transaction_session_timeout') as given, cast(%s as text) as ours) l;

-- name: export_snapshot
-- The transaction idles while others read what it sees, so it must not be ended for that.
select pg_catalog.pg_export_snapshot(), set_config('idle_in_transaction_session_timeout', '0', true);

-- name: import_snapshot
set transaction snapshot %s;

-- name: lock_holders
-- Who holds the tenant's lock: sessions, and transactions that were prepared for a second phase, which have none any more.
-- Of the sessions of others the server shows no more than user and application, unless the role is in pg_read_all_stats.
select l.pid, coalesce(a.usename, x.owner), a.state, a.application_name, x.gid,
    pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.xact_start, x.prepared)))::bigint
from pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
left join pg_catalog.pg_locks t
    on l.pid is null and t.pid is null and t.locktype = 'transactionid' and t.virtualtransaction = l.virtualtransaction
left join pg_catalog.pg_prepared_xacts x on x.transaction = t.transactionid
where l.locktype = 'advisory' and l.granted and l.pid is distinct from pg_catalog.pg_backend_pid()
    and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
    and (l.classid::bigint << 32 | l.objid::bigint) = cicsc.lock_key(%s) and l.objsubid = 1
order by a.xact_start, l.pid;

-- name: end_idle_holders
-- Who has done nothing in its transaction for so long is not between two statements. Runners hold the lock exclusively.
-- Whom this role may not end is left out: an error at one would leave unsaid that others were ended before.
select a.pid, a.usename, a.application_name,
    pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp() - a.state_change) * 1000)::bigint,
    pg_catalog.pg_terminate_backend(a.pid, %(wait_ms)s)
from pg_catalog.pg_locks l
join pg_catalog.pg_stat_activity a on a.pid = l.pid
join pg_catalog.pg_roles r on r.oid = a.usesysid
where l.locktype = 'advisory' and l.granted and l.mode = 'ShareLock' and l.pid <> pg_catalog.pg_backend_pid()
    and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
    and (l.classid::bigint << 32 | l.objid::bigint) = cicsc.lock_key(%(tenant_id)s) and l.objsubid = 1
    and a.state in ('idle in transaction', 'idle in transaction (aborted)')
    and a.state_change <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => %(idle_s)s)
    and case
        when r.rolsuper then pg_catalog.current_setting('is_superuser') = 'on'
        else pg_catalog.pg_has_role(r.oid, 'usage') or pg_catalog.pg_has_role('pg_signal_backend', 'usage')
    end
order by a.xact_start;

-- name: missing_rights
-- What a run writes, and takes back where it fails.
select n.privilege || ' on ' || n.name
from (
    values ('update', 'cicsc.tenant'), ('update', 'cicsc.gate'), ('insert', 'cicsc.cutover'), ('update', 'cicsc.cutover'),
        ('insert', 'cicsc.audit'), ('insert', 'cicsc.event'), ('delete', 'cicsc.event'), ('insert', 'cicsc.snapshot'),
        ('delete', 'cicsc.snapshot')
) n (privilege, name)
where not pg_catalog.has_table_privilege(n.name, n.privilege);
