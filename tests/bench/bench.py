#!/usr/bin/env python3
"""Measure one tool, or two in alternation, on the data sets of prepare.sh; print medians (and ratios) per operation.

bench.py [--tools pgbackrest,pgbr] [--groups backup,wal,many,extra] [--variants block,bundle,aes] [--reps 3] [--only REGEX] [--out results.jsonl]
bench.py --report results.jsonl

Groups: backup  full, incremental (no change; about 1 % of pages changed), restore, delta restore, verify, info, expire on "big"
        wal     archive-push and archive-get of all prepared segments, sync and async
        many    full, incremental (no change), restore, verify, info on "many"
The order of the tools is reversed in every other repetition. Results are appended to --out as one JSON object a line.
"""
import argparse, glob, importlib, json, os, re, shlex, statistics, subprocess, sys, time
import common as c
from measure import drop_caches, measure

SHELL_LOOP = "set -e; for s in {segs}; do {cmd}; done"


class Bench:
    def __init__(self, args):
        self.args, self.results = args, []
        self.out = open(args.out, "a") if args.out else None
        self.tools = [importlib.import_module("tool_" + t).Tool for t in args.tools.split(",")]

    def run(self, tool, op, argv, cold=False, cwd=None, repo=None, **extra):
        """Measure one command (argv: a function that returns it); repo: report how much it grew"""
        if not re.search(self.args.only, op + (" (cold)" if cold else "")):
            return
        try:
            argv = argv()
        except NotImplementedError:
            return
        before = c.tree_size(repo) if repo else (0, 0)
        if cold and not drop_caches():
            return
        try:
            r = measure(argv, cwd=cwd or c.WORK)
        except RuntimeError as e:
            print(f"FAILED {tool.name} {op}: {e}", file=sys.stderr)
            r = {"rc": 1, "err": str(e)}
        r.update(tool=tool.name, op=op + ("" if not cold else " (cold)"), **extra)
        if repo:
            after = c.tree_size(repo)
            r["repo_bytes"], r["repo_files"] = after[0] - before[0], after[1] - before[1]
        r["err"] = r["err"][-300:]
        self.results.append(r)
        if self.out:
            self.out.write(json.dumps(r) + "\n")
            self.out.flush()
        if r["rc"] == 0:
            print(f"{tool.name:11} {r['op']:38} wall {r['wall_all']:8.3f}  cpu {r['user'] + r['sys']:8.3f}  rss {r['rss_kb'] >> 10:5} MiB"
                  f"  other {r['other_cpu']:4.2f}" + (f"  repo +{r['repo_bytes'] / 1e6:.1f} MB" if repo else ""), flush=True)
        return r

    def prepare(self, tool, online=True):
        """A new repository; False if the tool cannot do that"""
        try:
            c.as_user(tool.init(online=online), cwd=c.WORK)
        except NotImplementedError:
            print(f"{tool.name}: has no such operation, left out", file=sys.stderr)
            return False
        return True

    # -- backup, restore, verify, info, expire on one cluster
    def backup(self, cluster, variant, reps, changed):
        c.start(cluster)
        tools = {T: T(cluster, variant) for T in self.tools}
        tools = {T: t for T, t in tools.items() if self.prepare(t)}
        order = lambda rep: list(tools)[:: 1 if rep % 2 == 0 else -1]
        label = f"{cluster}/{variant} "

        def archive_to(first):
            """All WAL to all tools, so that an incremental has no gap to fear; first to the one whose turn it is"""
            turn = [first] + [t for t in tools.values() if t is not first]
            c.set_archive_command(cluster, " && ".join(t.archive_command() for t in turn))

        for rep in range(reps):
            cold = rep == 0
            for T in order(rep):
                t = tools[T]
                archive_to(t)
                c.sql(cluster, "CHECKPOINT")
                if cold:
                    self.run(t, label + "full", lambda: t.full(), cold=True, repo=t.repo, rep=rep)
                c.read_all(c.pgdata(cluster))
                self.run(t, label + "full", lambda: t.full(), repo=t.repo, rep=rep)
            for T in order(rep):
                t = tools[T]
                archive_to(t)
                self.run(t, label + "incr, no change", lambda: t.incr(), repo=t.repo, rep=rep)
            if changed and re.search(self.args.only, label + "incr, 1% changed"):
                pages = c.update_pages(cluster, changed)
                for T in order(rep):
                    t = tools[T]
                    archive_to(t)
                    self.run(t, label + "incr, 1% changed", lambda: t.incr(), repo=t.repo, rep=rep, changed_pages=pages)
        c.set_archive_command(cluster, "/bin/true")
        c.stop(cluster)
        for rep in range(reps):
            for T in order(rep):
                t = tools[T]
                # ext4 is slow in giving out inodes that were freed a minute ago: where there are many files, nothing
                # is removed while restores are measured
                target = os.path.join(c.WORK, "restored" + (f"-{t.name}-{rep}" if cluster == "many" else ""))
                for cold in ([True, False] if rep == 0 else [False]):
                    if cluster == "many":
                        target += "-cold" if cold else "-warm"
                    c.remove(target)
                    c.make_dir(target)
                    c.read_all(t.repo)
                    self.run(t, label + "restore", lambda: t.restore(target), cold=cold, rep=rep)
                if cluster == "big" and re.search(self.args.only, label + "restore"):
                    c.damage(target)
                    self.run(t, label + "restore, delta", lambda: t.restore_delta(target), rep=rep)
                if cluster != "many":
                    c.remove(target)
                for cold in ([True, False] if rep == 0 else [False]):
                    c.read_all(t.repo)
                    self.run(t, label + "verify", lambda: t.verify(), cold=cold, rep=rep)
                for _ in range(3):
                    self.run(t, label + "info", lambda: t.info(), rep=rep)
        for left in glob.glob(os.path.join(c.WORK, "restored-*")):
            c.remove(left)
        for rep in range(reps):
            for T in order(rep):
                t = tools[T]
                copy = t.repo + "-copy"         # hard links: the tools replace or remove files, they never write into one
                c.remove(copy)
                subprocess.run(["cp", "-al", t.repo, copy], check=True)
                self.run(t, label + "expire", lambda: t.expire(copy), rep=rep)
                c.remove(copy)

    # -- WAL
    def wal(self, variant, reps):
        pgdata = os.path.join(c.WORK, "walpg")
        segs = c.wal_cluster(pgdata)
        total = 16 * len(segs)
        tools = [t for t in (T("big", variant, pg_path=pgdata, tag="-wal") for T in self.tools) if self.prepare(t, online=False)]
        status = "mv pg_wal/archive_status/$s.ready pg_wal/archive_status/$s.done"

        def loop(argv, then=""):
            return ["sh", "-c", SHELL_LOOP.format(segs=" ".join(segs), cmd=shlex.join(argv).replace("@SEG@", "$s") + then)]

        for rep in range(reps):
            for t in tools if rep % 2 == 0 else tools[::-1]:
                for mode in ("sync", "async"):
                    self.prepare(t, online=False)       # an empty archive for every run
                    c.mark_ready(pgdata)
                    self.run(t, f"wal/{variant} push {total} MiB {mode}", lambda: loop(t.push("@SEG@", mode), "; " + status), cwd=pgdata,
                             repo=t.repo, rep=rep)
                for mode in ("sync", "async"):
                    t.reset_async()
                    self.run(t, f"wal/{variant} get {total} MiB {mode}", lambda: loop(t.get("@SEG@", mode)), cwd=pgdata, rep=rep)
                t.reset_async()
                self.single(t, pgdata, segs, variant, rep)

    def single(self, t, pgdata, segs, variant, rep):
        """Latency of one call: fetch a segment, and ask for one that is absent (as at the end of recovery)"""
        self.run(t, f"wal/{variant} get one", lambda: t.get(segs[0], "sync"), cwd=pgdata, rep=rep)
        # many in a row: one takes less than what can be measured
        absent = " ".join(segs[0][:16] + f"FFFFFF{n:02X}" for n in range(64))
        loop = f"for s in {absent}; do {shlex.join(t.get('@SEG@', 'sync')).replace('@SEG@', '$s')}; test $? = 1 || exit 2; done"
        self.run(t, f"wal/{variant} get 64 absent", lambda: ["sh", "-c", loop], cwd=pgdata, rep=rep)


def report(results, tools):
    """Medians (and minimum wall time) per operation; with two tools, second / first as ratio"""
    ops = list(dict.fromkeys(r["op"] for r in results))
    print(f"{'operation':36} {'tool':11} {'n':>2} {'wall':>9} {'min':>9} {'cpu':>9} {'user':>9} {'sys':>8} {'rss MiB':>8} {'anon MiB':>8} {'other':>5} {'repo MB':>9}")
    for op in ops:
        med = {}
        for t in tools:
            rs = [r for r in results if r["op"] == op and r["tool"] == t and r["rc"] == 0]
            if not rs:
                continue
            m = {k: statistics.median(r.get(k, 0) for r in rs) for k in ("wall_all", "user", "sys", "rss_kb", "tree_anon_kb", "other_cpu", "repo_bytes")}
            m["cpu"], m["min"] = statistics.median(r["user"] + r["sys"] for r in rs), min(r["wall_all"] for r in rs)
            med[t] = m
            print(f"{op:36} {t:11} {len(rs):2} {m['wall_all']:9.3f} {m['min']:9.3f} {m['cpu']:9.3f} {m['user']:9.3f} {m['sys']:8.3f} {m['rss_kb'] / 1024:8.1f}"
                  f" {m['tree_anon_kb'] / 1024:8.1f} {m['other_cpu']:5.2f} {m['repo_bytes'] / 1e6:9.1f}")
        if len(med) == 2:
            a, b = (med[t] for t in tools)
            print(f"{'':36} {'ratio':11} {'':2} {b['wall_all'] / a['wall_all']:9.3f} {b['min'] / a['min']:9.3f} {b['cpu'] / max(a['cpu'], .001):9.3f}"
                  f" {'':18} {b['rss_kb'] / a['rss_kb']:8.3f} {'':14} {b['repo_bytes'] / a['repo_bytes'] if a['repo_bytes'] else 0:9.3f}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tools", default="pgbackrest")
    p.add_argument("--groups", default="backup,wal,many")
    p.add_argument("--variants", default="block,bundle,aes")
    p.add_argument("--reps", type=int, default=3)
    p.add_argument("--only", default="", metavar="REGEX", help="operations to measure, by the names in the report")
    p.add_argument("--changed", type=int, default=5000, help="transactions before the incremental backup")
    p.add_argument("--out")
    p.add_argument("--report", nargs="+", metavar="FILE")
    args = p.parse_args()
    if args.report:
        results = [json.loads(line) for f in args.report for line in open(f)]
        return report(results, list(dict.fromkeys(r["tool"] for r in results)))
    b = Bench(args)
    try:
        if "backup" in args.groups:
            for v in args.variants.split(","):
                b.backup("big", v, args.reps, args.changed)
        if "wal" in args.groups:
            for v in args.variants.split(","):
                if v != "bundle":
                    b.wal(v, args.reps)
        if "many" in args.groups:
            b.backup("many", args.variants.split(",")[0], args.reps, 0)
    finally:
        report(b.results, [T.name for T in b.tools])


if __name__ == "__main__":
    main()
