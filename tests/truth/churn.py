#!/usr/bin/env python3
"""Statements that change a database in every way there is, for psql, without end.

    churn.py tables MAJOR SEED WORKERS      what the workers need
    churn.py work MAJOR SEED WORKER         the statements of one of them

Workers with numbers from 100 on only make one table longer and shorter. The seed decides what is done, not what meets what in time. A statement may fail: tables come and go. Each worker
has tables of its own, and all share one, for row locks of several transactions. Tablespaces one and two must exist.
"""
import random
import sys

TABLES = 4
GROWER = 100  # workers from this number on have one table only, and in common
INDEXES = ("btree (id)", "btree (t)", "gin (tags)", "gist (place)", "brin (id)", "hash (v)", "spgist (place)",
           "spgist (t)", "btree (v) include (id)", "btree (t, id) where id % 3 = 0")


def rows(first, count):
    return ("select n, n %% 97, md5(n::text) || repeat('x', n %% 50), array[n %% 7, n %% 31, n %% 101], "
            "point(n %% 1000, n / 7), case when n %% 200 = 0 then (select string_agg(md5((n + k)::text), '') "
            "from generate_series(1, 150) k) end from generate_series(%d, %d) n" % (first, first + count - 1))


class Worker:
    def __init__(self, major, seed, number):
        self.major, self.number = major, number
        self.rand = random.Random("%s/%s" % (seed, number))
        self.next_id = 100000
        self.gid = None

    def table(self):
        return "a%d_%d" % (self.number, self.rand.randrange(TABLES))

    def create(self, table, count):
        yield ("create table %s (id int, v int, t text, tags int[], place point, big text) with (fillfactor = %d)"
               % (table, self.rand.choice((100, 100, 70))))
        yield "alter table %s alter big set storage external" % table
        yield "insert into %s %s" % (table, rows(1, count))
        for index in self.rand.sample(INDEXES, 4):
            yield self.index(table, index)

    def index(self, table, what, how=""):
        return "create index %s %s on %s using %s" % (
            how, "i%d_%d" % (self.number, self.rand.randrange(1000000)), table, what)

    def tables(self):
        for i in range(TABLES):
            yield from self.create("a%d_%d" % (self.number, i), self.rand.randrange(500, 3000))
        n = self.number
        yield "create table parted%d (id int, t text) partition by range (id)" % n
        for i in range(3):
            yield "create table part%d_%d partition of parted%d for values from (%d) to (%d)" % (
                n, i, n, i * 1000, (i + 1) * 1000)
        yield "create index on parted%d (id)" % n
        yield "insert into parted%d select n, md5(n::text) from generate_series(0, 2999) n" % n
        yield "create unlogged table unlogged%d as select n, md5(n::text) t from generate_series(1, 3000) n" % n
        yield "create index on unlogged%d (n)" % n
        yield "create sequence seq%d cache %d" % (n, self.rand.choice((1, 10)))
        yield "create table prepared%d (id int primary key, t text)" % n

    # ---- what a worker does

    def insert(self):
        count = self.rand.choice((1, 5, 50, 300))
        self.next_id += count
        yield "insert into %s %s" % (self.table(), rows(self.next_id, count))

    def update(self):
        m = self.rand.choice((2, 7, 30, 150))
        what = self.rand.choice(("v = v + 1", "t = md5(t)", "big = repeat(t, 100)", "place = point(v, id)",
                                 "tags = tags || v", "id = id"))
        yield "update %s set %s where id %% %d = %d" % (self.table(), what, m, self.rand.randrange(m))

    def delete(self):
        m = self.rand.choice((3, 10, 50))
        yield "delete from %s where id %% %d = %d" % (self.table(), m, self.rand.randrange(m))

    def trim(self):
        yield "delete from %s where id > %d" % (self.table(), self.rand.randrange(500, self.next_id))

    def empty(self):
        table = self.table()
        yield "truncate %s" % table
        if self.rand.random() < 0.8:
            yield "insert into %s %s" % (table, rows(1, self.rand.randrange(10, 2000)))

    def again(self):
        table = self.table()
        yield "drop table %s" % table
        yield from self.create(table, self.rand.randrange(10, 2000))

    def rewrite(self):
        table = self.table()
        kind = self.rand.choice(("bigint", "int", "numeric"))
        yield "alter table %s alter v type %s using v::%s" % (table, kind, kind)

    def vacuum(self):
        how = self.rand.choice(("", "", "", "(freeze)", "(freeze)", "(full)", "(freeze, full)", "(analyze)",
                                "(truncate off)", "(disable_page_skipping)", "(index_cleanup off)"))
        yield "vacuum %s %s" % (how, self.table())

    def vacuum_catalog(self):
        table = self.rand.choice(("pg_class", "pg_attribute", "pg_index", "pg_depend", "pg_type"))
        yield "vacuum %s %s" % (self.rand.choice(("", "(freeze)", "(full)")), table)

    def cluster(self):
        table = self.table()
        yield self.index(table, "btree (id)")
        yield ("select format('cluster %s using %I', indexrelid::regclass) from pg_index join pg_class c on c.oid = "
               "indexrelid where indrelid = to_regclass('{0}') and relam = 403 and indpred is null limit 1 \\gexec"
               ).replace("cluster %s", "cluster %s" % table).replace("%I", "%s").replace("{0}", table)

    def reindex(self):
        how = self.rand.choice(("", "", "concurrently"))
        yield "reindex table %s %s" % (how, self.table())

    def index_change(self):
        table = self.table()
        yield ("select format('drop index %%s', indexrelid::regclass) from pg_index where indrelid = "
               "to_regclass('%s') order by random() limit 1 \\gexec" % table)
        yield self.index(table, self.rand.choice(INDEXES), self.rand.choice(("", "", "concurrently")))

    def partition(self):
        n, i = self.number, self.rand.randrange(3)
        yield "update parted%d set t = md5(t) where id %% 5 = %d" % (n, i)
        yield "alter table parted%d detach partition part%d_%d" % (n, n, i)
        yield "delete from part%d_%d where id %% 3 = 0" % (n, i)
        yield "alter table parted%d attach partition part%d_%d for values from (%d) to (%d)" % (
            n, n, i, i * 1000, (i + 1) * 1000)
        yield "insert into parted%d select n, 'new' from generate_series(%d, %d) n" % (n, i * 1000, i * 1000 + 300)

    def move(self):
        where = self.rand.choice(("one", "two", "pg_default"))
        yield "alter table %s set tablespace %s" % (self.table(), where)
        yield "alter index all in tablespace %s owned by postgres set tablespace %s" % (
            self.rand.choice(("one", "two")), self.rand.choice(("pg_default", "one")))

    def logged(self):
        n = self.number
        table = self.rand.choice(("unlogged%d" % n, self.table()))
        yield "alter table %s set %s" % (table, self.rand.choice(("logged", "logged", "unlogged")))
        yield "insert into unlogged%d select n, 'x' from generate_series(1, 200) n" % n

    def large_objects(self):
        yield "select lo_from_bytea(0, convert_to(repeat(md5(random()::text), %d), 'UTF8'))" % self.rand.randrange(1, 800)
        yield "select lo_put(oid, %d, 'changed') from pg_largeobject_metadata order by random() limit 2" % (
            self.rand.randrange(9000))
        yield "select lo_unlink(oid) from pg_largeobject_metadata order by random() limit 1"

    def sequences(self):
        yield "select count(nextval('seq%d')) from generate_series(1, %d)" % (self.number, self.rand.randrange(1, 70))
        if self.rand.random() < 0.2:
            yield "select setval('seq%d', %d)" % (self.number, self.rand.randrange(1, 1000))

    def prepare(self):
        if self.gid is not None:
            yield "%s prepared '%s'" % (self.rand.choice(("commit", "commit", "rollback")), self.gid)
        self.gid = "g%d_%d" % (self.number, self.next_id)
        self.next_id += 1
        yield "begin"
        yield "insert into prepared%d select %d + n, 'p' from generate_series(1, 20) n" % (
            self.number, self.next_id * 100)
        yield "delete from prepared%d where id %% 4 = 1" % self.number
        yield "create table p%d_%d as select generate_series(1, 500) n" % (self.number, self.next_id)
        if self.rand.random() < 0.5:
            yield "drop table if exists p%d_%d" % (self.number, self.next_id - 3)
        yield "prepare transaction '%s'" % self.gid

    def rolled_back(self):
        table = self.table()
        yield "begin"
        yield "insert into %s %s" % (table, rows(self.next_id, 400))
        yield "savepoint s"
        yield "drop table if exists never%d" % self.number
        yield "create table never%d as select * from %s" % (self.number, table)
        yield self.rand.choice(("truncate %s" % table, "update %s set v = 0 where id %% 9 = 1" % table))
        yield self.rand.choice(("rollback to s", "release s"))
        yield "delete from %s where id %% 40 = 3" % table
        yield self.rand.choice(("rollback", "commit"))

    def shared(self):
        low = self.rand.randrange(400)
        yield "begin"
        yield "select count(*) from (select id from shared where id between %d and %d for %s) s" % (
            low, low + 30, self.rand.choice(("share", "key share", "no key update")))
        yield "select pg_sleep(0.05)"
        yield "update shared set v = v + 1 where id = %d" % low
        yield "commit"

    def read(self):
        table = self.table()
        yield "select count(*) from %s" % table
        yield "set enable_seqscan = off"
        yield "select count(t) from %s where id between %d and %d" % (table, 100, self.rand.randrange(100, 3000))
        yield "select count(t) from %s where v = %d" % (table, self.rand.randrange(97))
        yield "reset enable_seqscan"

    def large(self):
        m, at = self.rand.choice((20, 500, 5000)), self.rand.randrange(80000)
        yield self.rand.choice((
            "update large set v = v + 1 where id %% %d = %d" % (m, at % m),
            "update large set v = v + 1 where id between %d and %d" % (at, at + 700),
            "delete from large where id between %d and %d" % (at, at + 200),
            "delete from large where id > %d" % (79000 - at % 4000),
            "insert into large select n, 1, repeat('y', 60) from generate_series(%d, %d) n" % (at, at + 400),
            "vacuum large", "vacuum (freeze) large"))

    def grow(self):
        """All at once, so that they wait for each other and the file may get more new pages than it needs: these are
        not logged. The first one cuts the end off before."""
        if self.number == GROWER and self.rand.random() < 0.4:
            yield "delete from grown where ctid >= '(%d,0)'::tid" % self.rand.choice((0, 100, 300))
            yield "vacuum (truncate) grown"
        yield "select pg_sleep(ceil(now) - now) from (select extract(epoch from clock_timestamp())::float8 now) s"
        yield "insert into grown select n, repeat('z', 1500) from generate_series(1, %d) n" % self.rand.choice((10, 100, 200))

    def checkpoint(self):
        yield "checkpoint"

    def work(self):
        choices = {
            self.insert: 14, self.update: 14, self.delete: 8, self.trim: 2, self.empty: 3, self.again: 3,
            self.rewrite: 2, self.vacuum: 9, self.vacuum_catalog: 1, self.cluster: 1, self.reindex: 2,
            self.index_change: 5, self.partition: 3, self.move: 3, self.logged: 3, self.large_objects: 4,
            self.sequences: 4, self.prepare: 3, self.rolled_back: 4, self.shared: 8, self.read: 8,
            self.large: 6, self.checkpoint: 1,
        }
        while self.number >= GROWER:
            yield from self.grow()
        while True:
            act = self.rand.choices(list(choices), list(choices.values()))[0]
            yield from act()
            yield "select pg_sleep(%.3f)" % (self.rand.random() * 0.04)


def main(words):
    major, seed, number = int(words[1]), words[2], int(words[3])
    if words[0] == "tables":
        print("create table shared as select n id, 0 v, repeat('x', 100) t from generate_series(1, 400) n;")
        print("create index on shared (id);")
        print("create table grown (id int, t text);")
        # 80 MB if there are many: more than one part of a backup
        print("create table large with (fillfactor = 10) as select n id, 0 v, repeat('x', 60) t "
              "from generate_series(1, %d) n;" % random.Random(seed).choice((4000, 4000, 20000, 80000)))
        print("create index on large (id);")
        for n in range(number):
            for statement in Worker(major, seed, n).tables():
                print(statement + ";")
        return
    print("set statement_timeout = '20s'; set lock_timeout = '3s';")
    for statement in Worker(major, seed, number).work():
        print(statement if statement.endswith("\\gexec") else statement + ";")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()
