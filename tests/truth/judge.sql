-- What PostgreSQL's own checks find in one database: nothing, or lines that tell it.
\set QUIET on
set client_min_messages = warning;
set lock_timeout = '60s';
create extension if not exists amcheck;
create extension if not exists pg_visibility;

-- B-trees against themselves and their tables: an error if something is wrong
do $$
declare
    index oid;
begin
    for index in
        select c.oid from pg_class c join pg_index i on i.indexrelid = c.oid join pg_am a on a.oid = c.relam
        where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence = 'p' and indisvalid and indisready
    loop
        perform bt_index_parent_check(index, true, true);
    end loop;
end $$;

-- tables, from version 14 on
select current_setting('server_version_num')::int >= 140000 as has_heap \gset
\if :has_heap
select c.oid::regclass, h.* from pg_class c, verify_heapam(c.oid) h
    where c.relkind in ('r', 'm', 't') and c.relpersistence = 'p';
\endif

select current_setting('server_version_num')::int >= 180000 as has_gin \gset
\if :has_gin
do $$
declare
    index oid;
begin
    for index in
        select c.oid from pg_class c join pg_index i on i.indexrelid = c.oid join pg_am a on a.oid = c.relam
        where a.amname = 'gin' and c.relkind = 'i' and c.relpersistence = 'p' and indisvalid and indisready
    loop
        perform gin_index_check(index);
    end loop;
end $$;
\endif

-- visibility maps against tables
select 'all-visible, says the map', c.oid::regclass, t from pg_class c, pg_check_visible(c.oid) t
    where c.relkind in ('r', 'm', 't') and c.relpersistence = 'p';
select 'all-frozen, says the map', c.oid::regclass, t from pg_class c, pg_check_frozen(c.oid) t
    where c.relkind in ('r', 'm', 't') and c.relpersistence = 'p';
