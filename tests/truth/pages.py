#!/usr/bin/env python3
"""Compares the relation files of two data directories, page by page.

    pages.py compare REFERENCE COPY [ORPHANS]
                                           servers stopped, both at the same position of the WAL. ORPHANS: a file for
                                           the names of those that only COPY has; they do not count as differing
    pages.py spoil OLD COPY FILE MAX       overwrites pages of a file of COPY that differ by those of OLD, some of them

What replay does not determine is masked, and only in pages that are not the same byte for byte:

  page header     LSN and checksum (a hint bit changes them), "full" and "free lines" flags, pd_prune_xid
  all pages       the hole between pd_lower and pd_upper
  heap            hint bits, command ids, speculative tokens, padding behind tuples
  indexes         "dead" line pointers of leaves and flags that say there are some, cycle ids, GiST's NSN and
                  follow-right flag, content of deleted pages
  SP-GiST         block 0: what it knows of free pages is not logged
  sequences       the log holds the value that all fetched numbers lead to
  new pages       a file is made longer without WAL, so an empty page that was never logged counts as zeroes

The commit log and the maps of file numbers are compared too. Free space maps are not logged, and visibility maps can have fewer bits after replay: neither is compared; the second
kind is left to pg_visibility. Prints "differs ..." for each page or file, and one line of sums; status 1 if
anything differs.
"""
import os
import re
import struct
import sys

PAGE = 8192
ZERO = bytes(PAGE)
REL_FILE = re.compile(r"^[0-9]+(_[a-z]+)?(\.[0-9]+)?$")
NO_WAL = ("_fsm", "_vm")

LP_NORMAL = 1
XMIN_FROZEN, XMIN_HINTS, XMAX_HINTS, COMBO_CID = 0x0300, 0x0300, 0x0C00, 0x0020
SPECULATIVE = 0xFFFE
BTREE_LEAF, BTREE_DELETED, BTREE_SPLIT_END, BTREE_GARBAGE = 1, 4, 0x20, 0x40
HASH_IN_BUCKET, HASH_IN_USE, HASH_DEAD = 3, 0xF, 0x80
GIST_LEAF, GIST_FOLLOW_RIGHT, GIST_GARBAGE = 1, 8, 16
GIN_DELETED = 4
BRIN_META, BRIN_REVMAP, BRIN_REGULAR = 0xF091, 0xF092, 0xF093


def u16(page, at):
    return page[at] | page[at + 1] << 8


def lsn_of(page):
    return struct.unpack_from("<I", page, 0)[0] << 32 | struct.unpack_from("<I", page, 4)[0]


def lsn_text(lsn):
    return "%X/%X" % (lsn >> 32, lsn & 0xFFFFFFFF)


class Page:
    """One page, told apart by its header and by what access methods leave at its end."""

    def __init__(self, raw, block):
        self.raw, self.block = raw, block
        self.lower, self.upper, self.special = struct.unpack_from("<HHH", raw, 12)
        self.sound = 24 <= self.lower <= self.upper <= self.special <= PAGE
        self.kind = self.find_kind()

    def find_kind(self):
        if self.raw == ZERO:
            return "zero"
        if not self.sound:
            return "unknown"
        tag = u16(self.raw, PAGE - 2)
        size = PAGE - self.special
        if size == 0:
            return "heap"
        if size == 16:
            return {0xFF80: "hash", 0xFF81: "gist"}.get(tag, "btree")
        if size != 8:
            return "unknown"
        if struct.unpack_from("<I", self.raw, self.special)[0] == 0x1717 and tag == 0:
            return "sequence"
        if tag in (BRIN_META, BRIN_REVMAP, BRIN_REGULAR):
            return "brin"
        return "spgist" if tag == 0xFF82 else "gin"

    def is_empty(self):
        return self.kind == "zero" or (self.sound and self.lower == 24 and self.upper == self.special)

    def is_new(self):
        return self.is_empty() and lsn_of(self.raw) == 0

    def items(self):
        for at in range(24, self.lower - 3, 4):
            pointer = struct.unpack_from("<I", self.raw, at)[0]
            yield at, pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17

    def masked(self):
        p = bytearray(self.raw)
        p[0:10] = bytes(10)
        p[10] &= ~3
        p[20:24] = bytes(4)
        if self.kind in MASKS:
            MASKS[self.kind](self, p)
        return p

    def hide_hole(self, p):
        p[self.lower:self.upper] = bytes(self.upper - self.lower)

    def hide_all(self, p):
        p[24:PAGE] = bytes(PAGE - 24)
        p[12:16] = bytes(4)

    def hide_dead(self, p):
        for at, offset, flags, length in self.items():
            if flags != 0:
                struct.pack_into("<I", p, at, offset | length << 17)


def mask_heap(page, p):
    page.hide_hole(p)
    for _, offset, flags, length in page.items():
        if flags != LP_NORMAL or length < 23 or offset + length > PAGE:
            continue
        infomask = u16(p, offset + 20)
        infomask &= ~(XMAX_HINTS | COMBO_CID)
        if infomask & XMIN_FROZEN != XMIN_FROZEN:
            infomask &= ~XMIN_HINTS
        struct.pack_into("<H", p, offset + 20, infomask)
        p[offset + 8:offset + 12] = bytes(4)
        if u16(p, offset + 16) == SPECULATIVE:
            p[offset + 12:offset + 18] = bytes(6)
        end = offset + length
        p[end:end + -length % 8] = bytes(-length % 8)


def mask_btree(page, p):
    flags = u16(p, page.special + 12)
    if flags & BTREE_DELETED:
        page.hide_all(p)
        return
    page.hide_hole(p)
    if flags & BTREE_LEAF:
        page.hide_dead(p)
    struct.pack_into("<HH", p, page.special + 12, flags & ~(BTREE_SPLIT_END | BTREE_GARBAGE), 0)


def mask_hash(page, p):
    flags = u16(p, page.special + 12)
    if flags & HASH_IN_USE == 0:
        page.hide_all(p)
        return
    page.hide_hole(p)
    if flags & HASH_IN_BUCKET:
        page.hide_dead(p)
    struct.pack_into("<H", p, page.special + 12, flags & ~HASH_DEAD)


def mask_gist(page, p):
    page.hide_hole(p)
    flags = u16(p, page.special + 12)
    if flags & GIST_LEAF:
        page.hide_dead(p)
    p[page.special:page.special + 8] = bytes(8)
    struct.pack_into("<H", p, page.special + 12, flags & ~(GIST_FOLLOW_RIGHT | GIST_GARBAGE))


def mask_gin(page, p):
    if u16(p, page.special + 6) & GIN_DELETED:
        page.hide_all(p)
    elif page.lower > 24:
        page.hide_hole(p)


def mask_spgist(page, p):
    if page.block == 0:
        page.hide_all(p)
    elif page.lower > 24:
        page.hide_hole(p)


def mask_brin(page, p):
    tag = u16(p, PAGE - 2)
    if tag == BRIN_REGULAR or (tag == BRIN_META and page.lower > 24):
        page.hide_hole(p)
    p[PAGE - 4] &= ~1  # "being evacuated"


def mask_sequence(page, p):
    mask_heap(page, p)
    for _, offset, flags, _ in page.items():
        if flags == LP_NORMAL:
            data = offset + p[offset + 22]
            value, fetched = struct.unpack_from("<QQ", p, data)
            struct.pack_into("<QQ", p, data, value + fetched & 0xFFFFFFFFFFFFFFFF, 0)


MASKS = {"heap": mask_heap, "btree": mask_btree, "hash": mask_hash, "gist": mask_gist, "gin": mask_gin,
         "spgist": mask_spgist, "brin": mask_brin, "sequence": mask_sequence}


# ---- files


def relation_files(root):
    """Path below the data directory -> real path, for all files of relations."""
    found = {}
    for top in ("base", "global", "pg_tblspc"):
        for folder, _, names in os.walk(os.path.join(root, top), followlinks=True):
            for name in names:
                if REL_FILE.match(name):
                    path = os.path.join(folder, name)
                    found[os.path.relpath(path, root)] = path
    return found


def fork_of(path):
    match = REL_FILE.match(os.path.basename(path))
    return match.group(1) or ""


def first_block(path):
    match = REL_FILE.match(os.path.basename(path))
    return int(match.group(2)[1:]) * 131072 if match.group(2) else 0


def read(path):
    with open(path, "rb") as file:
        return file.read()


def pages_of(data, path):
    first = first_block(path)
    return [Page(data[at:at + PAGE], first + at // PAGE) for at in range(0, len(data) - PAGE + 1, PAGE)]


def runs(a, b):
    """Where two byte strings differ, as (from, to), with gaps of up to 8 bytes closed."""
    found = []
    for i in range(len(a)):
        if a[i] == b[i]:
            continue
        if found and i - found[-1][1] <= 8:
            found[-1][1] = i + 1
        else:
            found.append([i, i + 1])
    return found


class Comparison:
    def __init__(self, orphans):
        self.orphans = orphans
        self.sums = dict(files=0, pages=0, masked=0, new=0, maps=0, lsn_older=0)
        self.differences = 0

    def tell(self, text):
        self.differences += 1
        if self.differences <= 40:
            print("differs", text)

    def page(self, path, a, b):
        if a.raw == b.raw:
            return
        if (a.is_new() and b.is_empty()) or (b.is_new() and a.is_empty()):
            self.sums["new"] += 1
            return
        left, right = a.masked(), b.masked()
        if a.kind == b.kind and left == right:
            self.sums["masked"] += 1
            self.sums["lsn_older"] += lsn_of(b.raw) < lsn_of(a.raw)
            return
        where = runs(left, right)
        shown = "; ".join("%d-%d %s / %s" % (f, t - 1, left[f:min(t, f + 16)].hex(), right[f:min(t, f + 16)].hex())
                          for f, t in where[:4])
        kind = a.kind if a.kind == b.kind else a.kind + " / " + b.kind
        self.tell("%s block %d (%s): lsn %s / %s; %d runs of bytes: %s" % (
            path, a.block, kind, lsn_text(lsn_of(a.raw)), lsn_text(lsn_of(b.raw)), len(where), shown))

    def rest(self, path, pages, whose):
        """Pages that only one side has."""
        for page in pages:
            if page.is_new():
                self.sums["new"] += 1
            else:
                self.tell("%s block %d (%s, lsn %s): only in the %s" % (
                    path, page.block, page.kind, lsn_text(lsn_of(page.raw)), whose))

    def file(self, path, left, right):
        if fork_of(path) in NO_WAL:
            self.sums["maps"] += 1
            return
        a = read(left) if left else b""
        b = read(right) if right else b""
        self.sums["files"] += 1
        self.sums["pages"] += max(len(a), len(b)) // PAGE
        if a == b:
            return
        if len(a) % PAGE or len(b) % PAGE:
            self.tell("%s has %d / %d bytes" % (path, len(a), len(b)))
        a, b = pages_of(a, path), pages_of(b, path)
        if not a and self.orphans and not all(page.is_new() for page in b):
            self.orphans.write(path + "\n")
            return
        for x, y in zip(a, b):
            self.page(path, x, y)
        self.rest(path, a[len(b):], "reference")
        self.rest(path, b[len(a):], "copy")


    def commit_log(self, path, left, right):
        """Two bits for each transaction. One that a crash ended may be aborted, or nothing at all: it is the same."""
        a, b = read(left), read(right)
        for at in range(min(len(a), len(b))):
            for shift in range(0, 8, 2):
                x, y = a[at] >> shift & 3, b[at] >> shift & 3
                if x != y and {x, y} != {0, 2}:
                    self.tell("%s transaction %d of the file: status %d / %d" % (path, at * 4 + shift // 2, x, y))

    def other(self, reference, copy):
        for path in sorted(files_below(reference, "pg_xact") & files_below(copy, "pg_xact")):
            self.commit_log(path, os.path.join(reference, path), os.path.join(copy, path))
        maps = [p for p in files_below(reference, "base") | files_below(reference, "global")
                if os.path.basename(p) == "pg_filenode.map"]
        for path in sorted(maps):
            if read(os.path.join(reference, path)) != read(os.path.join(copy, path)):
                self.tell("%s is another" % path)


def files_below(root, top):
    return {os.path.relpath(os.path.join(folder, name), root)
            for folder, _, names in os.walk(os.path.join(root, top)) for name in names}


def compare(reference, copy, orphans=None):
    left, right = relation_files(reference), relation_files(copy)
    result = Comparison(orphans)
    for path in sorted(left.keys() | right.keys()):
        result.file(path, left.get(path), right.get(path))
    result.other(reference, copy)
    print("%(pages)d pages in %(files)d files compared; equal but for what replay does not determine: %(masked)d, "
          "of these with an older LSN: %(lsn_older)d, new: %(new)d; %(maps)d maps not compared" % result.sums
          + "; differing: %d" % result.differences)
    return 1 if result.differences else 0


# ---- on purpose


def spoil(old, copy, path, most):
    """Stale pages, as if changes had been overlooked."""
    is_map = fork_of(path) in NO_WAL
    stale, now = (pages_of(read(os.path.join(root, path)), path) for root in (old, copy))
    done = 0
    for a, b in zip(stale, now):
        if done < most and (a.raw[24:] != b.raw[24:] if is_map else a.masked() != b.masked()):
            with open(os.path.join(copy, path), "r+b") as file:
                file.seek((b.block - first_block(path)) * PAGE)
                file.write(a.raw)
            print("spoiled %s block %d" % (path, b.block))
            done += 1
    return 0 if done else 1


def main(words):
    if words[0] == "compare":
        if len(words) == 3:
            return compare(words[1], words[2])
        with open(words[3], "w") as orphans:
            return compare(words[1], words[2], orphans)
    if words[0] == "spoil":
        return spoil(words[1], words[2], words[3], int(words[4]))
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
