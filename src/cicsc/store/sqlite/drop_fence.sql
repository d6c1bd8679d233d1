-- Removes the fence, which fence.sql of this version then installs anew, in the same transaction.
drop trigger if exists fence_insert;
drop trigger if exists fence_row;
drop trigger if exists fence_update;
drop trigger if exists fence_delete;
drop trigger if exists fence_audit_insert;
drop trigger if exists fence_audit_row;
drop trigger if exists fence_audit_update;
drop trigger if exists fence_audit_delete;
