-- What a database holds, as text that is equal for equal contents. For psql.
select nspname from pg_namespace where nspname !~ '^pg_(toast|temp)' order by 1;
select attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull
  from pg_attribute join pg_class on pg_class.oid = attrelid
 where relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
   and relkind <> 't' and relnamespace::regnamespace::text <> 'pg_toast'
 order by attrelid::regclass::text, attnum;
select pg_get_indexdef(indexrelid) from pg_index
 where indrelid >= 16384 and indrelid::regclass::text !~ '^pg_toast' order by 1;
select conrelid::regclass, conname, pg_get_constraintdef(oid) from pg_constraint
 where oid >= 16384 order by conrelid::regclass::text, conname;
select proname, md5(prosrc) from pg_proc where oid >= 16384 order by 1, 2;
select loid, md5(string_agg(data, ''::bytea order by pageno)) from pg_largeobject
 group by loid order by loid;
select format('select %L, count(*), md5(string_agg(md5(t::text), '''' order by md5(t::text))) from %s t',
              oid::regclass, oid::regclass)
  from pg_class
 where relkind in ('r', 'm', 'S') and oid >= 16384
   and relnamespace::regnamespace::text !~ '^pg_(toast|temp)'
 order by oid::regclass::text \gexec
