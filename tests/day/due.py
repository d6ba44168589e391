"""What became of the due times of one host: due.py EXPECTED STOPPED LOG CATALOG HOOKS...

EXPECTED  what "pgbr scheduler next --json" said before the first one
STOPPED   when this host's scheduler was stopped, by its own clock, in seconds since 1970
LOG       what the scheduler and its runs said; CATALOG: what it remembers
HOOKS     the lines that the hooks of the other hosts wrote

Each due time must have been taken up, or be one of those that were told as made up for by a later run; and what
was left out because another host ran it, that host must have done. Prints a line for each that was not.
"""
import datetime
import json
import re
import sqlite3
import sys

LATE = 300  # by the scheduler's clock: what fell due so shortly before the end may not have been taken up


def seconds(text):
    text = re.sub(r"([+-]\d\d)$", r"\1:00", text.replace("Z", "+00:00"))
    return int(datetime.datetime.fromisoformat(text).timestamp())


def shown(when):
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%F %T")


def read_log(path):
    """The ledger: per job what happened, in order."""
    jobs = {}
    for line in open(path, errors="replace"):
        found = re.search(r" job (\w+): (.*)$", line)
        if not found:
            continue
        events = jobs.setdefault(found[1], [])
        start = re.search(r" of cluster .*, due at (\S+ \S+)$", found[2])
        missed = re.match(r"(\d+) earlier times have passed", found[2])
        settled = re.match(r'not run here: host ".*" ran it', found[2])
        if start:
            events.append(("start", seconds(start[1])))
        elif missed:
            events.append(("missed", int(missed[1])))
        elif settled:
            events.append(("settled", None))
    return jobs


def forgotten(name, due, events, done_there, last, settled, until):
    before, missed = 0, 0
    for what, value in events:
        if what == "missed":
            missed += value
        elif what == "settled" and (name, before) not in done_there:
            yield f"{name}: {shown(before)} was left to another host, which did not do it"
        elif what == "start" and value < before:
            yield f"{name}: {shown(value)} was taken up after {shown(before)}"
        elif what == "start" and value > before:
            between = [t for t in due if before < t < value]
            if len(between) > missed:
                yield f"{name}: of {', '.join(map(shown, between))} no more than {missed} were made up for"
            before, missed = value, 0
    if before not in (0, last):
        yield f"{name}: {shown(last)} is remembered, and {shown(before)} was the last that was taken up"
    if settled:
        for t in due:
            if last < t <= until:
                yield f"{name}: {shown(t)} was not taken up"


def main():
    expected, stopped, log, catalog, *hooks = sys.argv[1:]
    due = {}
    for start in json.load(open(expected)):
        due.setdefault(start["job"], []).append(seconds(start["time"]))
    done_there = set()
    for line in (line.split() for path in hooks for line in open(path)):
        if line[0] == "end" and line[3] in ("0", "3"):
            done_there.add((line[1], seconds(line[2])))
    ledger = read_log(log)
    rows = sqlite3.connect(catalog).execute("select name, last_due_us / 1000000, open from job")
    memory = {name: (last, is_open) for name, last, is_open in rows}
    for name, times in due.items():
        until = int(stopped) - LATE
        if times[0] > until:
            continue  # none has fallen due
        last, is_open = memory[name]
        for line in forgotten(name, times, ledger.get(name, []), done_there, last, not is_open, until):
            print(line)


main()
