"""docs/format.md from "Keys" to "Cluster info": objects, chunks, and what opens a repository."""
import hashlib
import hmac
import os
import re
import struct

from notation import (MIB, In, Wrong, aes_cbc_decrypt, crc32c, hkdf, hmac256, need, unzstd, xxh64,
                      xxh128)


HEX8, SEGMENT = "[0-9a-f]{8}", "[0-9A-F]{24}"
SET = "[0-9]{8}T[0-9]{6}Z-[FDICRG]-[0-9a-f]{6}"
CLUSTER = "(?!(?:keys|features|tmp)/)[A-Za-z0-9_-]{1,63}"
WAL = "wal/([0-9a-f]{16})-([0-9]+)"
KEYS = [  # form of the key, kinds, label field
    ("pgbr-repo", [12], lambda m: "pgbr-repo"),
    (f"features/{HEX8}", [12], lambda m: m[0]),
    (f"keys/{HEX8}", [11], lambda m: m[0]),
    (f"{CLUSTER}/(info/{HEX8})", [8], lambda m: m[1]),
    (f"{CLUSTER}/backup/({SET})/manifest", [3], lambda m: m[1]),
    (f"{CLUSTER}/(backup/{SET}/(?:expired|hold))", [10], lambda m: m[1]),
    (f"{CLUSTER}/data/({SET})/[0-9a-f]{{5,}}/{HEX8}", [1, 2], lambda m: m[1]),
    (f"{CLUSTER}/{WAL}/[0-9A-F]{{8}}/[0-9A-F]{{8}}/({SEGMENT})", [4], lambda m: f"{m[3]}@{m[1]}"),
    (f"{CLUSTER}/{WAL}/[0-9A-F]{{8}}/[0-9A-F]{{8}}/({SEGMENT}).partial", [4],
     lambda m: f"{m[3]}.p@{m[1]}"),
    (f"{CLUSTER}/{WAL}/history/([0-9A-F]{{8}}).history", [5], lambda m: f"{m[3]}.h@{m[1]}"),
    (f"{CLUSTER}/{WAL}/label/({SEGMENT}).[0-9A-F]{{8}}.backup", [5], lambda m: f"{m[3]}.b@{m[1]}"),
    (f"{CLUSTER}/{WAL}/sum/([0-9A-F]{{8}}-[0-9A-F]{{16}})-[0-9A-F]{{16}}", [6],
     lambda m: f"{m[3]}.s@{m[1]}"),
    (f"{CLUSTER}/(lease/{SET})", [9], lambda m: m[1]),
    (f"{CLUSTER}/(fence/{SET}\\.(?:intent|final))", [10], lambda m: m[1]),
]


def kinds_and_label(key):
    for form, kinds, label in KEYS:
        m = re.fullmatch(form, key)
        if m:
            return kinds, label(m)
    raise Wrong("a key of no known form")


# ---- Container

PAGES, BUNDLE, WALCHUNK, WALSUM, INFO, FILETAB, FILEIDX, MAP = range(1, 9)
SETTAB, PACKTAB, CONTENTS, DIR, TEXT, PUBINFO = 9, 10, 11, 12, 14, 16
PUBLIC = {PUBINFO, SETTAB, PACKTAB}
ALWAYS_PLAIN = {9, 10, 11, 12}


class Object:
    """One object, whole in memory; checked but for the content of its chunks."""

    def __init__(self, repo, key):
        self.repo, self.key = repo, key
        with open(os.path.join(repo.path, key), "rb") as f:
            self.data = f.read()
        need(len(self.data) >= 192, "shorter than header and trailer")
        self.read_header()
        self.read_trailer()
        self.read_directory()

    def read_header(self):
        h = In(self.data[:128])
        need(h.bytes(8) == bytes.fromhex("89504742520d0a1a"), "not an object")
        self.kind, self.format, lowest, self.suite = h.u8(), h.u8(), h.u8(), h.u8()
        need(1 <= self.kind <= 12 and lowest <= 1, f"kind {self.kind}, readable from {lowest} on")
        need(h.u32() & 0xFFFF == 0, "flags that must be known")
        self.id, self.tag, self.pack = h.bytes(16), h.bytes(16), h.u32()
        need(h.u32() == 0, "reserved bytes of the header")
        label = h.bytes(48)
        self.label = label.rstrip(b"\0")
        need(self.label and b"\0" not in self.label, "malformed label")
        repo_id, self.created = h.bytes(8), h.u64()
        need(h.u32() == 0 and h.u32() == crc32c(self.data[:124]), "CRC of the header")
        kinds, expected = kinds_and_label(self.key)
        need(self.kind in kinds and self.label.decode() == expected, "it lies under another's name")
        need(self.repo.id is None or repo_id == self.repo.id[:8], "it is of another repository")
        number = int(self.key[-8:], 16) if self.kind in (1, 2) else 0
        need(self.pack == number, "another pack's number")
        need(self.kind in (1, 2, 4, 5) or self.tag == bytes(16), "content tag of what has none")
        need(self.suite == (1 if self.repo.rk and self.kind not in ALWAYS_PLAIN else 0),
             f"suite {self.suite} in the header")

    def read_trailer(self):
        t = In(self.data[-64:])
        self.dir_at, self.dir_len, self.n = t.u64(), t.u32(), t.u32()
        self.index_at, self.index_len = t.u64(), t.u32()
        need(t.u32() == 0, "reserved bytes of the trailer")
        at_rest = t.bytes(16)
        need(t.u32() == 0 and t.u32() == crc32c(self.data[-64:-12]), "CRC of the trailer")
        need(t.bytes(8) == b"PGBRend1", "no trailer")
        need(at_rest == xxh128(self.data[:-64]), "hash at rest")
        need(128 <= self.dir_at == len(self.data) - 64 - self.dir_len, "place of DIR")
        need(self.n <= 4096, "too many chunks")

    def logical_pack(self):
        return {1: self.pack, 2: self.pack, 3: 0xFFFFFFFF}.get(self.kind, 0)

    def read_directory(self):
        d = In(self.decode(self.dir_at, self.dir_len, DIR, self.n)[0])
        need(d.uv() == 1 and d.uv() == self.n, "version of DIR, or its number of chunks")
        self.chunks, at, index = [], 128, (0, 0)
        for _ in range(self.n):
            length, kind, items = 24 + d.uv(), d.u8(), d.uv()
            self.chunks.append((at, length, kind, items))
            if kind in (WALSUM, CONTENTS) and index == (0, 0):
                index = (at, length)
            at += length
        d.done("DIR")
        need(at == self.dir_at, "chunks do not end where DIR begins")
        need((self.index_at, self.index_len) == index, "place of WALSUM or CONTENTS in the trailer")

    def types(self):
        return [c[2] for c in self.chunks]

    def read(self, i, kind):
        need(i < self.n and self.chunks[i][2] == kind, f"chunk {i} is not of type {kind}")
        raw, items = self.decode(self.chunks[i][0], self.chunks[i][1], kind, i)
        need(items == self.chunks[i][3], f"chunk {i}: its items and those in DIR differ")
        return raw

    # ---- Chunk

    def decode(self, at, length, kind, index):
        stored = self.data[at:at + length]
        need(len(stored) >= 24, "chunk cut off")
        header, body = stored[:24], stored[24:]
        h = In(header)
        need(h.bytes(4) == b"pgCk" and struct.unpack("<I", header[20:])[0] == crc32c(header[:20]),
             "magic or CRC of a chunk")
        place = (h.u8(), codec := h.u8(), suite := h.u8(), h.u8(), h.u32(), h.u32(), h.u32())
        need(place == (kind, codec, suite, 0, self.logical_pack(), index, len(body)) and codec <= 1,
             f"chunk {index}: its header says {place}")
        need(suite == self.expected_suite(kind), f"chunk {index}: suite {suite}")
        inner = self.open_body(header, body, suite, index)
        need(len(inner) >= 16, "inner part cut off")
        hash64, raw_len, items = struct.unpack("<QII", inner[:16])
        need(raw_len <= 16 * MIB and len(body) <= raw_len + raw_len // 8 + 4096, "size of a chunk")
        raw = inner[16:] if codec == 0 else unzstd(inner[16:], raw_len)
        need(len(raw) == raw_len and xxh64(raw) == hash64, "XXH3-64 of a chunk")
        return raw, items

    def expected_suite(self, kind):
        if not self.repo.rk or self.kind in ALWAYS_PLAIN:
            return 0
        return 2 if kind in PUBLIC or (kind == INFO and self.kind == 8) else 1

    def open_body(self, header, body, suite, index):
        prefix = b"pgbr1 chunk\0" + bytes([len(self.label)]) + self.label
        size = 16 if suite == 0 else 32
        need(len(body) > size, "body cut off")
        covered, seal = body[:-size], body[-size:]
        if suite == 0:
            need(xxh128(prefix + header + covered) == seal, f"chunk {index}: hash")
            return covered
        salt = hashlib.sha256(self.label).digest()
        mac = hmac256(hkdf(self.repo.rk, salt, b"pgbr1 chunk mac"), prefix + header + covered)
        need(hmac.compare_digest(mac, seal), f"chunk {index}: MAC")
        if suite == 2:
            return covered
        return aes_cbc_decrypt(hkdf(self.repo.rk, salt, b"pgbr1 chunk enc"), covered[:16],
                               covered[16:])


# ---- Fields

def fields(data, known, required, what):
    f, found, last = In(data), {}, 0
    while f.left():
        tag = f.uv()
        need(last < tag <= 255, f"{what}: tags must ascend")
        need(tag in known or tag % 2 == 0, f"{what}: unknown critical field {tag}")
        last, found[tag] = tag, f.blob()
    need(set(required) <= set(found), f"{what}: fields are missing")
    return found


def split_mac(body):
    """The fields before the MAC, which is the last one, tag 15; and the MAC."""
    need(len(body) > 34 and body[-34:-32] == b"\x0f\x20", "the MAC is not the last field")
    return body[:-34], body[-32:]


def uv_of(data):
    f = In(data)
    value = f.uv()
    f.done("number")
    return value


def u64_of(data):
    need(len(data) == 8, "number of 8 bytes")
    return struct.unpack("<Q", data)[0]


# ---- Key slot, descriptor, cluster info

def open_slot(body):
    f = fields(body, {1, 2, 3, 5, 7, 9, 15}, {1, 3, 5, 7, 9, 15}, "key slot")
    covered, mac = split_mac(body)
    kdf, parameters, salt = uv_of(f[3]), In(f[5]), f[7]
    secret = os.environ.get("PASSPHRASE", "").encode()
    if kdf == 1:
        n, r, p = parameters.uv(), parameters.uv(), parameters.uv()
        need(128 * n * r <= 1 << 30 and p <= 16, "hostile parameters")
        d = hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, dklen=32, maxmem=(1 << 30) + MIB)
    elif kdf == 2:
        d = hashlib.pbkdf2_hmac("sha256", secret, salt, parameters.uv(), 32)
    else:
        need(kdf == 3, "unknown key derivation")
        with open(os.environ["KEY_FILE"], "rb") as file:
            d = hkdf(file.read(), salt, b"pgbr1 key file")
    parameters.done("parameters")
    if not hmac.compare_digest(
            hmac256(hkdf(d, bytes(32), b"pgbr1 slot mac"), b"pgbr1 key slot\0" + covered), mac):
        return None
    plain = aes_cbc_decrypt(hkdf(d, bytes(32), b"pgbr1 slot enc"), f[9][:16], f[9][16:])
    need(len(plain) == 48, "content of a key slot")
    return plain[:32], plain[32:]


class Repo:
    def __init__(self, path, cluster):
        self.path, self.cluster, self.id, self.rk = path, cluster, None, None
        body = Object(self, "pgbr-repo").read(0, TEXT)
        f = fields(body, {1, 2, 3, 5, 7, 9, 10, 15}, {1, 3, 5, 7, 9}, "descriptor")
        self.id, encrypted = f[1], uv_of(f[3])
        need(uv_of(f[5]) == 0 and f[7] == b"", "features that are not known")
        need(encrypted == (15 in f) and encrypted <= 1, "suite of the descriptor")
        if encrypted:
            self.unlock()
            covered, mac = split_mac(body)
            key = hkdf(self.rk, bytes(32), b"pgbr1 descriptor mac")
            need(hmac256(key, b"pgbr1 descriptor pgbr-repo\0" + covered) == mac, "descriptor's MAC")
        self.identities = self.read_info()

    def unlock(self):
        for name in sorted(os.listdir(os.path.join(self.path, "keys"))):
            opened = open_slot(Object(self, "keys/" + name).read(0, TEXT))
            if opened:
                need(opened[1] == self.id, "key slot of another repository")
                self.rk = opened[0]
                return
        raise Wrong("the passphrase opens no key slot")

    def read_info(self):
        last = sorted(os.listdir(os.path.join(self.path, self.cluster, "info")))[-1]
        body = Object(self, f"{self.cluster}/info/{last}").read(0, INFO)
        f = fields(body, {1, 2, 3}, {1, 3}, "info")
        need(f[1].decode() == self.cluster, "info of another cluster")
        ids = In(f[3])
        found = [(ids.u64(), ids.uv()) for _ in range(ids.uv())]
        ids.done("identities")
        return found

    def keys(self):
        for dirpath, dirs, files in os.walk(self.path):
            dirs[:] = [d for d in dirs if d != "tmp"]
            for name in files:
                yield os.path.relpath(os.path.join(dirpath, name), self.path)

    def exists(self, key):
        return os.path.exists(os.path.join(self.path, self.cluster, key))

    def backups(self):
        labels = os.listdir(os.path.join(self.path, self.cluster, "backup"))
        return [x for x in sorted(labels) if self.exists(f"backup/{x}/manifest")
                and not self.exists(f"fence/{x}.final") and not self.exists(f"backup/{x}/expired")]
