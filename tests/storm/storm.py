#!/usr/bin/env python3
"""Many hosts on one repository, each killed or paused at any moment; then: is all there that was promised?

    storm.py SETTINGS        SETTINGS is a JSON file that 010_many_hosts.t writes; see Storm.__init__

Two hosts take backups, two expire, four push WAL, one restores, one exchanges keys. A host is a state
directory and a configuration of its own. In a round each does its work at the same time as the others, and
has a fate: none, killed or paused at a named point or after some time; a pause is longer than a lease
lives, and may last into later rounds. When the round is over (nobody runs; some may be paused), what must
hold is looked at. The ledger holds what was acknowledged: each push and each backup that ended with success.

Prints "ok TEXT", "not ok TEXT" for each check, and "# TEXT". The seed decides who meets which fate where;
what meets what in time it cannot decide, so a seed repeats a round nearly, not exactly.
"""
import collections
import hashlib
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback

LEASE_S, PAUSE_S = 5, (6, 9)  # as lease_ttl in the configuration; a pause is longer
PUSH_PAUSE_S = (0.2, 2)  # a push has no lease
RESTORED_MAX = 8  # of the backups that are left at the end
TYPES = ("full", "full", "incr", "incr", "diff", "auto")
BRIEF = 5  # rounds: then nobody sleeps longer than needed
QUIET_S = 40  # nobody works that long in a round, unless paused

Backup = collections.namedtuple("Backup", "label type first stop")
Reported = collections.namedtuple("Reported", "type base stop")


def now():
    return time.monotonic()


class Fate:
    """What happens to one process: nothing, "kill" or "stop", at a point or after some milliseconds."""

    def __init__(self, rng, kind, points, took_ms, may_sleep):
        self.what = rng.choice(["none", "none", "kill", "kill", "stop"])
        self.pause_s = rng.uniform(*(PUSH_PAUSE_S if kind == "push" else PAUSE_S))
        self.pause_s *= rng.choice([1, 1, 2, 4]) if may_sleep else 1
        self.may_sleep = may_sleep
        self.point, self.after_s = None, rng.uniform(0, 1.2 * took_ms / 1000)
        if points and rng.random() < 0.7:  # often where much depends on what others do meanwhile
            late = [p for p in points if re.match("backup-c|manifest-|lease-|expire-", p)]
            name = rng.choice(sorted(late if late and rng.random() < 0.4 else points))
            # mostly soon: not every run passes a point as often as the dry run
            nth = rng.randint(1, points[name]) if rng.random() < 0.5 else 1
            self.point = f"{name}:{nth}"
        self.kind = kind

    def __str__(self):
        if self.what == "none":
            return self.kind
        where = f"at {self.point}" if self.point else f"after {self.after_s:.2f} s"
        for_s = f" for {self.pause_s:.0f} s" if self.what == "stop" else ""
        return f"{self.kind} {self.what} {where}{for_s}"


class Run:
    """One call of pgbr on one host, and its fate. `touched`: it was killed or paused indeed."""

    def __init__(self, storm, host, fate, *words):
        self.storm, self.host, self.fate, self.words = storm, host, fate, words
        self.status, self.out, self.touched, self.paused = None, "", False, False
        env = dict(storm.env, PGBR_CRASH_LOG=storm.path(f"points/seen-{fate.kind}"))
        if fate.point and fate.what != "none":
            env["PGBR_CRASH_AT" if fate.what == "kill" else "PGBR_STOP_AT"] = fate.point
        self.log = open(storm.path(f"log/run-{host}"), "wb+")
        self.process = subprocess.Popen(
            [storm.crashing, "-c", storm.path(f"{host}.yml"), *words], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=subprocess.STDOUT, env=env, cwd=storm.work, **storm.as_owner)
        self.begun = now()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def state(self):
        try:
            with open(f"/proc/{self.process.pid}/stat") as f:
                return f.read().rpartition(")")[2].split()[0]
        except OSError:
            return "X"

    def meet_fate(self):
        """By time; a fate at a point is met by the process itself."""
        if self.fate.what == "none" or self.fate.point or now() - self.begun < self.fate.after_s:
            return
        if not self.touched:
            self.touched = True
            self.process.send_signal(signal.SIGKILL if self.fate.what == "kill" else signal.SIGSTOP)

    def pause(self):
        self.touched = self.paused = True
        time.sleep(self.fate.pause_s)
        if self.fate.may_sleep:
            self.storm.may_wake.wait()  # not while it is looked at what there is
        self.paused = False
        self.process.send_signal(signal.SIGCONT)

    def watch(self):
        while self.process.poll() is None:
            self.meet_fate()
            if self.state() == "T":
                self.pause()
            time.sleep(0.01)
        self.log.seek(0)
        self.out = self.log.read().decode(errors="replace")
        self.log.close()
        self.status = self.process.returncode
        self.touched |= self.status == -signal.SIGKILL

    def over(self):
        return not self.thread.is_alive()


class Storm:
    def __init__(self, settings):
        self.work, self.pgbr = settings["work"], settings["pgbr"]
        self.crashing = settings["crashing"]
        self.rounds, self.seed = settings["rounds"], settings["seed"]
        self.psql, self.bin = settings["psql"], settings["bin"]
        self.mirror = settings["mirror"]  # command that puts all objects below a folder
        self.keep = settings["keep"]  # retention_full
        self.window_s = settings["window_s"]  # resume_window
        self.local = settings["local"]  # a directory, whose driver has crash points of its own
        self.passphrase = settings["passphrase"]
        self.as_owner = {"user": settings["owner"], "group": settings["owner"],
                         "extra_groups": []} if settings["owner"] else {}
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PGBR_", "PG"))}
        self.problems, self.notes = [], []
        self.acked, self.checked = {}, set()  # WAL: name -> SHA-256
        self.ledger = threading.Lock()
        self.reported, self.gone = {}, set()  # label -> Reported; labels
        self.known = {}  # the same of all that were ever listed, too
        self.marks = 0
        self.points, self.took_ms = {}, {}
        self.sleepers, self.read_up_to = [], 0
        self.may_wake = threading.Event()
        self.may_wake.set()
        self.counts = collections.Counter()
        self.expires = self.call("judge", "help", "expire")[0] == 0

    # ---- words

    def path(self, name):
        return os.path.join(self.work, name)

    def problem(self, text):
        self.problems.append(text)

    def call(self, host, *words, program=None, env=None, limit=300):
        done = subprocess.run(
            [program or self.pgbr, "-c", self.path(f"{host}.yml"), *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**self.env, **(env or {})},
            cwd=self.work, timeout=limit, check=False, **self.as_owner)
        return done.returncode, done.stdout.decode(errors="replace")

    def must(self, host, *words, good=(0,), **more):
        status, out = self.call(host, *words, **more)
        if status not in good:
            self.problem(f"{' '.join(words[:4])}: status {status}: {out[-700:]}")
        return out

    def sql(self, server, *statements):
        command = [*shlex.split(self.psql), "-d", server, *sum((["-c", s] for s in statements), [])]
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
                              cwd=self.work, timeout=120, env=self.env).stdout.decode().strip()

    # ---- pushing

    def segments(self):
        """What PostgreSQL has finished, newest last, not so old that it may be recycled meanwhile."""
        names = os.listdir(self.path("main/pg_wal/archive_status"))
        return sorted(n.partition(".")[0] for n in names if re.match(r"[0-9A-F]{24}\.(ready|done)$", n))[-20:]

    def push(self, host, name, fate):
        path = self.path(f"main/pg_wal/{name}")
        try:
            with open(path, "rb") as f:
                digest = hashlib.sha256(f.read()).hexdigest()
        except OSError:
            return True  # removed since
        run = Run(self, host, fate, "archive-push", "main", path)
        run.thread.join()
        if run.status == 0:
            with self.ledger:
                if self.acked.setdefault(name, digest) != digest:
                    self.problem(f"{name} was acknowledged with two contents")
        elif not run.touched:
            self.problem(f"{host} cannot push {name}: {run.status} {run.out[-500:]}")
        return run.status == 0

    def pusher(self, host, rng, until):
        """Pushes everything; the archiver of the server is a host of its own."""
        done = self.pushed[host]
        while not until.is_set():
            for name in [n for n in self.segments() if n not in done]:
                if self.push(host, name, self.fate(rng, "push", 0.3)):
                    done.add(name)
            time.sleep(0.1)

    def archiver(self, rng, until):
        """What archive_command does with its next calls, until it has as many as it may need; what it
        acknowledged goes into the ledger."""
        while not until.is_set():
            self.read_archiver()
            if not os.path.exists(self.path("push/next")):
                fate = self.fate(rng, "push", 0.3)
                line = {"none": "none", "kill": f"kill {fate.point or ''}", "stop": f"stop {fate.point or ''}"}
                with open(self.path("push/new"), "w") as f:
                    f.write(f"{line[fate.what]}\n")
                os.chmod(self.path("push/new"), 0o666)
                os.rename(self.path("push/new"), self.path("push/next"))
            time.sleep(0.05)

    def read_archiver(self):
        """Lines "NAME SUM" of the archiver, each once."""
        with self.ledger:
            with open(self.path("push/acked")) as f:
                f.seek(self.read_up_to)
                for line in f:
                    if line.endswith("\n"):
                        self.read_up_to += len(line)
                        name, digest = line.split()
                        if self.acked.setdefault(name, digest) != digest:
                            self.problem(f"{name} was acknowledged with two contents")

    def impostor(self, host, rng):
        """Another server under the same name pushes another content: refused, whatever happens. Of a segment
        that the newest backup needs, since one that no backup needs may be gone, and its name free."""
        first = self.needed(self.listed()[-1:])
        with self.ledger:
            names = [n for n in sorted(self.acked) if len(n) == 24 and n >= first][-3:]
        if not names:
            return
        name = rng.choice(names)
        try:
            with open(self.path(f"main/pg_wal/{name}"), "rb") as f:
                data = bytearray(f.read())
        except OSError:
            return
        data[rng.randrange(8192, len(data))] ^= 0xFF
        os.makedirs(self.path("other"), exist_ok=True)
        path = self.path(f"other/{name}")
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, 0o644)
        status, out = self.call(host, "archive-push", "main", path)
        if status == 0:
            self.problem(f"other content for {name} was accepted: {out}")
        os.unlink(path)

    # ---- the other hosts

    def fate(self, rng, kind, chance=0.7, may_sleep=False):
        fate = Fate(rng, kind, self.points.get(kind), self.took_ms.get(kind, 100), may_sleep)
        if self.rounds <= BRIEF:
            fate.pause_s = min(fate.pause_s, PAUSE_S[1])
        if rng.random() > chance:
            fate.what = "none"
        return fate

    def start(self, host, kind, rng, *words):
        if any(s.host == host for s in self.sleepers):
            return None
        fate = self.fate(rng, kind, may_sleep=kind in ("backup", "expire"))
        self.notes.append(f"{host}: {fate}")
        return Run(self, host, fate, *words)

    def restorer(self, rng):
        listed = self.listed()
        words = ["restore", "main", "--data-dir", self.path("copy"), "--force"]
        if listed and rng.random() < 0.6:
            words += ["--set", rng.choice(listed).label, "--target", "immediate"]
        return self.start("restore1", "restore", rng, *words)

    def keeper(self, rng):
        """Adds a slot, or removes one that is not the configuration's."""
        slots = json.loads(self.must("judge", "key", "list", "main", "--json"))[0]["slots"]
        spare = [s["slot"] for s in slots if s["state"] == "shut"]
        if spare and (len(spare) > 3 or rng.random() < 0.5):
            return self.start("keeper1", "key", rng, "key", "remove", "main", "--slot", rng.choice(spare))
        return self.start("keeper1", "key", rng, "key", "add", "main", "--key-file", self.path("spare.key"))

    # ---- a round

    def report(self, out):
        """Into the ledger, with the time when it ended."""
        found = [re.search(rf'"{key}": *"([^"]*)"', out) for key in ("label", "type", "stop")]
        base = re.search(r'"base": *"([^"]+)"', out)
        if all(found):
            label, kind, stop = (f[1] for f in found)
            self.reported[label] = self.known[label] = Reported(kind, base and base[1], stop)
        return all(found)

    def root(self, label):
        """The end of the full backup of its chain, as far as the chain is known."""
        one = self.known[label]
        return one.stop if one.type == "full" or one.base not in self.known else self.root(one.base)

    def judge_run(self, run):
        """Whether the end of this call may be. What was not touched must succeed."""
        self.counts[f"{run.fate.kind} {'touched' if run.touched else 'untouched'} {run.status}"] += 1
        if run.fate.kind == "backup":
            if run.status in (0, 3) and not self.report(run.out):
                self.problem(f"a backup without a label: {run.out[-500:]}")
        if run.status in (0, 3) or run.status == -signal.SIGKILL:
            return
        if run.status < 0:
            self.problem(f"{run.host} died of signal {-run.status}: {run.out[-500:]}")
        elif not run.touched and not self.may_fail(run):
            self.problem(f"{run.host} ({run.words[0]}) failed by itself with {run.status}: {run.out[-700:]}")
        elif run.touched:
            self.notes.append(f"{run.host} then: {run.out.strip().splitlines()[-1][-160:] if run.out.strip() else ''}")

    def may_fail(self, run):
        """A restore whose backup went away meanwhile says so, and one expirer leaves it to the other."""
        says = {"restore": r"expired|no backup|is being deleted|was removed|no longer",
                "expire": r"is being expired by host .*; try again later"}.get(run.fate.kind)
        return says is not None and self.expires and re.search(says, run.out) is not None

    def one_round(self, number):
        rng = random.Random(self.seed + number - 1)
        seeds = [rng.random() for _ in range(12)]
        until, pushers = threading.Event(), []
        for i in (2, 3, 4):
            pushers.append(threading.Thread(target=self.pusher, daemon=True,
                                            args=(f"push{i}", random.Random(seeds[i]), until)))
        pushers.append(threading.Thread(target=self.archiver, daemon=True,
                                        args=(random.Random(seeds[1]), until)))
        for t in pushers:
            t.start()
        runs = [self.start(f"backup{i}", "backup", random.Random(seeds[4 + i]), "backup", "main", "--json",
                           "--type", rng.choice(TYPES)) for i in (1, 2)]
        if self.expires:
            runs += [self.start(f"expire{i}", "expire", random.Random(seeds[6 + i]), "expire", "main")
                     for i in (1, 2)]
        runs.append(self.restorer(random.Random(seeds[9])))
        if rng.random() < 0.3:
            runs.append(self.keeper(random.Random(seeds[10])))
        self.impostor("push4", random.Random(seeds[11]))
        runs = [r for r in runs if r] + self.sleepers
        self.wait_for_runs(runs)
        until.set()
        for t in pushers:
            t.join()
        self.sleepers = self.hold(runs, rng.random() < 0.5)

    def wait_for_runs(self, runs):
        """Until each is over, or paused and able to sleep on."""
        end = now() + QUIET_S + sum(r.fate.pause_s for r in runs)
        while any(not r.over() and not (r.paused and r.fate.may_sleep) for r in runs):
            if now() > end:
                for r in runs:
                    if not r.over():
                        self.problem(f"{r.host} does not end: {r.words}")
                        r.process.kill()
            time.sleep(0.02)

    def hold(self, runs, patient):
        """Nobody wakes from here on. Those that are paused sleep on into the next round, but for one that
        is waited for now and then; they are returned."""
        for r in [r for r in runs if not r.over()][:patient]:
            r.thread.join()
        self.may_wake.clear()
        time.sleep(0.05)
        while any(not r.over() and not r.paused for r in runs):  # woke just before
            time.sleep(0.02)
        for r in runs:
            if r.over():
                self.judge_run(r)
        return [r for r in runs if not r.over()]

    # ---- what must hold

    def listed(self):
        status, out = self.call("judge", "-q", "list", "main", "--json")
        if status not in (0, 3):
            self.problem(f"list: status {status}: {out[-700:]}")
            return []
        data = json.loads(out[out.index("{"):])
        backups = data["clusters"][0]["repositories"][0]["backups"]
        self.known.update((b["label"], Reported(b["type"], b["base"], b["stop"])) for b in backups)
        return [Backup(b["label"], b["type"], b["start_lsn"], b["stop"]) for b in backups]

    def check_reported(self, listed):
        """What was reported is listed, unless retention had enough newer full ones, by their end, to let the
        full one of its chain go."""
        labels = {b.label for b in listed}
        for label in self.reported:
            if label in labels or label in self.gone:
                continue
            newer = [b for b in listed if b.type == "full" and b.stop > self.root(label)]
            if self.expires and len(newer) >= self.keep:
                self.gone.add(label)
            else:
                self.problem(f"backup {label} was reported and is not listed ({len(newer)} newer ones are)")

    def needed(self, listed):
        """The first segment that the oldest backup needs."""
        if not listed:
            return "0" * 24
        starts = [int(b.first.split("/")[0], 16) << 32 | int(b.first.split("/")[1], 16) for b in listed]
        first = min(starts) >> 20
        return "%08X%08X%08X" % (1, first >> 12, first & 0xFFF)

    def check_wal(self, listed, again=False):
        """Each acknowledged segment that a listed backup may need comes back, bit for bit."""
        first, got = self.needed(listed), self.path("got/segment")
        for name in sorted(self.acked):
            if name < first or (name in self.checked and not again):
                continue
            if os.path.exists(got):
                os.unlink(got)
            status, out = self.call("judge", "-q", "archive-get", "main", name, got)
            if status != 0:
                self.problem(f"{name} was acknowledged and is missing ({status}): {out[-300:]}")
                continue
            with open(got, "rb") as f:
                if hashlib.sha256(f.read()).hexdigest() != self.acked[name]:
                    self.problem(f"{name} came back with another content")
            self.checked.add(name)

    def mark(self):
        """A row that no later restore may miss, in an archived segment."""
        self.marks += 1
        name = self.sql(self.server, f"insert into mark values ({self.marks})",
                        "select pg_walfile_name(pg_current_wal_insert_lsn())",
                        "select pg_switch_wal()").splitlines()[0]
        status = self.path(f"main/pg_wal/archive_status/{name}")
        end = now() + 60
        while not os.path.exists(status + ".ready") and not os.path.exists(status + ".done"):
            if now() > end:
                return self.problem(f"{name} is never finished")
            time.sleep(0.02)
        for ready in self.segments():
            if ready <= name and ready not in self.acked:
                self.push("judge", ready, self.fate(random.Random(0), "none", -1))
        return None

    def check(self, number, thorough):
        listed = self.listed()
        self.check_reported(listed)
        self.must("judge", "-q", "verify", "main", "--deep")
        self.mark()
        self.read_archiver()
        self.check_wal(listed)
        if thorough and listed:
            rng = random.Random(self.seed + number)
            self.check_restore(None)
            self.check_restore(rng.choice(listed).label)
            self.judge_repository([b.label for b in listed])

    def check_restore(self, label):
        words = ["restore", "main", "--data-dir", self.path("copy"), "--force", "--target-action", "promote"]
        words = words + ["--set", label, "--target", "immediate"] if label else words[:-2]
        self.must("judge", *words)
        log = open(self.path("log/copy.log"), "ab")
        control = [f"{self.bin}/pg_ctl", "-D", self.path("copy"), "-w", "-t", "60"]
        options = f"-p 5499 -k {self.path('sock')} -c listen_addresses='' -c fsync=off"
        started = subprocess.run([*control, "-o", options, "start"], stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=log, cwd=self.work, check=False, **self.as_owner)
        if started.returncode != 0:
            return self.problem(f"the restored server ({label or 'latest'}) does not start: see copy.log")
        try:
            self.check_copy(label)
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], stdout=log, stderr=log, cwd=self.work,
                           check=False, **self.as_owner)
            log.close()
        return None

    def check_copy(self, label):
        server = self.server.replace(f"port={self.port}", "port=5499")
        end = now() + 60
        while self.sql(server, "select pg_is_in_recovery()") == "t":
            if now() > end:
                return self.problem(f"recovery ({label or 'latest'}) does not end")
            time.sleep(0.1)
        highest, count = self.sql(server, "select coalesce(max(n), 0), count(*) from mark").split("|")
        if highest != count or (label is None and int(count) != self.marks):
            self.problem(f"the restored server ({label or 'latest'}) has {count} marks up to {highest}, "
                         f"of {self.marks}")
        if self.sql(server, "select (select sum(abalance) from pgbench_accounts) = (select coalesce("
                    "sum(delta), 0) from pgbench_history)") != "t":
            self.problem(f"the restored server ({label or 'latest'}) is not consistent")
        return None

    # ---- by an independent reader

    def mirrored(self):
        folder = self.path("mirror")
        subprocess.run(["rm", "-rf", folder], check=True)
        subprocess.run([*shlex.split(self.mirror), folder], check=True, cwd=self.work,
                       stdout=subprocess.DEVNULL)
        return folder

    def judge_repository(self, labels):
        """Each listed backup has every pack that its manifest names. Returns what is there besides."""
        os.environ["PASSPHRASE"] = self.passphrase
        sys.path.insert(0, self.path("reader"))
        from backups import Manifest, pack_key
        from notation import Wrong
        from objects import Repo
        folder = self.mirrored()
        needed, repo = set(), Repo(folder, "main")
        for label in labels:
            try:
                m = Manifest(repo, label)
                for s, packs in zip(m.sets[1:], m.packs[1:]):
                    needed |= {pack_key("main", s, n) for n in packs}
            except (Wrong, OSError) as e:
                self.problem(f"manifest of {label}: {e}")
        return self.orphans(folder, needed, labels)

    def orphans(self, folder, needed, labels):
        left = []
        first = self.needed(self.listed())
        for root, _, files in os.walk(folder):
            for file in files:
                key = os.path.relpath(os.path.join(root, file), folder)
                kind = self.orphan_kind(key, needed, labels, first)
                if kind:
                    left.append(f"{kind}: {key}")
        return sorted(left)

    @staticmethod
    def orphan_kind(key, needed, labels, first):
        """None: it may be there. Temporary files stay for a day, fences for a month, a tombstone as long as
        others need packs of its set, and the last expirer's lease until the next one comes."""
        parts = key.split("/")
        if parts[0] != "main" or parts[1] in ("tmp", "fence", "info"):
            return None
        if parts[1] == "data" and key not in needed:
            return "packs that no backup needs"
        if parts[1] == "backup" and parts[2] not in labels:
            used = any(k.startswith(f"main/data/{parts[2]}/") for k in needed)
            return None if used and parts[3] == "expired" else "remains of backups"
        if parts[1] == "lease" and "-G-" not in key:
            return "leases"
        if parts[1] == "wal" and re.match("[0-9A-F]{24}$", parts[-1]) and parts[-1] < first:
            return "segments that no backup needs"
        return None

    # ---- all of it

    def dry_runs(self):
        """Which points each kind of work passes, how often, and how long it takes."""
        work = {"backup": ("backup1", "backup", "main", "--json"),
                "restore": ("restore1", "restore", "main", "--data-dir", self.path("copy"), "--force"),
                "expire": ("expire1", "expire", "main"),
                "key": ("keeper1", "key", "add", "main", "--key-file", self.path("spare.key"))}
        if not self.expires:
            del work["expire"]
        for kind, (host, *words) in work.items():
            self.dry_run(kind, host, *words)
        name = self.segments()[-1]
        self.dry_run("push", "push2", "archive-push", "main", self.path(f"main/pg_wal/{name}"))
        if self.local:
            self.points["push"].update(dict.fromkeys(["posix-written", "posix-linked"], 1))

    def dry_run(self, kind, host, *words):
        log = self.path(f"points/{kind}")
        begun = now()
        out = self.must(host, *words, program=self.crashing, env={"PGBR_CRASH_LOG": log}, good=(0, 3))
        self.took_ms[kind] = int(1000 * (now() - begun))
        with open(log) as f:
            points = collections.Counter(f.read().split())
        points.pop("posix-torn", None)  # tears an object, which only a person can mend
        self.points[kind] = dict(points)
        if kind == "backup":
            self.report(out)

    def learn_points(self):
        """Points that only some runs pass, such as those where something is deleted."""
        for kind, known in self.points.items():
            if os.path.exists(self.path(f"points/seen-{kind}")):
                with open(self.path(f"points/seen-{kind}")) as f:
                    for name in set(f.read().split()) - {"posix-torn"}:
                        known.setdefault(name, 1)
                os.unlink(self.path(f"points/seen-{kind}"))

    def tell(self, text):
        """One line for each check; problems are forgotten after they were told."""
        for note in self.notes:
            print(f"# {note}")
        for problem in self.problems:
            print("# PROBLEM: " + problem.replace("\n", "\n#   "))
        print(("not ok " if self.problems else "ok ") + text, flush=True)
        self.problems, self.notes = [], []

    def run(self, server, port):
        self.server, self.port = server, port
        self.pushed = {f"push{i}": set() for i in (2, 3, 4)}
        self.mark()
        self.dry_runs()
        self.tell("nothing goes wrong where nothing is killed")
        begun = now()
        for number in range(1, self.rounds + 1):
            before = now()
            self.may_wake.set()
            self.one_round(number)
            self.check(number, number % 5 == 0)
            self.learn_points()
            self.tell(f"seed {self.seed + number - 1} ({now() - before:.1f} s)")
        self.calm()
        print(f"# {self.rounds} rounds from SEED={self.seed} in {now() - begun:.0f} s; {len(self.acked)} segments, "
              f"{len(self.reported)} backups, {self.marks} marks")
        for what, n in sorted(self.counts.items()):
            print(f"# {n:5} {what}")

    def clear_away(self):
        """The janitor comes until nothing is left over, or it should long have been gone."""
        end = now() + 3 * (self.window_s + 2 * LEASE_S)
        while self.expires:
            self.must("expire1", "expire", "main")
            left = self.judge_repository([b.label for b in self.listed()])
            if not left:
                return
            if now() > end:
                self.problem(f"{len(left)} left over: " + ", ".join(left[:10]))
                return
            time.sleep(LEASE_S)

    def calm(self):
        """Everybody wakes and ends; then the janitor comes, when nothing can be resumed any more."""
        self.may_wake.set()
        for r in self.sleepers:
            r.thread.join()
            self.judge_run(r)
        listed = self.listed()
        self.mark()
        self.read_archiver()
        self.check_restore(None)
        for b in random.Random(self.seed).sample(listed, min(len(listed), RESTORED_MAX)):
            self.check_restore(b.label)
        self.clear_away()
        listed = self.listed()
        self.check_reported(listed)
        self.must("judge", "verify", "main", "--deep")
        self.check_wal(listed, again=True)
        self.tell("in the end all that was promised is there, and nothing else")


def main(argv):
    with open(argv[1]) as f:
        settings = json.load(f)
    try:
        Storm(settings).run(settings["server"], settings["port"])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # threads may wait for ever


if __name__ == "__main__":
    main(sys.argv)
