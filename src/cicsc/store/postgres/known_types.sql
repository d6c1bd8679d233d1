-- What a gate holds since version 4: the event types of its active bundle, {entity type: [event type, ...]}, kept by fence.sql.
--
-- They are read at every write, so they stay in the row and uncompressed as long as they fit into a page.
alter table cicsc.gate add column if not exists known_types jsonb;
alter table cicsc.gate alter column known_types set storage external;
alter table cicsc.gate set (toast_tuple_target = 8160);
