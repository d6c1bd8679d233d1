-- Removes the fence, which fence.sql of this version then installs anew, in the same transaction.
drop trigger if exists fence_insert on cicsc.event;
drop trigger if exists fence_update on cicsc.event;
drop trigger if exists fence_delete on cicsc.event;
drop trigger if exists fence_truncate on cicsc.event;
drop trigger if exists fence_change on cicsc.audit;
drop trigger if exists fence_gate on cicsc.gate;
drop function if exists cicsc.fence_insert();
drop function if exists cicsc.fence_delete();
drop function if exists cicsc.fence_change();
drop function if exists cicsc.fence_gate();
drop function if exists cicsc.has_lone_surrogate(text);
drop function if exists cicsc.owns(cicsc.gate);
drop function if exists cicsc.lock_key(text);
drop function if exists cicsc.clock_ms();
