#!/usr/bin/env python3
"""A proxy before an S3 server that breaks things on the wire, at random or as told.

    wire_proxy.py --to HOST:PORT --dir DIR [--tls PEM] [--port PORT]

It listens on 127.0.0.1 (with TLS when given a certificate and key), passes HTTP/1.1 requests on
without TLS, and keeps in DIR: "port", where it listens; "requests", one line for each request that it
has dealt with, "METHOD TARGET STATUS FAULT" (- for no status or no fault); and it reads "control", a
JSON object, whenever that file was replaced. Its keys, all of which may be missing:

    seed, rate, faults, kinds   at most so many faults, each request meeting one with chance rate (0.1),
                                of these kinds (RANDOM below), in an order that the seed decides
    rules      [{"match": REGEX, "fault": KIND, "header": NAME, "skip": N, "times": N}]: what meets a
               request whose "METHOD TARGET" matches and which has the header, after the first skip
               of them, times times (1; -1 for ever). Rules go before chance
    stall      how many seconds a stalled connection is silent (2)
    storm      how many requests in a row a storm refuses (10)
    latency    seconds that each request waits
    bandwidth  bytes per second for each direction, all connections together
    gate       {"key", "secret", "token", "region", "clock", "ignore": [HEADER]}: the proxy checks
               credentials, token, region, clock and signature as AWS does (and that a list of
               deletions has a checksum) and signs anew for the server, with the credentials of the
               PGBR_TEST_S3_ variables. clock is how many seconds the server's clock is ahead; headers
               to ignore never reach the server

Faults before the server sees the whole request:
    reset, half_sent (reset when half the body went through), stall (silence, then reset),
    internal (500), slow_down (503), busy (503 as from a load balancer, HTML, closes), storm,
    skew (403 RequestTimeTooSkewed), expired (400 ExpiredToken), denied (403 AccessDenied),
    not_implemented (501)
and after the server has done it:
    lost_reply (reset), silent_reply (silence, then reset), late (silence, then the reply),
    truncated (half the reply, then the end), half_reply (half of it, then reset),
    and, which no retry can see by the length: short (half of the reply's body, with a length that
    fits), garbled (a changed byte)
"""
import argparse
import datetime
import email.utils
import json
import os
import random
import re
import socket
import ssl
import struct
import sys
import threading
import time

import s3_client

BEFORE = ["reset", "half_sent", "stall", "internal", "slow_down", "busy", "storm", "skew"]
AFTER = ["lost_reply", "silent_reply", "late", "truncated", "half_reply"]
RANDOM = BEFORE + AFTER
REFUSALS = {
    "internal": (500, "InternalError"), "slow_down": (503, "SlowDown"),
    "storm": (503, "SlowDown"), "skew": (403, "RequestTimeTooSkewed"),
    "expired": (400, "ExpiredToken"), "denied": (403, "AccessDenied"),
    "not_implemented": (501, "NotImplemented"),
}
BLOCK = 65536


class Gone(Exception):
    """A connection ended, or was ended on purpose."""


class Refused(Exception):
    """The gate does not let a request through."""


class Throttle:
    """Lets bytes through at a rate, whoever asks."""

    def __init__(self):
        self.lock = threading.Lock()
        self.free_at = 0.0

    def wait(self, size, rate):
        if not rate:
            return
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic() - 0.02) + size / rate
            pause = self.free_at - time.monotonic()
        if pause > 0:
            time.sleep(pause)


class Plan:
    """What happens to which request, as "control" says. One lock: requests are counted in turn."""

    def __init__(self, directory):
        self.directory = directory
        self.lock = threading.Lock()
        self.stamp = None
        self.told = {}
        self.begin({})
        self.log = open(os.path.join(directory, "requests"), "a", buffering=1, encoding="ascii")

    def begin(self, told):
        self.told = told
        self.random = random.Random(told.get("seed", 0))
        self.left = told.get("faults", 0)
        self.storm = 0
        self.rules = [dict(rule, skip=rule.get("skip", 0), times=rule.get("times", 1))
                      for rule in told.get("rules", [])]

    def reread(self):
        path = os.path.join(self.directory, "control")
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return
        if (found.st_ino, found.st_mtime_ns) != self.stamp:
            self.stamp = (found.st_ino, found.st_mtime_ns)
            with open(path, encoding="utf-8") as file:
                self.begin(json.load(file))

    def next(self, line, headers):
        """The settings that hold for this request, and the fault that meets it, or None."""
        with self.lock:
            self.reread()
            return self.told, self.rule(line, headers) or self.chance()

    def rule(self, line, headers):
        for rule in self.rules:
            if not re.search(rule["match"], line) or rule.get("header", "host") not in headers:
                continue
            if rule["skip"] > 0:
                rule["skip"] -= 1
            elif rule["times"] != 0:
                rule["times"] -= 1
                return rule["fault"]
        return None

    def chance(self):
        if self.storm > 0:
            self.storm -= 1
            return "storm"
        if self.left <= 0 or self.random.random() >= self.told.get("rate", 0.1):
            return None
        self.left -= 1
        fault = self.random.choice(self.told.get("kinds", RANDOM))
        if fault == "storm":
            self.storm = self.told.get("storm", 10) - 1
        return fault

    def record(self, line, status, fault):
        with self.lock:
            self.log.write(f"{line} {status or '-'} {fault or '-'}\n")


class Stream:
    """A socket with what was read from it too early."""

    def __init__(self, sock):
        self.sock = sock
        self.kept = b""

    def more(self):
        try:
            data = self.sock.recv(BLOCK)
        except OSError as e:
            raise Gone(str(e)) from e
        if not data:
            raise Gone("closed")
        self.kept += data

    def take(self, most):
        """Between 1 and most bytes."""
        if not self.kept:
            self.more()
        data, self.kept = self.kept[:most], self.kept[most:]
        return data

    def until(self, mark):
        while mark not in self.kept:
            self.more()
        data, _, self.kept = self.kept.partition(mark)
        return data

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as e:
            raise Gone(str(e)) from e

    def reset(self):
        """Ends it so that the other side gets ECONNRESET."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.close()

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass


class Message:
    """The head of a request or a reply."""

    def __init__(self, head):
        self.first, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()

    def head(self):
        lines = [self.first] + [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def length(self):
        return int(self.headers.get("content-length", 0))


def shifted(text, seconds):
    """The times in a listing, as a server whose clock is ahead writes them."""
    def later(found):
        when = datetime.datetime.strptime(found[1].decode(), "%Y-%m-%dT%H:%M:%S")
        return b"<LastModified>" + (when + datetime.timedelta(seconds=seconds)).strftime(
            "%Y-%m-%dT%H:%M:%S").encode()
    return re.sub(rb"<LastModified>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", later, text)


class Gate:
    """Checks a request as AWS does, then signs it anew for the server behind."""

    def __init__(self, told):
        self.told = told
        self.clock = told.get("clock", 0)

    def check(self, request, line):
        headers = request.headers
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, *"
                             r"SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})",
                             headers.get("authorization", ""))
        if not found:
            raise Refused(403, "AccessDenied", "")
        key, day, region, signed, given = found.groups()
        if key != self.told["key"]:
            raise Refused(403, "InvalidAccessKeyId", "")
        if region != self.told.get("region", region):
            raise Refused(400, "AuthorizationHeaderMalformed",
                          f"<Region>{self.told['region']}</Region>")
        token = headers.get("x-amz-security-token")
        if token != self.told.get("token"):
            raise Refused(400, "ExpiredToken" if token else "InvalidToken", "")
        when = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        now = datetime.datetime.utcnow() + datetime.timedelta(seconds=self.clock)
        if abs((now - when).total_seconds()) > 900:
            raise Refused(403, "RequestTimeTooSkewed", "")
        method, target = line.split(" ")
        names = signed.split(";")
        must = [n for n in headers if n == "host" or n.startswith("x-amz-")]
        if not set(must) <= set(names) or headers["x-amz-date"][:8] != day or given != \
                s3_client.signature(method, target, headers, names, self.told["secret"], region):
            raise Refused(403, "SignatureDoesNotMatch", "")
        if method == "POST" and "content-md5" not in names and not any(
                n.startswith("x-amz-checksum-") for n in names):
            raise Refused(400, "InvalidRequest", "")

    def sign(self, request, line):
        headers = request.headers
        for name in ["x-amz-security-token", "authorization"] + self.told.get("ignore", []):
            headers.pop(name, None)
        env = os.environ
        s3_client.authorize(*line.split(" "), headers, env["PGBR_TEST_S3_KEY"],
                            env["PGBR_TEST_S3_SECRET"], env["PGBR_TEST_S3_REGION"])

    def answer(self, reply):
        """The server's times, as the client is to see them."""
        for name in ("date", "last-modified"):
            if name in reply.headers and self.clock:
                when = email.utils.parsedate_to_datetime(reply.headers[name])
                reply.headers[name] = email.utils.format_datetime(
                    when + datetime.timedelta(seconds=self.clock), usegmt=True)


class Visit:
    """One connection of a client, and the one to the server behind it."""

    up, down = Throttle(), Throttle()

    def __init__(self, client, server, plan):
        self.client = Stream(client)
        self.address = server
        self.server = None
        self.used_at = 0.0
        self.plan = plan

    def run(self):
        try:
            while self.request():
                pass
        except Gone:
            pass
        finally:
            self.client.close()
            self.hang_up()

    def hang_up(self):
        if self.server:
            self.server.close()
        self.server = None

    # ---- one request

    def request(self):
        """True when the connection lives on."""
        request = Message(self.client.until(b"\r\n\r\n"))
        line = request.first.rpartition(" ")[0]
        self.told, fault = self.plan.next(line, request.headers)
        status, self.reply_sent = None, False
        try:
            status = self.serve(request, line, fault)
        finally:
            self.plan.record(line, status, fault)
        return status is not None and request.headers.get("connection", "").lower() != "close"

    def serve(self, request, line, fault):
        left = request.length()
        if request.headers.pop("expect", "").lower() == "100-continue":
            self.client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(self.told.get("latency", 0))
        if fault == "reset":
            return self.client.reset()
        if fault == "stall":
            time.sleep(self.told.get("stall", 2))
            return self.client.reset()
        if fault == "busy":
            return self.busy(left)
        if fault in REFUSALS:
            return self.refuse(left, *REFUSALS[fault])
        gate = Gate(self.told["gate"]) if "gate" in self.told else None
        try:
            if gate:
                gate.check(request, line)
                gate.sign(request, line)
        except Refused as e:
            return self.refuse(left, *e.args)
        if not self.pass_request(request, left, fault):
            return None
        return self.pass_reply(request, fault, gate)

    def skip_body(self, left):
        while left > 0:
            left -= len(self.client.take(min(left, BLOCK)))

    def refuse(self, left, status, code, more=""):
        self.skip_body(left)
        body = (f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>as the '
                f"test wants it</Message>{more}</Error>").encode()
        date = email.utils.formatdate(time.time() + self.told.get("gate", {}).get("clock", 0),
                                      usegmt=True)
        self.client.send((f"HTTP/1.1 {status} Refused\r\nDate: {date}\r\n"
                          f"Content-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
                          ).encode() + body)
        return status

    def busy(self, left):
        self.skip_body(left)
        self.client.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\n"
                         b"Connection: close\r\n\r\n<html><body><h1>503 no server</h1></body></html>")
        self.client.close()
        raise Gone("closed")

    # ---- to the server

    def pass_request(self, request, left, fault):
        if self.server and time.monotonic() - self.used_at > 10:
            self.hang_up()
        if not self.server:
            try:
                sock = socket.create_connection(self.address, 10)
            except OSError as e:
                raise Gone(str(e)) from e
            sock.settimeout(120)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.server = Stream(sock)
        half = left // 2 if fault == "half_sent" else -1
        self.server.send(request.head())
        while left > 0:
            if left <= half:
                break
            data = self.client.take(min(left, BLOCK))
            left -= len(data)
            self.up.wait(len(data), self.told.get("bandwidth"))
            try:
                self.server.send(data)
            except Gone: # it may have answered before it had read everything
                self.skip_body(left)
                break
        if fault == "half_sent":
            self.server.reset()
            self.server = None
            self.client.reset()
        return fault != "half_sent"

    # ---- and back

    def body(self, request, reply):
        """The reply's body without chunks, block by block."""
        method = request.first.split(" ")[0]
        if method == "HEAD" or reply.first.split(" ")[1] in ("204", "304"):
            return
        if reply.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.server.until(b"\r\n").split(b";")[0], 16):
                while size > 0:
                    data = self.server.take(min(size, BLOCK))
                    size -= len(data)
                    yield data
                self.server.until(b"\r\n")
            self.server.until(b"\r\n")
            return
        left = reply.length()
        while left > 0:
            data = self.server.take(min(left, BLOCK))
            left -= len(data)
            yield data

    def pass_reply(self, request, fault, gate):
        reply = Message(self.server.until(b"\r\n\r\n"))
        while reply.first.split(" ")[1] == "100":
            reply = Message(self.server.until(b"\r\n\r\n"))
        self.used_at = time.monotonic()
        if gate:
            gate.answer(reply)
        blocks = self.body(request, reply)
        chunked = "transfer-encoding" in reply.headers
        if fault or gate or chunked:  # what has to be seen whole is small, or broken anyway
            whole = b"".join(blocks)
            if gate and gate.clock:
                whole = shifted(whole, gate.clock)
            if chunked:
                del reply.headers["transfer-encoding"]
                reply.headers["content-length"] = str(len(whole))
            blocks = [whole[i:i + BLOCK] for i in range(0, len(whole), BLOCK)]
            if fault:
                return self.break_reply(reply, whole, fault)
        self.client.send(reply.head())
        for data in blocks:
            self.down.wait(len(data), self.told.get("bandwidth"))
            self.client.send(data)
        if reply.headers.get("connection", "").lower() == "close":
            self.hang_up()
        return int(reply.first.split(" ")[1])

    def break_reply(self, reply, whole, fault):
        if fault in ("silent_reply", "late"):
            time.sleep(self.told.get("stall", 2))
        if fault in ("lost_reply", "silent_reply"):
            return self.client.reset()
        if fault == "short" and whole:
            whole = whole[:len(whole) // 2]
            reply.headers["content-length"] = str(len(whole))
        if fault == "garbled" and whole:
            middle = len(whole) // 2
            whole = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:]
        sent = reply.head() + whole
        if fault in ("truncated", "half_reply"):
            cut = len(reply.head()) + len(whole) // 2 if whole else len(sent) // 2
            self.client.send(sent[:cut])
            if fault == "half_reply":
                return self.client.reset()
            self.client.close()
            raise Gone("closed")
        self.client.send(sent)
        return int(reply.first.split(" ")[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--tls")
    parser.add_argument("--port", type=int, default=0)
    told = parser.parse_args()
    host, _, port = told.to.rpartition(":")
    plan = Plan(told.dir)
    context = None
    if told.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(told.tls)
    listener = socket.create_server(("127.0.0.1", told.port), backlog=100)
    with open(os.path.join(told.dir, "port.new"), "w", encoding="ascii") as file:
        file.write(f"{listener.getsockname()[1]}\n")
    os.rename(os.path.join(told.dir, "port.new"), os.path.join(told.dir, "port"))

    def welcome(sock):
        try:
            sock.settimeout(120)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context:
                sock = context.wrap_socket(sock, server_side=True)
        except OSError as e:
            print(f"no connection: {e}", file=sys.stderr, flush=True)
            sock.close()
            return
        Visit(sock, (host, int(port)), plan).run()

    while True:
        sock, _ = listener.accept()
        threading.Thread(target=welcome, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
