"""The cluster that recordings were made in: its nodes, the images that really ran, and the pods."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from tasks.kube.quantity import number as amount
from tasks.reporting.cluster_facts import ClusterFacts, ImageFacts, NodeFacts, PodFacts
from tasks.reporting.grid import Cell, Grid, Heading, Row, capped, text, undefined
from tasks.reporting.model import ReportData
from tasks.reporting.wording import UNDEFINED, listed, number, shown

HEX = 12
"""Digits of a digest that are shown; the tooltip has them all."""
MIB = 2.0**20
Fact = TypeVar("Fact", bound=Hashable)


def grids(data: ReportData) -> tuple[Grid, ...]:
    """Nodes, images and pods; nothing where no recording was made in a cluster."""
    found = {view.name: view.cluster for view in data.recordings if view.cluster is not None}
    return (nodes(found), images(found), pods(found)) if found else ()


def nodes(found: dict[str, ClusterFacts]) -> Grid:
    """One row a node; a second one where it was another when a later recording was made."""
    labels = ("Node", "Kubelet", "Kernel", "System", "Runtime", "Cores", "Memory", "Pods", "Recordings")
    numeric = {"Cores", "Memory", "Pods"}
    headings = tuple(Heading(label, label in numeric, "allocatable to pods" if label in numeric else "") for label in labels)
    every = _together((name, one.nodes or ()) for name, one in found.items())
    notes = "; ".join(sorted({shown(note, 400) for one in found.values() for note in one.notes}))
    versions = listed(sorted({f"Kubernetes {shown(one.version, 40)}" for one in found.values()}))
    places = listed(sorted({f"namespace {shown(one.namespace, 80)}" for one in found.values()}))
    return capped(
        Grid(
            "nodes",
            f"Nodes that the app ran on: {versions}, {places}; cores, memory and pods as far as they are allocatable",
            headings,
            tuple(_node(one, names) for one, names in every),
            note=notes,
            empty=notes or "no pod was on a node",
        )
    )


def images(found: dict[str, ClusterFacts]) -> Grid:
    """One row an image, by what the runtime found under its name when the recording began."""
    headings = (Heading("Image"), Heading("Digest"), Heading("Containers"), Heading("Recordings"))
    rows = tuple(_image(one, names) for one, names in _together((name, one.images) for name, one in found.items()))
    return capped(Grid("images", "Images that really ran, by the digest that the runtime found", headings, rows, empty="no image was seen"))


def pods(found: dict[str, ClusterFacts]) -> Grid:
    """One row a pod and recording, as the pod was last seen."""
    labels = ("Service", "Recording", "Pod", "Node", "Image", "Restarts", "State")
    headings = tuple(Heading(label, label == "Restarts") for label in labels)
    rows = tuple(_pod(name, pod) for name, one in found.items() for pod in one.pods)
    return capped(Grid("pods", "Pods of the app, as they were last seen", headings, rows, empty="no pod was watched"))


def _node(one: NodeFacts, names: Sequence[str]) -> Row:
    told = dict(one.allocatable)
    words = (one.kubelet, one.kernel, one.system, one.runtime)
    cells = [undefined("the node did not say") if word is None else text(shown(word, 80)) for word in words]
    if one.architecture is not None and one.system is not None:
        cells[2] = text(shown(one.system, 80), sub=shown(one.architecture, 20))
    cores, memory, places = (amount(told.get(name)) for name in ("cpu", "memory", "pods"))
    return Row(
        (
            text(shown(one.name)),
            *cells,
            _amount(cores, number(cores)),
            _amount(memory, UNDEFINED if memory is None else f"{memory / MIB:,.0f} MiB"),
            _amount(places, number(places)),
            text(shown(listed(list(names)))),
        )
    )


def _amount(value: float | None, words: str) -> Cell:
    return undefined("the node did not say") if value is None else Cell(words, value)


def _image(one: ImageFacts, names: Sequence[str]) -> Row:
    ran = f"{', '.join(one.containers[:8])}{f' and {len(one.containers) - 8} more' if len(one.containers) > 8 else ''}"
    return Row((text(shown(one.image)), _digest(one.digest), text(shown(ran) or UNDEFINED), text(shown(listed(list(names))))))


def _pod(recording: str, one: PodFacts) -> Row:
    several = len(one.containers) > 1
    ran = [f"{box.name} {_short(box.image)}" if several else _short(box.image) for box in one.containers]
    ended = sorted({f"{box.name} {box.ended}" if several else box.ended for box in one.containers if box.ended is not None})
    restarts = sum(box.restarts for box in one.containers)
    each = ", ".join(f"{box.name} {box.restarts}" for box in one.containers) if several and restarts else ""
    return Row(
        (
            text(shown(one.service), sub="" if one.replica is None else f"replica {one.replica}"),
            text(shown(recording)),
            text(shown(one.name)),
            text(shown(one.node)) if one.node else undefined("it was on no node yet"),
            text(shown(", ".join(ran)), why=shown("; ".join(box.image for box in one.containers), 600)) if any(ran) else _digest(None),
            Cell(f"{restarts:,}", restarts, sub=shown(each), tone="bad" if restarts else ""),
            text("gone before the end" if one.gone else "there at the end", sub=shown(f"last ended: {', '.join(ended)}") if ended else ""),
        ),
        quiet=one.gone,
    )


def _digest(digest: str | None) -> Cell:
    return undefined("the runtime did not say") if not digest else text(shown(_short(digest)), why=shown(digest, 400))


def _short(image: str) -> str:
    """The first digits of an image's digest; the whole name where there is none in it."""
    digits = image.rpartition("sha256:")[2] if "sha256:" in image else ""
    return f"sha256:{digits[:HEX]}" if digits else image


def _together(told: Iterable[tuple[str, Iterable[Fact]]]) -> list[tuple[Fact, list[str]]]:
    """Each fact once, with the recordings that told it."""
    found: dict[Fact, list[str]] = {}
    for name, facts in told:
        for one in facts:
            found.setdefault(one, []).append(name)
    return list(found.items())
