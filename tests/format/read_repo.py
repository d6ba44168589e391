#!/usr/bin/env python3
"""A reader of pgbr's repositories, written from docs/format.md alone: it shares no code with pgbr.

    read_repo.py REPOSITORY CLUSTER check               read and check every object; prints how many
    read_repo.py REPOSITORY CLUSTER backups             labels, oldest first
    read_repo.py REPOSITORY CLUSTER file LABEL PATH     a file of a backup to standard output
    read_repo.py REPOSITORY CLUSTER wal FILE            a file of pg_wal to standard output
    read_repo.py REPOSITORY CLUSTER restore LABEL DIR   the data directory, with the WAL it needs

An encrypted repository needs PASSPHRASE or KEY_FILE in the environment. Where the document and the
repository differ it ends with status 1 and says where. It is slow, and means to be read beside the
document: the modules here are parts of it, named and ordered as there.
"""
import os
import sys

from backups import Manifest, check_contents
from notation import Wrong, need
from objects import FILETAB, INFO, MAP, TEXT, Object, Repo, fields, u64_of, uv_of
from sums import check_sum
from wal import WALSUM, check_index, wal_file, wal_key


def check_lease(o):
    f = fields(o.read(0, TEXT), {1, 2, 3, 4, 5, 6, 7, 9, 11}, {1, 3, 5, 7}, "lease")
    systems = [0] if o.label[-8:-6] == b"G-" else [i[0] for i in o.repo.identities]
    need(uv_of(f[1]) in (1, 2) and u64_of(f[3]) in systems, "lease")


def check_backup(o):
    m = Manifest(o.repo, o.label.decode())
    for e in m.entries():
        if e["type"] == 2:
            m.content(e)


def check_wal(o):
    raw = wal_file(o)
    if WALSUM in o.types():
        check_index(o, raw)


def check_tables(o):
    for i, kind in enumerate(o.types()):
        need(kind in (FILETAB, MAP), "chunk of a metadata pack")
        o.read(i, kind)


def check(repo):
    count = {}
    body = {1: check_contents, 2: check_tables, 3: check_backup, 4: check_wal, 5: wal_file, 6: check_sum,
            8: lambda o: o.read(0, INFO), 9: check_lease}
    for key in repo.keys():
        try:
            o = Object(repo, key)
            body.get(o.kind, lambda o: o.read(0, TEXT))(o)
        except Wrong as e:
            raise Wrong(f"{key}: {e}") from e
        count[o.kind] = count.get(o.kind, 0) + 1
    for kind in sorted(count):
        print(f"kind {kind}: {count[kind]}")


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def restore(repo, label, target):
    m, files, size = Manifest(repo, label), 0, 0
    for e in m.entries():
        if e["type"] == 2:
            files, size = files + 1, size + e["size"]
        tree, _, below = e["path"].partition("/")
        path = os.path.join(target, below)
        if tree != "data":
            continue
        if e["type"] == 1:
            os.makedirs(path, exist_ok=True)
            os.chmod(path, e["attribute"][0])
        elif e["type"] == 2:
            write(path, m.content(e))
            os.chmod(path, e["attribute"][0])
        else:  # tablespaces stay inside
            os.makedirs(path)
    need((files, size) == (m.files, m.raw_bytes), "numbers of files and bytes in PUBINFO")
    write(os.path.join(target, "backup_label"), m.backup_label)
    for file in m.wal_files():
        o = Object(repo, wal_key(repo, m.sysid, m.version // 10000, file))
        write(os.path.join(target, "pg_wal", file), wal_file(o))


def put_file(repo, label, path):
    m = Manifest(repo, label)
    e = next((e for e in m.entries() if e["path"] == path), None)
    need(e is not None and e["type"] == 2, f"no file \"{path}\" in the backup")
    sys.stdout.buffer.write(m.content(e))


def put_wal(repo, file):
    key = next((k for k in repo.keys() if k.endswith("/" + file)), None)
    need(key is not None, "no such WAL file")
    sys.stdout.buffer.write(wal_file(Object(repo, key)))


def main(argv):
    commands = {"check": check, "backups": lambda r: print("\n".join(r.backups())),
                "file": put_file, "wal": put_wal, "restore": restore}
    if len(argv) < 4 or argv[3] not in commands:
        sys.exit(__doc__)
    try:
        commands[argv[3]](Repo(argv[1], argv[2]), *argv[4:])
    except Wrong as e:
        sys.exit(f"read_repo.py: {e}")


main(sys.argv)
