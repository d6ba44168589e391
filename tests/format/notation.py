"""docs/format.md, "Notation": hashes, compression, ciphers, and numbers taken off from bytes."""
import ctypes
import hashlib
import hmac
import struct


MIB = 1 << 20


class Wrong(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


def crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC = crc_table()


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = c >> 8 ^ CRC[(c ^ b) & 0xFF]
    return c ^ 0xFFFFFFFF


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


xx = ctypes.CDLL("libxxhash.so.0")
xx.XXH3_64bits.restype = ctypes.c_uint64
xx.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
xx.XXH3_128bits.restype = Hash128
xx.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def xxh128(data):
    h = xx.XXH3_128bits(data, len(data))
    return struct.pack(">QQ", h.high, h.low)


def xxh64(data):
    return xx.XXH3_64bits(data, len(data))


zstd = ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_getFrameContentSize.restype = ctypes.c_uint64
zstd.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
zstd.ZSTD_decompress.restype = ctypes.c_size_t
for function in (zstd.ZSTD_getFrameContentSize, zstd.ZSTD_findFrameCompressedSize):
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]

def unzstd(frame, raw_len):
    need(zstd.ZSTD_getFrameContentSize(frame, len(frame)) == raw_len, "content size of a frame")
    need(zstd.ZSTD_findFrameCompressedSize(frame, len(frame)) == len(frame), "bytes behind a frame")
    out = ctypes.create_string_buffer(max(raw_len, 1))
    need(zstd.ZSTD_decompress(out, raw_len, frame, len(frame)) == raw_len, "damaged zstd frame")
    return out.raw[:raw_len]


crypto = ctypes.CDLL("libcrypto.so.3")
crypto.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
crypto.EVP_aes_256_cbc.restype = ctypes.c_void_p
crypto.EVP_DecryptInit_ex.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_char_p] * 2
crypto.EVP_DecryptUpdate.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p,
                                     ctypes.c_char_p, ctypes.c_int]
crypto.EVP_DecryptFinal_ex.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
crypto.EVP_CIPHER_CTX_free.argtypes = [ctypes.c_void_p]


def aes_cbc_decrypt(key, iv, data):
    out = ctypes.create_string_buffer(len(data) + 16)
    n, last = ctypes.c_int(), ctypes.c_int()
    ctx = crypto.EVP_CIPHER_CTX_new()
    ok = (crypto.EVP_DecryptInit_ex(ctx, crypto.EVP_aes_256_cbc(), None, key, iv) == 1
          and crypto.EVP_DecryptUpdate(ctx, out, ctypes.byref(n), data, len(data)) == 1
          and crypto.EVP_DecryptFinal_ex(ctx, ctypes.byref(out, n.value), ctypes.byref(last)) == 1)
    crypto.EVP_CIPHER_CTX_free(ctx)
    need(ok, "ciphertext with wrong padding")
    return out.raw[:n.value + last.value]


def hmac256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def hkdf(key, salt, info):
    return hmac256(hmac256(salt, key), info + b"\x01")


class In:
    """Bytes that are taken off from the front, and must be used up."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, n):
        need(n <= self.left(), "cut off")
        self.at += n
        return self.data[self.at - n:self.at]

    def left(self):
        return len(self.data) - self.at

    def u8(self):
        return self.bytes(1)[0]

    def u16(self):
        return struct.unpack("<H", self.bytes(2))[0]

    def u32(self):
        return struct.unpack("<I", self.bytes(4))[0]

    def u64(self):
        return struct.unpack("<Q", self.bytes(8))[0]

    def uv(self):
        value = 0
        for i in range(10):
            b = self.u8()
            value |= (b & 0x7F) << 7 * i
            if b < 0x80:
                need(value < 1 << 64, "varint beyond 64 bits")
                return value
        raise Wrong("varint of more than 10 bytes")

    def sv(self):
        v = self.uv()
        return v >> 1 ^ -(v & 1)

    def blob(self):
        return self.bytes(self.uv())

    def text(self):
        text = self.blob()
        need(b"\0" not in text, "text with NUL")
        return text.decode()

    def done(self, what):
        need(self.left() == 0, f"{what}: {self.left()} bytes left over")


def signed(v):
    return v - (1 << 64) if v >> 63 else v


def wrap(v):
    return signed(v & (1 << 64) - 1)
