#!/usr/bin/env python3
"""The protocols of docs/format.md hold in every interleaving of their steps, with crashes and sleeps
anywhere; and each known-unsafe variant is shown to be unsafe, so that the check can fail.

Prints TAP. "safe" cases tell how many states there were; "unsafe" ones show a way to the loss (V=1).
"""
import itertools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import protocols as p  # noqa: E402
from explore import Wrong, explore  # noqa: E402

count = failed = 0


def result(ok, name, trace=()):
    global count, failed
    count += 1
    failed += not ok
    print(f"{'ok' if ok else 'not ok'} {count} - {name}")
    if trace and (not ok or os.environ.get("V")):
        for line in trace:
            print(f"#   {line}")


def safe(name, store, programs, judge):
    try:
        n = explore(frozenset(store), programs, judge)
    except Wrong as wrong:
        result(False, f"{name}: {wrong}", wrong.trace)
    else:
        result(True, f"{name} ({n} states)")


def unsafe(name, store, programs, judge):
    try:
        explore(frozenset(store), programs, judge)
    except Wrong as wrong:
        result(True, f"{name} is seen to be unsafe: {wrong}", wrong.trace)
    else:
        result(False, f"{name} was expected to lose something")


def kept(label, writer, *packs):
    return p.backup_is_whole(label, packs, writer)


def incrementals():
    base = {"manifest:A", "pack:A"}
    judge = kept("B", "writer", "pack:A", "pack:B")
    writer = p.incremental()
    safe("an incremental beside an expirer of its base", base,
         {"writer": writer, "expirer": p.expire()}, judge)
    safe("with two expirers that may take the writer for dead", base,
         {"writer": writer, "expirer": p.expire(breaks=True), "other": p.expire(breaks=True)}, judge)
    unsafe("a base that is looked at before the lease is written", base,
           {"writer": p.incremental(check_first=True), "expirer": p.expire()}, judge)
    unsafe("breaking a lease of a base without a fence", base,
           {"writer": writer, "expirer": p.expire(breaks=True, fenced_first=False)}, judge)


def orphans():
    judge = kept("N", "writer", "pack:N")
    for order in map("".join, itertools.permutations("PLM")):
        programs = {"writer": p.full, "expirer": p.remove_orphans(order)}
        if order == "PLM":
            safe("packs, leases, manifests: listed in this order", (), programs, judge)
        else:
            unsafe(f"the order {order}", (), programs, judge)


def sleepers():
    judge = kept("N", "writer", "pack:N")

    def with_janitors(**how):
        return {"writer": p.full, "janitor": p.janitor(**how), "other": p.janitor(**how)}

    safe("a sleeping writer and two janitors with fences in two steps", (), with_janitors(), judge)
    unsafe("a lease broken without a fence", (),
           {"writer": p.full, "janitor": p.unfenced_janitor}, judge)
    unsafe("a fence in one step", (), with_janitors(two_steps=False), judge)
    unsafe("a fence without looking for the manifest again", (),
           with_janitors(look_again=False), judge)
    safe("an intent that one janitor takes back", (),
         {"writer": p.full, "janitor": p.janitor(withdraw=True)}, judge)
    unsafe("an intent taken back while another janitor relies on it", (),
           with_janitors(withdraw=True), judge)


def adoptions():
    dead = {"pack:D"}
    judge = kept("N", "writer", "pack:D")
    safe("a dead set that is adopted while two janitors sweep", dead,
         {"writer": p.adopter(), "janitor": p.sweep(), "other": p.sweep()}, judge)
    unsafe("adoption without fences", dead,
           {"writer": p.adopter(), "janitor": p.sweep(fenced=False)}, judge)
    unsafe("adoption that does not look for fences", dead,
           {"writer": p.adopter(checks=False), "janitor": p.sweep()}, judge)
    unsafe("adoption that looks for fences before its lease names the set", dead,
           {"writer": p.adopter(check_first=True), "janitor": p.sweep()}, judge)


def holds():
    def judge(facts, ended):
        lost = not {"manifest:A", "pack:A"} <= facts
        return "a backup that was promised to be held is gone" \
            if ended.get("holder") == "success" and lost else None

    base = {"manifest:A", "pack:A"}
    safe("a hold beside two expirers", base,
         {"holder": p.hold, "expirer": p.expire_unless_held(), "other": p.expire_unless_held()}, judge)
    unsafe("a hold that does not look for a tombstone", base,
           {"holder": lambda: p.hold(looks=False), "expirer": p.expire_unless_held()}, judge)
    unsafe("an expirer that looks for holds before its tombstone", base,
           {"holder": p.hold, "expirer": p.expire_unless_held(mark_first=False)}, judge)


def wal():
    judge = kept("N", "writer", "wal:1")
    for order in map("".join, itertools.permutations("WLM")):
        programs = {"writer": p.wal_backup(), "expirer": p.expire_wal(order)}
        if order == "WLM":
            safe("WAL of a running backup: WAL, leases, manifests", (), programs, judge)
        else:
            unsafe(f"WAL in the order {order}", (), programs, judge)
    unsafe("WAL of a backup without a lease", (),
           {"writer": p.wal_backup(lease_first=False), "expirer": p.expire_wal("WLM")}, judge)


def main():
    for part in (incrementals, orphans, sleepers, adoptions, holds, wal):
        part()
    print(f"1..{count}")
    return 1 if failed else 0


sys.exit(main())
