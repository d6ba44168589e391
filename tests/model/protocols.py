"""The protocols of docs/format.md as programs for explore.py, each with switches for the ways in
which it would be unsafe.

Facts are objects: "lease:S", "manifest:S", "expired:S", "intent:S", "final:S", "pack:S". A lease is
written with what it pins: "lease:B>A" is the lease of B with A as its base or as an adopted set;
"lease:B=" is released. Of packs there is one for each set; sizes and clocks are not modelled: a
lease may be taken for dead at any time.
"""
from explore import look, put, remove


def is_fenced(label):
    """Asked from the store in two requests, the intent first."""
    intent = yield look(f"intent:{label}")
    final = yield look(f"final:{label}")
    return bool(intent or final)


def list_in(order, calls):
    """Listings in this order. That of manifests is followed by that of fences, that of leases too."""
    seen = {}
    for what in order:
        seen[what] = set()
        for call in calls[what]:
            answer = yield call
            seen[what] |= answer
    return seen


# ---- an incremental B on a base A


def incremental(check_first=False):
    def run():
        if check_first:
            base = yield look("manifest:A", "expired:A")
            if base != {"manifest:A"}:
                return "refused"
        yield put("lease:B>A")
        if not check_first:
            base = yield look("manifest:A", "expired:A")
            if base != {"manifest:A"}:
                yield remove("lease:B>A")
                return "refused"
        yield put("pack:B")
        dead = yield from is_fenced("B")
        if dead:
            return "fenced"
        yield put("manifest:B")
        dead = yield from is_fenced("B")
        if dead:
            yield put("expired:B")
            return "fenced"
        yield remove("lease:B>A")
        return "success"
    return run


def fence(label, two_steps=True, look_again=True, withdraw=False):
    """The two steps that declare the writer of a set dead; True if it is."""
    if two_steps:
        yield put(f"intent:{label}")
    if look_again:
        there = yield look(f"manifest:{label}")
        if there:
            if withdraw:
                yield remove(f"intent:{label}")
            return False
    yield put(f"final:{label}")
    return True


def expire(order="PLM", **how):
    """Expires A. The lease of B may look dead; then it is fenced before the listings."""
    breaks = how.pop("breaks", False)
    fenced_first = how.pop("fenced_first", True)
    calls = {"P": [look("pack:A", "pack:B")],
             "L": [look("lease:B>A"), look("final:B")],
             "M": [look("manifest:A", "manifest:B"), look("final:B")]}

    def run():
        yield put("expired:A")
        if breaks:
            there = yield look("lease:B>A", "manifest:B")
            if there == {"lease:B>A"} and fenced_first:
                dead = yield from fence("B", **how)
                if not dead:
                    return "let it be"
        seen = yield from list_in(order, calls)
        lives = "lease:B>A" in seen["L"] and "final:B" not in seen["L"]
        if breaks and not fenced_first:
            lives = False  # it was silent: that must do
        if lives:
            return "pinned"
        needed = set()
        if "manifest:B" in seen["M"] and "final:B" not in seen["M"]:
            needed = {"pack:A", "pack:B"}
        yield remove("manifest:A")
        for pack in sorted(seen["P"] - needed):
            if pack == "pack:B" and not ("final:B" in seen["M"]):
                continue  # an attempt that may still become a backup
            yield remove(pack)
        yield remove("expired:A")
        return "done"
    return run


def backup_is_whole(label, packs, writer):
    """Listed means whole, and whoever reported success has a backup."""
    def judge(facts, ended):
        listed = f"manifest:{label}" in facts and f"expired:{label}" not in facts and \
            f"final:{label}" not in facts
        missing = [p for p in packs if p not in facts]
        if ended.get(writer) == "success" and not listed:
            return f"{label} reported success and is no backup"
        if listed and missing:
            return f"{label} is listed and lacks {', '.join(missing)}"
        return None
    return judge


# ---- a full backup N beside the removal of orphans


def full():
    yield put("lease:N")
    yield put("pack:N")
    dead = yield from is_fenced("N")
    if dead:
        return "fenced"
    yield put("manifest:N")
    dead = yield from is_fenced("N")
    if dead:
        yield put("expired:N")
        return "fenced"
    yield remove("lease:N")
    return "success"


def remove_orphans(order):
    """Packs that no manifest needs and whose set has no lease, by three listings in this order."""
    calls = {"P": [look("pack:N")], "L": [look("lease:N")], "M": [look("manifest:N")]}

    def run():
        seen = yield from list_in(order, calls)
        if seen["P"] and not seen["L"] and not seen["M"]:
            yield remove("pack:N")
        return "done"
    return run


# ---- a writer that sleeps, and janitors that take it for dead


def janitor(**how):
    def run():
        there = yield look("lease:N", "manifest:N")
        if there == {"lease:N"}:
            dead = yield from fence("N", **how)
            if not dead:
                return "let it be"
        seen = yield from list_in("PLM", {"P": [look("pack:N")],
                                          "L": [look("lease:N"), look("final:N")],
                                          "M": [look("manifest:N"), look("final:N")]})
        if "lease:N" in seen["L"] and "final:N" not in seen["L"]:
            return "lives"
        if seen["P"] and ("manifest:N" not in seen["M"] or "final:N" in seen["M"]):
            yield remove("pack:N")
        return "done"
    return run


def unfenced_janitor():
    there = yield look("lease:N", "manifest:N")
    if there == {"lease:N"}:
        yield remove("lease:N")
        manifests = yield look("manifest:N")
        if not manifests:
            yield remove("pack:N")
    return "done"


# ---- adoption of a dead set D by N


def adopter(check_first=False, checks=True):
    def run():
        if checks:
            dead = yield from is_fenced("D")
            if dead:
                return "refused"
        yield put("lease:N>D")
        if checks and not check_first:
            dead = yield from is_fenced("D")
            if dead:
                return "refused"
        packs = yield look("pack:D")
        if not packs:
            return "refused"
        yield put("manifest:N")
        yield remove("lease:N>D")
        return "success"
    return run


def sweep(fenced=True):
    """Removes the dead set D, unless a lease names it or a manifest needs it."""
    def run():
        leases = yield look("lease:N>D")
        if leases:
            return "adopted"
        if fenced:
            dead = yield from fence("D")
            if not dead:
                return "let it be"
        packs = yield look("pack:D")
        leases = yield look("lease:N>D")
        manifests = yield look("manifest:N")
        if packs and not leases and not manifests:
            yield remove("pack:D")
        return "done"
    return run


# ---- a hold beside an expirer


def hold(looks=True):
    yield put("hold:A")
    if looks:
        marks = yield look("expired:A", "manifest:A")
        if marks != {"manifest:A"}:
            return "refused"
    return "success"


def expire_unless_held(mark_first=True):
    def run():
        if mark_first:
            yield put("expired:A")
        held = yield look("hold:A")
        if held:
            return "held"
        if not mark_first:
            yield put("expired:A")
        yield remove("manifest:A")
        yield remove("pack:A")
        return "done"
    return run


# ---- WAL: a running backup N needs segment 1, a newer backup K would let it go


def wal_backup(lease_first=True):
    """What it needs is archived while it runs."""
    def run():
        if lease_first:
            yield put("lease:N")
        yield put("wal:1")
        there = yield look("wal:1")
        if not there:
            return "refused"
        yield put("manifest:N")
        if lease_first:
            yield remove("lease:N")
        return "success"
    return run


def expire_wal(order):
    calls = {"W": [look("wal:1")], "L": [look("lease:N")], "M": [look("manifest:N")]}

    def run():
        seen = yield from list_in(order, calls)
        if seen["W"] and not seen["L"] and not seen["M"]:
            yield remove("wal:1")
        return "done"
    return run
