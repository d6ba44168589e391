"""docs/format.md, "WAL" and "WAL index"."""
import struct

from notation import MIB, In, hkdf, hmac256, need, xxh128
from objects import TEXT, WALCHUNK, WALSUM


def wal_key(repo, sysid, major, file):
    root = f"{repo.cluster}/wal/{sysid:016x}-{major}"
    if file.endswith(".history"):
        return f"{root}/history/{file}"
    if file.endswith(".backup"):
        return f"{root}/label/{file}"
    return f"{root}/{file[:8]}/{file[8:16]}/{file}"


def wal_file(o):
    file = o.key.rsplit("/", 1)[1]
    if o.kind == 5:
        need(o.types() == [TEXT], "chunks of a history file or backup label")
        raw = o.read(0, TEXT)
    else:
        n = o.types().count(WALCHUNK)
        need(n and o.types() in ([WALCHUNK] * n, [WALCHUNK] * n + [WALSUM]), "chunks of a segment")
        pieces = [o.read(i, WALCHUNK) for i in range(n)]
        need(all(len(p) == MIB for p in pieces[:-1]) and 0 < len(pieces[-1]) <= MIB, "sizes of WAL")
        raw = b"".join(pieces)
    key = hkdf(o.repo.rk, bytes(32), b"pgbr1 wal content tag") if o.repo.rk else b""
    need(hmac256(key, file.encode() + b"\0" + xxh128(raw))[:16] == o.tag, "content tag")
    return raw


# ---- WAL index

def check_index(o, raw):
    f, parts, last = In(o.read(o.n - 1, WALSUM)), {}, 0
    while f.left():
        tag = f.uv()
        need(tag > last and (tag % 2 == 0 or tag <= 15), "part of an index")
        last, parts[tag] = tag, In(f.blob())
    s = parts[1]
    need(s.u8() == 1 and s.u16() == struct.unpack("<H", raw[:2])[0], "version or page magic")
    major, size, tli, sysid, start = s.u8(), 1 << s.u8(), s.u32(), s.u64(), s.u64()
    flags, end = s.uv(), s.uv()
    name = o.key.rsplit("/", 1)[1]
    lsn = (int(name[8:16], 16) << 32) + int(name[16:], 16) * size
    need((size, tli, start) == (len(raw), int(name[:8], 16), lsn), "place of the index")
    need((sysid, major) in o.repo.identities and flags < 512 and end <= size, "facts of the index")
    need(flags & 7 or end == size, "end of data")
    records = check_parts(parts, size, end)
    for tag, p in parts.items():
        if tag == 2 or tag % 2:
            p.done("part of an index")
    return records


def check_parts(parts, size, end):
    """Parts 2 to 15; returns the number of records."""
    records = 0
    if 2 in parts:
        need(len(parts[2].bytes(parts[2].left())) <= 200, "reason")
    if 3 in parts:
        check_ascending(parts[3])
    if 5 in parts:
        first, _, distance, _, records, _ = (parts[5].uv() for _ in range(6))
        need(first + distance < end and records <= size // 24, "records")
    if 7 in parts:
        check_transactions(parts[7], size)
    if 9 in parts:
        at = 0
        while parts[9].left():
            kind, at, length = parts[9].uv(), at + parts[9].uv(), parts[9].uv()
            need(at < size and 1 <= kind <= 12, "event")
            parts[9].bytes(length)
    for tag in (11, 13):
        if tag in parts:
            total, here = parts[tag].uv(), parts[tag].uv()
            kept = parts[tag].bytes(parts[tag].left())
            need(here <= total and len(kept) in (0, here), "fragment")
    if 15 in parts:
        check_blocks(parts[15])
    return records


def check_ascending(t):
    before = (0, -1)
    while t.left():
        now = (t.uv(), t.uv())
        need(before[0] < now[0] and before[1] < now[1], "timelines")
        before = now


def check_transactions(t, size):
    commits, aborts, _, span = t.uv(), t.uv(), t.uv(), t.uv()
    if span:
        t.uv()
    for n in (4 if commits else 0, 2 if aborts else 0):
        base = 946684800 * 10**6
        for i in range(n):
            moment, offset, _ = base + t.sv(), t.uv(), t.uv()
            base = base if i else moment
            need(offset < size and moment > 1.5e15, "moment")


def check_blocks(b):
    group = (-1, -1)
    while b.left():
        spc, db, relations = b.uv(), b.uv(), b.uv()
        need((spc, db) > group and relations, "order of groups")
        group = (spc, db)
        for _ in range(relations):
            b.uv()
            what = b.u8()
            need(0 < what < 0x80, "forks of a relation")
            for _ in range(bin(what & 15).count("1")):
                limit, end = b.uv() - 1, -1
                for i in range(b.uv()):
                    run = b.uv()
                    first = run // 2 if i == 0 else end + run // 2 + 1
                    end = first + (b.uv() + 2 if run & 1 else 1)
                    need(end <= 0xFFFFFFFF, f"blocks, limit {limit}")
