"""docs/format.md from "Sets and packs" to "What is in a backup"."""
import os

from notation import In, crc32c, need, wrap, xxh128
from objects import (BUNDLE, CONTENTS, FILEIDX, FILETAB, INFO, MAP, PACKTAB, PAGES, PUBINFO, SETTAB,
                     Object, fields, u64_of, uv_of)


def pack_key(cluster, label, number):
    return f"{cluster}/data/{label}/{number >> 10:05x}/{number:08x}"


def check_contents(o):
    need(o.n >= 2 and o.types()[-1] == CONTENTS, "a data pack ends with CONTENTS")
    c = In(o.read(o.n - 1, CONTENTS))
    need(c.uv() == 1, "version of CONTENTS")
    identity = (c.u64(), c.uv(), c.uv())
    need(identity[:2] in o.repo.identities, "pack of a system that is not known")
    paths, before, mtime = [], b"", 0
    for _ in range(c.uv()):
        shared = c.uv()
        need(shared <= len(before), "shared bytes of a path")
        before = before[:shared] + c.blob()
        size, mtime = c.uv(), wrap(mtime + c.sv())
        paths.append((before, size, mtime))
    need(c.uv() == o.n - 1, "chunks in CONTENTS")
    for i in range(o.n - 1):
        kind, digest, raw_len = c.u8(), c.bytes(16), c.uv()
        raw = o.read(i, kind)
        need(kind in (PAGES, BUNDLE) and len(raw) == raw_len and xxh128(raw) == digest,
             f"chunk {i} is not what CONTENTS says")
        if kind == PAGES:
            need(c.uv() < len(paths), "path of a chunk")
            end = blocks = 0
            for _ in range(c.uv()):
                end, count = end + c.uv(), c.uv()
                end, blocks = end + count, blocks + count
            need(blocks == o.chunks[i][3] == (raw_len + 8191) // 8192, "pages of a chunk")
        else:
            parts = [(c.uv(), c.uv()) for _ in range(c.uv())]
            need(sum(p[1] for p in parts) == raw_len and len(parts) == o.chunks[i][3], "bundle")
            for path, length in parts:
                need(paths[path][1:] == (length, 0), "size or time of a bundled file")
    c.done("CONTENTS")


# ---- MAP

def parse_map(data, sets):
    """Unit, length and extents [(set, pages, address)]."""
    m = In(data)
    need(m.uv() == 1, "version of a map")
    unit, length, n = m.uv(), m.uv(), m.uv()
    ends, extents = {}, []
    for _ in range(n):
        head, count, address = m.uv(), m.uv(), None
        s = head >> 1
        need(s < sets and count > 0 and head != 1, "extent")
        if s:
            address = ends.get(s, 0) + (m.sv() if head & 1 else 0)
            ends[s] = address + count
            need(address >= 0 and address >> 18 == address + count - 1 >> 18, "end of an extent")
        extents.append((s, count, address))
    m.done("map")
    need(sum(e[1] for e in extents) == -(-length // unit), "pages of a map")
    return unit, length, extents


# ---- Manifest

PUB_KNOWN = set(range(1, 22)) | {23}
PUB_NEEDED = {1, 3, 7, 9, 11, 13, 15, 17, 19, 21, 23}


class Manifest:
    def __init__(self, repo, label):
        self.repo, self.label, self.cache = repo, label, {}
        self.object = o = Object(repo, f"{repo.cluster}/backup/{label}/manifest")
        need(o.types()[:5] == [PUBINFO, SETTAB, PACKTAB, INFO, FILEIDX], "order of chunks")
        need(set(o.types()[5:]) <= {FILETAB, MAP}, "chunks behind FILEIDX")
        self.read_pubinfo(o.read(0, PUBINFO))
        self.read_sets(In(o.read(1, SETTAB)), In(o.read(2, PACKTAB)))
        self.read_facts(o.read(3, INFO))
        self.read_index(In(o.read(4, FILEIDX)))

    def read_pubinfo(self, data):
        f = fields(data, PUB_KNOWN, PUB_NEEDED, "PUBINFO")
        need((f[1].decode(), f[7].decode()) == (self.label, self.repo.cluster), "another's manifest")
        self.sysid, self.version, self.raw_bytes = u64_of(f[9]), uv_of(f[11]), uv_of(f[12])
        self.files, self.stored = uv_of(f[16]), uv_of(f[14])
        need((self.sysid, self.version // 10000) in self.repo.identities, "a system not known")
        need(chr(uv_of(f[3])) in "FDI", "type")
        self.segment_size, self.page_size = uv_of(f[21]), uv_of(f[23])
        s = In(f[19])
        self.wal = [(s.uv(), s.u64(), s.u64()) for _ in range(s.uv())]
        s.done("list of WAL")
        need(self.wal and self.wal[0][1] == u64_of(f[15]), "start of the WAL that is needed")

    def wal_files(self):
        """The segments in order, and the history files of their timelines."""
        size = self.segment_size
        last = {n: tli for tli, start, stop in self.wal
                for n in range(start // size, (stop - 1) // size + 1)}
        names = ["%08X%08X%08X" % (tli, n * size >> 32, (n * size & 0xFFFFFFFF) // size)
                 for n, tli in sorted(last.items())]
        return names + ["%08X.history" % tli for tli in {x[0] for x in self.wal} if tli > 1]

    def read_sets(self, s, p):
        self.sets, self.packs = [None], [None]
        for _ in range(s.uv()):
            need(s.u8() == 25, "length of a label")
            self.sets.append(s.bytes(25).decode())
            need(s.u8() == 6, "pages in a chunk")
        s.done("SETTAB")
        need(self.sets[1] == self.label, "the first set is the backup's own")
        for label in self.sets[1:]:
            packs, number = {}, -1
            for _ in range(p.uv()):
                number += 1 + p.uv()
                size, chunks, live = p.uv(), p.uv(), p.uv()
                packs[number] = (size, chunks, self.read_live(p, chunks, live))
                key = os.path.join(self.repo.path, pack_key(self.repo.cluster, label, number))
                need(os.path.getsize(key) == size, f"size of pack {number}")
            self.packs.append(packs)
        p.done("PACKTAB")
        need(sum(x[0] for x in self.packs[1].values()) == self.stored, "bytes of the own packs")

    @staticmethod
    def read_live(p, chunks, live):
        if live == chunks:
            return set(range(chunks))
        found, at, state = set(), 0, False
        while at < chunks:
            run = p.uv()
            need(run or at == 0, "empty run")
            if state:
                found |= set(range(at, at + run))
            at, state = at + run, not state
        need(at == chunks and len(found) == live, "live chunks")
        return found

    def read_facts(self, data):
        f = fields(data, {1, 2, 3, 4, 5, 6, 7, 9, 11}, {1, 3, 5, 11}, "INFO")
        self.backup_label, self.tablespace_map = f[1], f[3]
        s, t, e, a = In(f[2]), In(f[5]), In(f[4]), In(f[11])
        self.settings = {s.text(): s.text() for _ in range(s.uv())}
        self.tablespaces = [(t.uv(), t.text()) for _ in range(t.uv())]
        self.errors = [(e.text(), e.uv()) for _ in range(e.uv())]
        self.attributes = [(a.uv(), a.text(), a.text()) for _ in range(a.uv())]
        for x in (s, t, e, a):
            x.done("INFO")

    def read_index(self, x):
        self.blocks = [(x.text(), (x.uv(), x.uv(), x.uv()), x.uv()) for _ in range(x.uv())]
        self.maps = [(x.uv(), x.uv(), x.uv()) for _ in range(x.uv())]
        x.done("FILEIDX")

    def pack_chunk(self, s, pack, chunk, kind):
        """Raw bytes of a chunk of a pack; the packs and chunks used last are kept."""
        need(chunk in self.packs[s][pack][2], "a chunk that PACKTAB does not call live")
        place = (s, pack, chunk)
        if place not in self.cache:
            self.cache = {k: v for k, v in self.cache.items() if k[:2] == (s, pack) and len(k) == 2}
            if (s, pack) not in self.cache:
                key = pack_key(self.repo.cluster, self.sets[s], pack)
                self.cache[(s, pack)] = Object(self.repo, key)
            self.cache[place] = self.cache[(s, pack)].read(chunk, kind)
        return self.cache[place]

    def table(self, place, kind):
        s, pack, chunk = place
        return self.object.read(chunk, kind) if s == 0 else self.pack_chunk(s, pack, chunk, kind)

    def entries(self):
        last = None
        for first, place, n in self.blocks:
            f = In(self.table(place, FILETAB))
            need(f.uv() == n, "entries of a block")
            path, mtime = b"", 0
            for i in range(n):
                e, path, mtime = self.entry(f, path, mtime)
                need(i or path.decode() == first, "first path of a block")
                order = path.split(b"/")
                need(last is None or last < order, "order of paths")
                last = order
                yield e
            f.done("FILETAB")

    def entry(self, f, before, mtime):
        shared = f.uv()
        need(shared <= len(before), "shared bytes of a path")
        path = before[:shared] + f.blob()
        e = {"path": path.decode(), "type": f.u8(), "attribute": self.attributes[f.uv()]}
        mtime = wrap(mtime + f.sv())
        need(not set(path.split(b"/")) & {b"", b".", b".."}, "unsafe path")
        need(e["type"] in (1, 2, 3), "type of an entry")
        if e["type"] == 2:
            e["size"], e["crc"], e["place"] = f.uv(), f.u32(), f.u8()
            e["crc_known"], e["place"] = e["place"] < 16, e["place"] % 16
            e["at"] = {0: lambda: None, 1: f.blob, 2: lambda: (f.uv(), f.uv(), f.uv()),
                       3: lambda: (f.uv(), f.uv(), f.uv(), f.uv())}[e["place"]]()
        elif e["type"] == 3:
            e["target"] = f.text()
        return e, path, mtime

    def content(self, e):
        data = {0: lambda: b"",
                1: lambda: self.mapped(e["at"]),
                2: lambda: self.far_mapped(*e["at"]),
                3: lambda: self.bundled(e["size"], *e["at"])}[e["place"]]()
        need(len(data) == e["size"], f"size of {e['path']}")
        need(e["crc"] == (crc32c(data) if e["crc_known"] else 0), f"CRC of {e['path']}")
        return data

    def bundled(self, size, s, pack, chunk, offset):
        return self.pack_chunk(s, pack, chunk, BUNDLE)[offset:offset + size]

    def far_mapped(self, number, offset, length):
        return self.mapped(self.table(self.maps[number], MAP)[offset:offset + length])

    def mapped(self, data):
        unit, length, extents = parse_map(data, len(self.sets))
        out = bytearray()
        for s, count, address in extents:
            if s == 0:
                out += bytes(count * unit)
            for a in range(address, address + count) if s else ():
                raw = self.pack_chunk(s, a >> 18, a >> 6 & 0xFFF, PAGES)
                out += raw[(a & 63) * unit:(a & 63) * unit + unit]
        need(len(out) >= length, "a map that is too short")
        return bytes(out[:length])
