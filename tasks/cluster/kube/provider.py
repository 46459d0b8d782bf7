"""A Kubernetes that is there: what a run wants is applied to the namespaces that its document names, and to nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import LeftBehindError, PreflightError, TidegaugeError
from tasks.base.stopping import sheltered
from tasks.cluster.kube.inside import Inside
from tasks.cluster.kube.kinds import NAMESPACE, REMADE, kind_of
from tasks.cluster.kube.leftovers import what_keeps
from tasks.cluster.kube.manifests import Bounds, Manifest, leaving, made_by, namespace_manifest, owner_of, prepared
from tasks.cluster.kube.needs import Need
from tasks.cluster.kube.plan import changes, found_of, not_ours
from tasks.cluster.kube.removal import lacking
from tasks.cluster.kube.teardown import take_down
from tasks.cluster.provider import Change, Found, Leftover
from tasks.kube.client import Kube
from tasks.kube.errors import Conflict, Forbidden, Invalid
from tasks.kube.labels import PART, Part
from tasks.kube.refs import ObjectRef

POLL_S = 0.25
ACCOUNT_PATIENCE_S = 15.0
"""A new namespace has no ServiceAccount for its pods until a controller has made one."""


@dataclass(frozen=True, slots=True)
class KubeProvider:
    """
    One part of a run (its app, its load ...) in the namespaces of *bounds*.

    ``plan`` and ``list`` see that part; ``down`` removes all parts of the run. The run's Lease is not its matter.
    """

    kube: Kube
    bounds: Bounds
    part: Part = "app"
    patience_s: float = 120.0
    """Longest wait until what was removed is gone."""
    clock: Clock = field(default_factory=SystemClock)
    say: Callable[[str], None] = lambda _: None

    def plan(self, wanted: Iterable[Mapping[str, Any]]) -> tuple[Change[Manifest], ...]:
        """
        Steps to *wanted*, in an order in which they can be done; a namespace that is not there comes first. Changes nothing.

        Raises:
            PreflightError: Something must not be written, or stands in the way: it was made by others, or by another run.
            KubeError: The API server said no.
        """
        made = prepared(wanted, self.bounds, self.part)
        missing = tuple(self._missing())
        inside = self._inside(without=missing)
        there = {ObjectRef.of(one): one for one in inside.objects([kind_of(ObjectRef.of(one)) for one in made])}
        self._refuse_strangers([ObjectRef.of(one) for one in made if one["metadata"]["namespace"] not in missing], there)
        own = {ref: one for ref, one in there.items() if owner_of(one) is None and _part_of(one) == self.part}
        return (*(_makes(name, self.bounds.run) for name in missing), *changes(made, own))

    def make_namespaces(self) -> None:
        """
        Make the namespaces that are not there: the Lease lies in one, so that they come before it.

        Raises:
            PreflightError: One is missing and must not be made, or is just being removed.
            KubeError: The API server said no; those that were made are gone again.
            LeftBehindError: They are not: what is known of the run is to be kept, since nobody would find them otherwise.
        """
        for done, name in enumerate(tuple(self._missing())):
            try:
                self._make_namespace(_namespace(name))
            except BaseException:  # also when it is to stop
                if done:  # where none was made there is nothing to remove, and perhaps no right to look
                    with sheltered():
                        self.undo()
                raise

    def apply(self, change: Change[Manifest]) -> None:
        """
        Do one step; returns once the server has taken it, or what is removed is gone. Whether pods get ready is looked at elsewhere.

        Raises:
            PreflightError: It was refused, or stands in the way.
            KubeError: The API server said no.
        """
        if change.spec is None:
            self._remove(change.name)
        elif ObjectRef.of(change.spec).kind == NAMESPACE:
            self._make_namespace(ObjectRef.of(change.spec))
        else:
            (manifest,) = prepared([change.spec], self.bounds, self.part)
            self._put(ObjectRef.of(manifest), manifest)

    def list(self) -> tuple[Found[Manifest], ...]:
        """What of this part of the run is there, in alphabetical order; what controllers made of it is not told apart."""
        return found_of(one for one in self._inside().objects() if _part_of(one) == self.part)

    def lacking(self) -> tuple[Need, ...]:
        """
        The rights that :meth:`down` takes here and the login does not have. Changes nothing.

        Raises:
            KubeError: The API server does not answer any more.
        """
        return lacking(self._inside())

    def down(self) -> tuple[Leftover, ...]:
        """
        Remove everything of the run, then the namespaces that it made, and say what is still there; does nothing the second time.

        Raises:
            KubeError: The API server does not answer any more.
        """
        return take_down(self._inside(), self.patience_s, self.say)

    def undo(self) -> None:
        """
        As :meth:`down`, for a run that could not begin.

        Raises:
            LeftBehindError: Something is still there, or may be.
        """
        try:
            left = self.down()
        except TidegaugeError as error:
            what = f"what was made may still be there: {error.message}"
            raise LeftBehindError(what, next_step=f"{error.next_step or 'see why'}; then `tidegauge down --all`") from error
        if left:
            named = ", ".join(f"{one.name} ({one.why})" for one in left)
            raise LeftBehindError(f"still there after the teardown: {named}", next_step="tidegauge down --all")

    # -- inside --------------------------------------------------------------------------------------------------------------

    def _inside(self, *, without: Iterable[str] = ()) -> Inside:
        names = tuple(name for name in self.bounds.namespaces if name not in set(without))
        return Inside(self.kube, self.bounds.run, names, self.clock, self.bounds.kinds)

    def _missing(self) -> Iterator[str]:
        for name in self.bounds.namespaces:
            found = self.kube.find(_namespace(name))
            if found is None and not self.bounds.namespaces_made:
                raise PreflightError(f"there is no namespace {name}", next_step=f"kubectl create namespace {name}")
            if found is None:
                yield name
            elif leaving(found):
                raise PreflightError(f"the namespace {name} is being removed{what_keeps(found)}", next_step="wait until it is gone")

    def _refuse_strangers(self, wanted: Iterable[ObjectRef], there: Mapping[ObjectRef, Manifest]) -> None:
        found = [self.kube.find(ref) for ref in wanted if ref not in there]
        reasons = [reason for one in found if one is not None and (reason := not_ours(one, self.bounds.run)) is not None]
        if reasons:
            raise PreflightError("; ".join(reasons), next_step="use a namespace of its own, or `tidegauge down` for the other run")

    def _make_namespace(self, ref: ObjectRef) -> None:
        if self.kube.find(ref) is None:
            with contextlib.suppress(Conflict):  # another run was faster, and it is that run's
                self.kube.create(namespace_manifest(ref.name, self.bounds.run))

    def _put(self, ref: ObjectRef, manifest: Manifest) -> None:
        present = self.kube.find(ref)
        reason = None if present is None else not_ours(present, self.bounds.run)
        if reason is not None:
            raise PreflightError(f"{reason}; it was left alone", next_step="use a namespace of its own")
        if present is not None and leaving(present):
            self._await_gone(ref)
        try:
            self._accepted(manifest)
        except Invalid:
            if present is None or ref.kind not in REMADE:
                raise
            self.kube.apply(manifest | {"metadata": manifest["metadata"] | {"name": f"{ref.name[:40]}-new"}}, dry_run=True)
            self.kube.delete(ref, propagation="Foreground")
            self._await_gone(ref)
            self._accepted(manifest)

    def _accepted(self, manifest: Manifest) -> None:
        until_s = self.clock.monotonic_s() + ACCOUNT_PATIENCE_S
        while True:
            try:
                self.kube.apply(manifest)
            except Forbidden as error:
                if not _account_to_come(error) or self.clock.monotonic_s() > until_s:
                    raise
                self.clock.sleep(POLL_S)
            else:
                return

    def _remove(self, name: str) -> None:
        for one in self._inside().objects():
            ref = ObjectRef.of(one)
            if str(ref) == name and _part_of(one) == self.part and owner_of(one) is None and made_by(one, self.bounds.run):
                self.kube.delete(ref, propagation="Foreground")
                self._await_gone(ref)

    def _await_gone(self, ref: ObjectRef) -> None:
        until_s = self.clock.monotonic_s() + self.patience_s
        while (found := self.kube.find(ref)) is not None:
            if self.clock.monotonic_s() > until_s:
                next_step = f"tidegauge down --run {self.bounds.run}"
                raise PreflightError(f"{ref} was removed and is still there{what_keeps(found)}", next_step=next_step)
            self.clock.sleep(POLL_S)


def _makes(namespace: str, run: str) -> Change[Manifest]:
    return Change(str(_namespace(namespace)), "create", namespace_manifest(namespace, run), "not there")


def _namespace(name: str) -> ObjectRef:
    return ObjectRef("v1", NAMESPACE, None, name)


def _part_of(one: Manifest) -> str:
    return str(((one.get("metadata") or {}).get("labels") or {}).get(PART, ""))


def _account_to_come(error: Forbidden) -> bool:
    return "serviceaccount" in error.message and "not found" in error.message
