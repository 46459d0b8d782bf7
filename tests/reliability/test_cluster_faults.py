"""
Faults in a cluster, on a fake API server: whoever is killed, whatever fails, no fault is left, and none is called over that is not.

What happens on a real one is in ``tests/live/test_faults.py``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.base.errors import DocumentError, FaultActiveError, PreflightError, TidegaugeError
from tasks.faults.kube.injector import revert_all
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.target import Target
from tests.faults.kube.town import NAMESPACE, Killed, Mortal, Town
from tests.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
MOMENTS = 12
GUARDED = [name for name, kind in KINDS.items() if kind.need != "script" and name != "pod_kill"]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """An app on a fake API server."""
    with Town.running(tmp_path) as made:
        yield made


def clean(town: Town) -> bool:
    """Nothing of any fault is there, and nothing is open."""
    return town.state() == town.before and town.ours() == [] and town.injector().open_faults() == ()


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_next_start_ends_what_a_killed_runner_left(town: Town, kind: str, rng: random.Random, ledger: Ledger):
    """Killed at the n-th request to the server, n drawn: the next start finds the journal, ends the fault, and everything is as before."""
    for lives in sorted(rng.sample(range(2, 60), MOMENTS)):
        attempt = ledger.begin(row=23, fault="runner killed at a request to the API server", where="fake")
        with suppress(Killed):
            town.injector(Mortal(town.kube, lives)).inject(town.request(kind, fault=f"t{lives:03d}", duration_s=2.0)).wait(
                lambda: town.swept.set() or False
            )
        revert_all(town.kube, town.folder, town.clock)
        assert clean(town), lives
        town.swept.clear()
        attempt.survived("0 objects left")


@pytest.mark.parametrize("kind", GUARDED)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_revert_that_fails_is_tried_again_and_never_called_done(town: Town, kind: str, status: int, ledger: Ledger):
    """An API server that is unwell for ever: exit code 5, and no further fault; once it is well, the emergency stop verifies."""
    attempt = ledger.begin(row=25, fault=f"the API server answers a revert with {status}", where="fake")
    fault = town.injector().inject(town.request(kind))
    town.api.fail_next(status, times=100_000)
    with pytest.raises(FaultActiveError) as told:
        fault.revert()
    with pytest.raises((FaultActiveError, PreflightError)):
        town.injector().inject(town.request(kind, fault="t002"))
    town.api.plan.clear()
    revert_all(town.kube, town.folder, town.clock)

    assert told.value.exit_code == 5
    assert clean(town)
    attempt.survived("0 false words of an end")


REFUSED = {
    "unknown kind": {"kind": "explode"},
    "unknown service": {"target": "nobody"},
    "entry service": {"target": "front"},
    "no pods": {"target": "ghost"},
    "too many pods": {"target": "twins"},
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_a_target_outside_is_refused_before_the_first_write(town: Town, case: str, ledger: Ledger):
    """Unknown, the entry, nothing hit, too much hit: no request that changes anything has come."""
    attempt = ledger.begin(row=26, fault=f"target outside: {case}", where="fake")
    town.targets = {**town.targets, "ghost": Target("ghost"), "twins": Target("twins", 3)}
    with pytest.raises(PreflightError):
        town.injector().inject(town.request(**{"kind": "service_outage", **REFUSED[case]}))

    assert town.api.writes == []
    attempt.survived("0 writes")


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease", "default"])
def test_the_clusters_own_namespaces_are_refused(town: Town, namespace: str, ledger: Ledger):
    """Before anything is asked."""
    attempt = ledger.begin(row=26, fault=f"namespace {namespace}", where="fake")
    with pytest.raises(DocumentError):
        town.injector(namespace=namespace)

    assert town.api.writes == []
    attempt.survived("0 writes")


@pytest.mark.parametrize("placebo", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_dry_run_writes_nothing(town: Town, kind: str, placebo: bool, ledger: Ledger):
    """Every kind, real and pretended."""
    attempt = ledger.begin(row=27, fault="dry run of a fault", where="fake")
    assert town.injector().dry_run(town.request(kind, placebo=placebo))

    assert town.api.writes == []
    assert clean(town)
    attempt.survived("0 writes")


@pytest.mark.parametrize("where", ["/pods", "/jobs", "/serviceaccounts", "/roles", "/scale"])
def test_a_quota_or_a_missing_right_leaves_nothing(town: Town, where: str, ledger: Ledger):
    """Refused before the first write where a dry run can tell, and otherwise everything that was made is gone."""
    attempt = ledger.begin(row=26, fault=f"the server refuses {where}", where="fake")
    town.api.fail_next(403, times=100, path=where, method="PATCH" if where == "/scale" else "POST", message="exceeded quota: tiny")
    with pytest.raises(TidegaugeError, match="exceeded quota: tiny"):
        town.injector().inject(town.request("service_outage"))

    assert clean(town)
    assert [seen for seen in town.api.writes if "/deployments" in seen.path] == []
    attempt.survived(f"refused, and nothing left in {NAMESPACE}")
