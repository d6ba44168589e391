#!/usr/bin/env python3
"""pgbr as seen by the benchmark. Same methods as tool_pgbackrest.Tool; see there.

Two workers and zstd 3 like the other tool, unless PGBR_LEVEL says otherwise (1 is pgbr's default).
"""
import os, shlex
from common import JOBS, PORT, SOCK, WORK, ZST_LEVEL, make_dir, pgdata, remove


class Tool:
    name = "pgbr"

    def __init__(self, cluster="big", variant="block", pg_path=None, tag=""):
        self.bin = os.environ.get("PGBR", "pgbr")
        self.cluster, self.variant = cluster, variant       # "block" and "bundle" are the same for pgbr; "aes": encrypted
        self.level = int(os.environ.get("PGBR_LEVEL", 1 if tag == "-wal" else ZST_LEVEL))
        self.pg_path = pg_path or pgdata(cluster)
        self.root = os.path.join(WORK, self.name, f"{cluster}-{variant}{tag}")
        self.repo = os.path.join(self.root, "repo")
        self.spool = os.path.join(self.root, "spool")
        self.conf = os.path.join(self.root, "pgbr.yml")

    def write_conf(self, path, repo):
        cipher = "cipher_type: aes-256-cbc, cipher_pass: benchmark-only, " if self.variant == "aes" else ""
        with open(path, "w") as f:
            f.write(f"""state_dir: {self.root}/state
log: {{level: warning}}
repos:
  bench: {{path: {repo}, {cipher}retention_full: 1, expire_auto: n}}
clusters:
  bench:
    data: {self.pg_path}
    connection: "host={SOCK} port={PORT[self.cluster]} user=postgres dbname=bench"
    compress_level: {self.level}
    workers: {JOBS}
""")
        os.chmod(path, 0o644)

    def cmd(self, *args):
        return [self.bin, "-c", self.conf, *args]

    def init(self, online=True):
        remove(self.root)
        make_dir(os.path.join(WORK, self.name))
        make_dir(self.root)
        self.write_conf(self.conf, self.repo)
        return self.cmd("init")

    def archive_command(self):
        return shlex.join(self.cmd("archive-push")) + " %p"

    def full(self):
        return self.cmd("backup", "--type", "full")

    def incr(self):
        return self.cmd("backup", "--type", "incr")

    def restore(self, target):
        return self.cmd("restore", "--target", "immediate", "--data-dir", target)

    def restore_delta(self, target):
        return self.cmd("restore", "--target", "immediate", "--data-dir", target, "--delta")

    def verify(self):
        return ["sh", "-c", shlex.join(self.cmd("verify")) + "; test $? = 0 -o $? = 3"]     # 3: WAL of the other tool's turns is missing

    def info(self):
        return self.cmd("list", "--json")

    def expire(self, repo=None):
        raise NotImplementedError

    def push(self, segment, mode):
        return self.cmd("archive-push", f"pg_wal/{segment}")

    def get(self, segment, mode):
        return self.cmd("archive-get", segment, "pg_wal/RECOVERYXLOG")

    def reset_async(self):
        remove(self.spool)
        make_dir(self.spool)
