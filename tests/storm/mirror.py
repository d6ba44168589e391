#!/usr/bin/env python3
"""mirror.py PREFIX DIR: all objects of the test bucket below PREFIX as files below DIR."""
import os
import sys

from s3_client import Client


def main(prefix, folder):
    env = os.environ
    client = Client("https://" + env["PGBR_TEST_S3_ENDPOINT"], env["PGBR_TEST_S3_KEY"], env["PGBR_TEST_S3_SECRET"],
                    env["PGBR_TEST_S3_REGION"], env["PGBR_TEST_S3_CA"])
    bucket = env["PGBR_TEST_S3_BUCKET"]
    for key, _ in client.list(bucket, prefix):
        path = os.path.join(folder, key[len(prefix):])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(client.must("GET", f"/{bucket}/{key}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
