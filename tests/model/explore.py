"""All interleavings of a few small programs over one shared store, and what may not happen in any.

A process is a generator function written as a list of steps: it yields a function of the state,
which is one call of the store (atomic), and gets that call's answer. Processes are pure: a process
is its program and the answers it has got so far, so a state of the whole is a store and a tuple of
such histories. At each step any process may be the next one to move; one that may crash may also
never move again (that is the same as sleeping for ever, so every subset of steps is covered by
simply judging in every state what must hold in every state).
"""


class Wrong(Exception):
    def __init__(self, what, trace):
        super().__init__(what)
        self.trace = trace


class Done:
    """A process that has ended, with what it returned."""

    def __init__(self, value):
        self.value = value


def at(program, answers):
    """The call that a process is about to make, or Done."""
    process = program()
    try:
        call = process.send(None)
        for answer in answers:
            call = process.send(answer)
    except StopIteration as end:
        return Done(end.value)
    return call


def explore(store, programs, judge):
    """Visits every reachable state; returns how many. store: a frozenset of facts. programs: name to
    generator function. judge(store, results) says what is wrong, or None; results: name to what the
    process returned, for those that have ended."""
    names = sorted(programs)
    start = (store, tuple(() for _ in names))
    seen = {start: None}
    todo = [start]
    cache = {}

    def position(i, answers):
        key = (i, answers)
        if key not in cache:
            cache[key] = at(programs[names[i]], answers)
        return cache[key]

    while todo:
        state = todo.pop()
        facts, histories = state
        positions = [position(i, h) for i, h in enumerate(histories)]
        ended = {names[i]: p.value for i, p in enumerate(positions) if isinstance(p, Done)}
        what = judge(facts, ended)
        if what:
            raise Wrong(what, trace(seen, state, names, position))
        for i, p in enumerate(positions):
            if isinstance(p, Done):
                continue
            after, answer = p(facts)
            moved = histories[:i] + (histories[i] + (answer,),) + histories[i + 1:]
            new = (after, moved)
            if new not in seen:
                seen[new] = (state, i)
                todo.append(new)
    return len(seen)


def trace(seen, state, names, position):
    steps = []
    while seen[state] is not None:
        before, i = seen[state]
        steps.append(f"{names[i]}: {position(i, before[1][i]).__name__}")
        state = before
    return list(reversed(steps))


# ---- calls of the store


def named(name, call):
    call.__name__ = name
    return call


def put(fact):
    """Create; there already is fine."""
    return named(f"put {fact}", lambda facts: (facts | {fact}, None))


def remove(*gone):
    return named(f"remove {', '.join(gone)}", lambda facts: (facts - set(gone), None))


def look(*wanted):
    """Which of these are there, asked in one request (or one listing)."""
    return named(f"look for {', '.join(wanted)}",
                 lambda facts: (facts, frozenset(facts & set(wanted))))
