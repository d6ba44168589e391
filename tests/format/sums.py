"""docs/format.md, "Sums": each is made anew from the indexes of its segments, and compared."""
from notation import In, need
from objects import WALSUM, Object
from wal import check_parts, wal_key

NO_LIMIT = 0xFFFFFFFF


class Index:
    """The parts of an index, taken apart."""

    def __init__(self, f, segments):
        self.parts = {}
        while f.left():
            tag = f.uv()
            self.parts[tag] = f.blob()
        s = In(self.parts[1])
        need(s.u8() == 1, "version")
        self.magic, self.major, self.size = s.u16(), s.u8(), 1 << s.u8()
        self.tli, self.sysid, self.start = s.u32(), s.u64(), s.u64()
        self.flags, self.end = s.uv(), s.uv()
        s.done("part 1")
        self.span = segments * self.size
        check_parts({tag: In(p) for tag, p in self.parts.items()}, self.span, self.end)
        self.head, self.tail = self.fragment(11), self.fragment(13)
        self.records = self.numbers(5)
        self.xacts = self.numbers(7)
        self.events = self.read_events()

    def fragment(self, tag):
        if tag not in self.parts:
            return None
        f = In(self.parts[tag])
        return f.uv(), f.uv(), f.bytes(f.left())

    def numbers(self, tag):
        f, out = In(self.parts.get(tag, b"")), []
        while f.left() and len(out) < 6:
            out.append(f.uv())
        return out

    def read_events(self):
        f, at, out = In(self.parts.get(9, b"")), self.start, []
        while f.left():
            kind, at = f.uv(), at + f.uv()
            out.append((kind, at, f.blob()))
        return out

    def relations(self):
        """(locator, bits of what happened, {fork: (limit, blocks)})"""
        b = In(self.parts.get(15, b""))
        while b.left():
            spc, db, n, number = b.uv(), b.uv(), b.uv(), -1
            for _ in range(n):
                number, bits, forks = number + 1 + b.uv(), b.u8(), {}
                for fork in range(4):
                    if bits >> fork & 1:
                        forks[fork] = read_fork(b)
                yield (spc, db, number), bits & 0x70, forks


def read_fork(b):
    limit, blocks, end = b.uv() - 1, set(), -1
    for i in range(b.uv()):
        run = b.uv()
        first = run // 2 if i == 0 else end + run // 2 + 1
        end = first + (b.uv() + 2 if run & 1 else 1)
        blocks.update(range(first, end))
    return NO_LIMIT if limit < 0 else limit, blocks


class Blocks:
    """What changed, told in order."""

    def __init__(self):
        self.forks, self.what = {}, {}

    def limit(self, rel, fork, limit):
        old, blocks = self.forks.get((rel, fork), (NO_LIMIT, set()))
        self.forks[rel, fork] = min(old, limit), {b for b in blocks if b < limit}

    def add(self, rel, fork, blocks):
        old, known = self.forks.get((rel, fork), (NO_LIMIT, set()))
        self.forks[rel, fork] = old, known | blocks

    def apply(self, index):
        for rel, what, forks in index.relations():
            self.what[rel] = self.what.get(rel, 0) | what
            if what & 0x20:
                for fork in range(4):
                    if fork == 0 or (rel, fork) in self.forks:
                        self.limit(rel, fork, 0)
            for fork, (limit, blocks) in forks.items():
                if limit != NO_LIMIT:
                    self.limit(rel, fork, limit)
                self.add(rel, fork, blocks)

    def result(self):
        void = {rel for rel, what in self.what.items() if what & 0x20}
        return {(rel, fork): (0 if rel in void else limit, blocks)
                for (rel, fork), (limit, blocks) in self.forks.items()}


def block_references(record, major):
    """Of a WAL record of PostgreSQL: (relation, fork, block) of each block that it names."""
    r, rel, data = In(record[24:]), None, 0
    while r.left() > data:
        number = r.u8()
        if number == 255:  # main data, short
            data += r.u8()
        elif number == 254:
            data += r.u32()
        elif number == 253:  # origin
            r.u16()
        elif number == 252:  # top-level transaction
            r.u32()
        else:
            flags = r.u8()
            data += r.u16()
            if flags & 0x10:  # image: length, offset of its hole, info
                length, _, info = r.u16(), r.u16(), r.u8()
                data += length
                if info & 1 and info & (0x1C if major >= 15 else 2):
                    r.u16()
            if not flags & 0x80:
                rel = (r.u32(), r.u32(), r.u32())
            yield rel, flags & 15, r.u32()


class Crossing:
    """The record under way from one segment to the next."""

    def __init__(self, blocks, major):
        self.blocks, self.major, self.bytes, self.kept = blocks, major, b"", True
        self.finished, self.understood = 0, True

    def head(self, p):
        if p.flags & 0x100 or not p.head:  # abandoned, or none
            return
        self.bytes += p.head[2]
        self.kept = self.kept and not p.flags & 0x40
        if p.head[0] == p.head[1]:
            self.finished += 1
            self.finish()

    def finish(self):
        # XLOG, transactions, storage and databases say more than which blocks they changed
        self.understood = self.understood and self.kept and self.bytes[17] not in (0, 1, 2, 4)
        if self.understood:
            for rel, fork, block in block_references(self.bytes, self.major):
                self.blocks.add(rel, fork, {block})

    def tail(self, p):
        if p.tail:
            self.bytes, self.kept = p.tail[2], not p.flags & 0x80


def segments_of(o, sum_start, n, size, tli, sysid, major):
    for i in range(n):
        segno = sum_start // size + i
        per_log = (1 << 32) // size
        name = f"{tli:08X}{segno // per_log:08X}{segno % per_log:08X}"
        yield Object(o.repo, wal_key(o.repo, sysid, major, name))


def check_sum(o):
    need(o.types() == [WALSUM], "chunks of a sum")
    f = In(o.read(0, WALSUM))
    need(f.u8() == 1, "version of a sum")
    stored = [(f.bytes(16), f.uv()) for _ in range(f.uv())]
    need(2 <= len(stored) <= 65536, "number of segments")
    whole = Index(f, len(stored))
    tli, start, end = (int(x, 16) for x in o.key.rsplit("/", 1)[1].split("-"))
    need((tli, start, end) == (whole.tli, whole.start, whole.start + whole.span), "place of a sum")
    need((whole.sysid, whole.major) in o.repo.identities, "whose it is")
    need(whole.flags & ~0x1C1 == 0 and 2 not in whole.parts, "flags of a sum")
    parts = []
    for s, (tag, size) in zip(segments_of(o, start, len(stored), whole.size, tli, whole.sysid,
                                          whole.major), stored):
        need((s.tag, len(s.data)) == (tag, size), f"{s.key} is not the segment that is told")
        parts.append(Index(In(s.read(s.n - 1, WALSUM)), 1))
    compare(whole, parts)


def compare(whole, parts):
    first, last = parts[0], parts[-1]
    need(whole.head == first.head and whole.tail == last.tail, "head and tail")
    need(whole.flags == (first.flags & 0x140) | (last.flags & 0x81), "flags")
    need(whole.start + whole.end == last.start + last.end, "end of data")
    need((whole.magic, whole.size) == (first.magic, first.size), "magic and segment size")
    blocks = Blocks()
    crossing = Crossing(blocks, whole.major)
    for p in parts:
        if p is not first:
            crossing.head(p)
        blocks.apply(p)
        crossing.tail(p)
    records = sum(p.records[4] for p in parts if p.records)
    need(whole.records[4] == records + crossing.finished, "records")
    if not crossing.understood:
        return
    got = Blocks()
    got.apply(whole)
    need(got.result() == blocks.result() and got.what == blocks.what, "blocks")
    need(whole.events == [e for p in parts for e in p.events], "events")
    for i in range(3):
        counted = sum(p.xacts[i] for p in parts if p.xacts)
        need((whole.xacts or [0] * 3)[i] == counted, "transactions")
