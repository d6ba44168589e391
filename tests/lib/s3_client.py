#!/usr/bin/env python3
"""A small S3 client with a signer of its own, so that the tests do not judge pgbr's signer by itself.

    s3_client.py [--endpoint URL] [--ca FILE] [--key K] [--secret S] [--region R] COMMAND...

    make-bucket BUCKET            policy BUCKET FILE
    put BUCKET KEY [FILE]         standard input by default
    get BUCKET KEY                list BUCKET [PREFIX]: key and size, one a line
    delete BUCKET KEY...
    put-all BUCKET PREFIX DIR [JOBS]: every file below DIR, JOBS (2) at a time; prints bytes, seconds

Endpoint and credentials are by default what s3.sh exports (PGBR_TEST_S3_*). Exit status 1 and the
server's answer on standard error when it refuses. wire_proxy.py uses signature() and escape().
"""
import argparse
import datetime
import hashlib
import hmac
import http.client
import os
import ssl
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree


def escape(text, safe=""):
    return urllib.parse.quote(text, safe="-_.~" + safe)


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(method, target, headers, signed, secret, region):
    """AWS signature version 4 of a request. target as sent, headers with lower-case names."""
    path, _, query = target.partition("?")
    pairs = sorted(p if "=" in p else p + "=" for p in query.split("&") if p)
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed)
    canonical = "\n".join([method, path, "&".join(pairs), lines, ";".join(signed),
                           headers["x-amz-content-sha256"]])
    when = headers["x-amz-date"]
    scope = f"{when[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", when, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = digest(key, part)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def authorize(method, target, headers, key, secret, region):
    """Adds date and Authorization to headers, which hold host and x-amz-content-sha256."""
    headers["x-amz-date"] = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    signed = sorted(n for n in headers if n == "host" or n.startswith("x-amz-")
                    or n in ("content-md5", "if-none-match", "range"))
    made = signature(method, target, headers, signed, secret, region)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key}/{headers['x-amz-date'][:8]}/{region}/s3/aws4_request, "
        f"SignedHeaders={';'.join(signed)}, Signature={made}")


class Client:
    def __init__(self, endpoint, key, secret, region="us-east-1", ca=None):
        self.url = urllib.parse.urlsplit(endpoint)
        self.key, self.secret, self.region = key, secret, region
        self.ca = ca
        self.connection = None

    def connect(self):
        if self.url.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca)
            return http.client.HTTPSConnection(self.url.hostname, self.url.port, context=context,
                                               timeout=60)
        return http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=60)

    def request(self, method, path, query=None, body=b"", headers=None):
        """One request on the kept connection: (status, headers, body)."""
        target = escape(path, "/")
        if query:
            target += "?" + "&".join(f"{escape(k)}={escape(v)}" for k, v in sorted(query.items()))
        sent = {"host": self.url.netloc, "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
        sent.update(headers or {})
        authorize(method, target, sent, self.key, self.secret, self.region)
        self.connection = self.connection or self.connect()
        try:
            self.connection.request(method, target, body=body or None, headers=sent)
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection = None
            raise

    def must(self, *args, **named):
        status, _, body = self.request(*args, **named)
        if status >= 300:
            raise SystemExit(f"{args[0]} {args[1]}: {status} {body.decode(errors='replace')}")
        return body

    def list(self, bucket, prefix=""):
        query = {"list-type": "2", "prefix": prefix}
        while True:
            root = xml.etree.ElementTree.fromstring(self.must("GET", f"/{bucket}", query=query))
            space = root.tag.rpartition("}")[0] + "}" if "}" in root.tag else ""
            for entry in root.iter(space + "Contents"):
                yield entry.findtext(space + "Key"), int(entry.findtext(space + "Size"))
            token = root.findtext(space + "NextContinuationToken")
            if not token:
                return
            query["continuation-token"] = token


def put_all(told, bucket, prefix, directory, jobs=2):
    files = [os.path.join(d, n) for d, _, names in os.walk(directory) for n in names]
    todo, sizes = iter(files), []
    lock = threading.Lock()

    def work():
        client = Client(told.endpoint, told.key, told.secret, told.region, told.ca)
        while True:
            with lock:
                path = next(todo, None)
            if path is None:
                return
            with open(path, "rb") as file:
                body = file.read()
            client.must("PUT", f"/{bucket}/{prefix}{os.path.relpath(path, directory)}", body=body)
            sizes.append(len(body))
    begin = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(int(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begin
    if len(sizes) != len(files):
        raise SystemExit(f"{len(sizes)} of {len(files)} files were stored")
    print(sum(sizes), f"{seconds:.2f}")


def main():
    env = os.environ.get
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", default="https://" + env("PGBR_TEST_S3_ENDPOINT", "localhost"))
    parser.add_argument("--ca", default=env("PGBR_TEST_S3_CA"))
    parser.add_argument("--key", default=env("PGBR_TEST_S3_KEY"))
    parser.add_argument("--secret", default=env("PGBR_TEST_S3_SECRET"))
    parser.add_argument("--region", default=env("PGBR_TEST_S3_REGION", "us-east-1"))
    parser.add_argument("command")
    parser.add_argument("bucket")
    parser.add_argument("rest", nargs="*")
    told = parser.parse_args()
    client = Client(told.endpoint, told.key, told.secret, told.region, told.ca)
    place = "/" + told.bucket
    if told.command == "make-bucket":
        client.must("PUT", place)
    elif told.command == "policy":
        with open(told.rest[0], "rb") as file:
            client.must("PUT", place, query={"policy": ""}, body=file.read())
    elif told.command == "put":
        with open(told.rest[1] if len(told.rest) > 1 else 0, "rb") as file:
            client.must("PUT", f"{place}/{told.rest[0]}", body=file.read())
    elif told.command == "get":
        sys.stdout.buffer.write(client.must("GET", f"{place}/{told.rest[0]}"))
    elif told.command == "put-all":
        put_all(told, told.bucket, *told.rest)
    elif told.command == "list":
        for key, size in client.list(told.bucket, *told.rest[:1]):
            print(key, size)
    elif told.command == "delete":
        for key in told.rest:
            client.must("DELETE", f"{place}/{key}")
    else:
        parser.error(f"{told.command}?")


if __name__ == "__main__":
    main()
