"""One run at a time in a namespace."""

from __future__ import annotations

import pytest

from tasks.base.errors import LockedError
from tasks.cluster.kube.holding import Door, Held, forget, take
from tasks.cluster.kube.lease import Holder, Record, new_lease
from tests.cluster.kube.contest import contest
from tests.cluster.kube.parts import OTHER, RUN, QuickClock

ME, THEM = Holder(RUN, "here", "1"), Holder(OTHER, "there", "2")


def record(**change):
    """A Lease of the other run, renewed at 1000 s for a minute."""
    found = new_lease("shop", THEM, 60, 1000.0)
    found["metadata"]["resourceVersion"] = "7"
    found["spec"] |= change
    return Record.of(found)


@pytest.mark.parametrize(
    ("change", "now_s", "verdict"),
    [
        ({}, 1059.9, "held"),
        ({}, 1060.1, "doubtful"),
        ({"holderIdentity": ""}, 1000.0, "free"),
        ({"holderIdentity": str(ME)}, 2000.0, "ours"),
        ({"holderIdentity": f"{RUN} on here (2)"}, 1000.0, "held"),
        ({"renewTime": None}, 1000.0, "doubtful"),
        ({"leaseDurationSeconds": None}, 1000.0, "doubtful"),
    ],
)
def test_who_may_take_it(change, now_s, verdict):
    """Another process of the same run is another holder; what says nothing is doubtful, not free."""
    assert record(**change).verdict(ME, now_s) == verdict


@pytest.fixture
def door(kube, clock):
    """As this run sees it."""
    return Door(kube, "shop", ME, 60, clock)


@pytest.fixture
def their_door(kube):
    """As the other run sees it, with a clock of its own."""
    return Door(kube, "shop", THEM, 60, QuickClock())


def test_the_second_run_is_refused_with_the_name_of_the_first(door, their_door, clock):
    """And its host; the exit code is that of a lock."""
    take(door)

    with pytest.raises(LockedError) as refusal:
        take(their_door)

    assert f"the namespace shop is in use by run {RUN} on here" in refusal.value.message
    assert "its hold ends in 60 s, then the next run watches it for 30 s" in str(refusal.value.next_step)
    assert refusal.value.exit_code == 7


def test_a_run_may_be_waited_for(door, their_door):
    """When it has died, its hold ends by itself; then it is watched for half of its time, since clocks differ."""
    take(their_door)
    said = []
    begun_s = door.clock.monotonic_s()

    assert take(door, wait_s=100, say=said.append).holder == str(ME)
    assert door.clock.monotonic_s() - begun_s == 90
    assert [OTHER in line for line in said] == [True, True]
    assert "for 60 s more; then the next run watches it for 30 s" in said[0]
    assert "it is watched for 30 s" in said[1]


def test_one_that_is_renewed_although_it_seems_expired_is_held(door, their_door):
    """Its clock is wrong by an hour, and it lives: whoever watches it sees that."""
    their_door.clock.now_s -= 3600
    held = Held(their_door, take(their_door))
    real = door.clock.sleep

    def meanwhile(seconds):
        real(seconds)
        their_door.clock.now_s += 3600
        assert held.renew()

    door.clock.sleep = meanwhile

    with pytest.raises(LockedError):
        take(door)


def test_given_back_it_is_gone(door, their_door, api):
    """And the next run takes it at once."""
    held = Held(door, take(door))
    held.start()
    held.give_back()

    assert api.object("Lease", "tidegauge", "shop") is None
    assert not held.held
    assert take(their_door).holder == str(THEM)


def test_one_that_was_lost_is_not_removed(door, their_door, api, clock):
    """It is somebody else's by now."""
    held = Held(door, take(door))
    clock.sleep(61)
    their_door.clock.now_s = clock.now_s
    take(their_door)

    assert not held.held
    assert not held.renew()
    with pytest.raises(LockedError, match="was lost"):
        held.check()
    held.give_back()
    assert api.object("Lease", "tidegauge", "shop")["spec"]["holderIdentity"] == str(THEM)


def test_a_change_by_somebody_else_is_no_loss(door, api):
    """Whoever puts a note on it does not take it."""
    held = Held(door, take(door))
    found = api.object("Lease", "tidegauge", "shop")
    api.put({**found, "metadata": {**found["metadata"], "annotations": {"note": "x"}}})

    assert held.renew()
    assert held.held


def test_an_answer_that_was_lost_is_no_loss(door, api):
    """The write was done; the same holder finds itself there."""
    api.cut_next(path="/leases", method="POST")
    held = Held(door, take(door))
    api.cut_next(path="/leases", method="PATCH")

    assert held.renew()
    assert held.held


def test_a_server_that_is_away_is_waited_for_until_the_hold_ends(door, api, clock):
    """Then it is lost, by our own clock; nobody else was asked."""
    held = Held(door, take(door))
    api.fail_next(503, times=10_000, path="/leases")

    assert not held.renew()
    assert held.held == (clock.now_s - 1_800_000_000 < 60)
    clock.sleep(60)
    assert not held.held


def test_it_carries_the_labels_of_its_run(door, api):
    """And is forgotten with it, by whoever takes that run down."""
    take(door)

    assert api.object("Lease", "tidegauge", "shop")["metadata"]["labels"]["tidegauge.dev/run"] == RUN
    assert not forget(door.kube, "shop", OTHER)
    assert forget(door.kube, "shop", RUN)
    assert not forget(door.kube, "shop", RUN)


def test_a_namespace_that_is_not_there_has_none(kube, clock):
    """That is told, not waited for."""
    with pytest.raises(Exception, match="not found"):
        take(Door(kube, "absent", ME, 60, clock))


def test_of_those_who_come_at_once_one_gets_it(api, kube):
    """The others are told who; the thousand are in the reliability suite."""
    for number in range(15):
        found = contest(api, kube, number)

        assert (len(found.winners), len(found.refused), found.broken) == (1, 2, [])
        assert all(found.winners[0].split(" ")[0] in text for text in found.refused)
