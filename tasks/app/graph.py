"""Who calls whom, as names: what is reached from where, and what in it cannot be."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence


def reachable_from(entry: str, calls: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """The services that *entry* calls, directly or through others; itself only when it is called back."""
    found: set[str] = set()
    todo = list(calls.get(entry, ()))
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(calls.get(name, ()))
    return frozenset(found)


def reached_from(entry: str, calls: Mapping[str, tuple[str, ...]], *, known: bool) -> frozenset[str]:
    """Like :func:`reachable_from`; where it is not *known* who calls whom, every other service may be reached."""
    return reachable_from(entry, calls) if known else frozenset(calls) - {entry}


def graph_problems(
    entry: str, services: Sequence[tuple[str, tuple[str, ...]]], endpoints: Mapping[str, tuple[str, ...]], *, known: bool = True
) -> Iterator[str]:
    """
    What is wrong with an app's names, one sentence each.

    Args:
        entry: Where users come in.
        services: Each service, and those that it calls.
        endpoints: What each request to the entry reaches.
        known: Whether the calls are known at all.
    """
    names, calls = [name for name, _ in services], dict(services)
    yield from (f"two services are called {name}" for name in sorted({n for n in names if names.count(n) > 1}))
    if entry not in calls:
        yield f"entry: there is no service {entry}{nearest(entry, set(calls))}"
    for name, callees in services:
        for callee in callees:
            if callee not in calls:
                yield f"{name} calls {callee}, which is no service{nearest(callee, set(calls))}"
        if name in callees:
            yield f"{name} calls itself"
    reachable = reached_from(entry, calls, known=known)
    for endpoint, reached in endpoints.items():
        for name in reached:
            if name not in reachable:
                yield f"{endpoint!r} reaches {name}, to which no calls lead from {entry}{nearest(name, reachable)}"


def nearest(name: str, known: Mapping[str, object] | frozenset[str] | set[str]) -> str:
    """``; did you mean X?`` for the known name nearest to *name*, or nothing."""
    close = difflib.get_close_matches(name, sorted(known), 1, 0.5)
    return f"; did you mean {close[0]}?" if close else ""
