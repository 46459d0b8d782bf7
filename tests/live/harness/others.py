"""
What on this machine is another cluster's: neither taken away nor counted as left by ours.

There is one node at a time, since a second one would not come up beside it. So while another cluster is up, everything that is a
node's own is that one's, whatever its name; where there is none, everything that is new is ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from tests.live.harness.inventory import DEEP, POD_CGROUP, SET_BY_THE_KUBELET
from tests.live.harness.layout import Layout
from tests.live.harness.processes import MARK, environments

NODE_WIDE = (*DEEP, "/run/netns")
"""Folders of a node, and of its pods' networks."""


def others(layout: Layout) -> frozenset[Path]:
    """The state folders of other clusters that are up."""
    return frozenset(state for state in states_in(environments()) - {layout.state} if Layout(state).inventory.is_file())


def states_in(found: Iterable[Collection[bytes]]) -> frozenset[Path]:
    """The state folders that are named by marks in the environments of processes."""
    head = f"{MARK}=".encode()
    return frozenset(Path(one.removeprefix(head).decode()) for several in found for one in several if one.startswith(head))


def counted(left: Iterable[str], up: Collection[Path]) -> Iterator[str]:
    """
    Those texts of *left* that are not another cluster's.

    Args:
        left: What is new since a cluster came up, as :func:`tests.live.harness.inventory.added` tells it.
        up: The state folders of other clusters that are up.
    """
    for text in left:
        kind, _, what = text.partition(" ")
        if not up or not _is_anothers(kind, what, up):
            yield text


def _is_anothers(kind: str, what: str, up: Collection[Path]) -> bool:
    if kind in ("path", "mount"):
        return any(what == top or what.startswith(f"{top}/") for top in (*map(str, up), *NODE_WIDE))
    if kind == "sysctl":
        return what.partition(" ")[0] in SET_BY_THE_KUBELET
    return kind == "namespace" or (kind == "cgroup" and f"/{POD_CGROUP}" in what)
