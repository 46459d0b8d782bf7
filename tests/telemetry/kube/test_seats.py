"""Which replica a pod is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.telemetry.kube.seats import Seating, empty, seated
from tests.telemetry.kube.saved import view


def test_pods_sit_down_in_the_order_of_their_age():
    """From 0 on."""
    assert seated({}, [view("b", created_s=2), view("a", created_s=1)], 2) == {0: "a", 1: "b"}


def test_a_successor_takes_the_place_of_a_pod_that_is_gone():
    """And no other one moves."""
    assert seated({0: "a", 1: "b"}, [view("b"), view("c")], 2) == {0: "c", 1: "b"}


def test_a_successor_waits_until_it_runs_while_the_predecessor_still_leaves():
    """Until then the predecessor's numbers are the replica's."""
    leaving = view("a", leaving=True)

    assert seated({0: "a"}, [leaving, view("b", running=False)], 1) == {0: "a"}
    assert seated({0: "a"}, [leaving, view("b")], 1) == {0: "b"}
    assert seated({0: "a"}, [view("b", running=False)], 1) == {0: "b"}


def test_a_pod_more_than_wanted_waits():
    """A rollout's new pod runs beside the old one for a while, and is its successor, not a second replica."""
    old, new = view("a"), view("b", created_s=1)

    assert seated({0: "a"}, [old, new], 1) == {0: "a"}
    assert seated({0: "a"}, [old, new], 2) == {0: "a", 1: "b"}
    assert seated({0: "a"}, [old, new], None) == {0: "a", 1: "b"}


def test_scaled_in_and_out_again():
    """Whoever stays keeps the number; the next one takes the lowest that is free."""
    assert seated({0: "a", 1: "b"}, [view("b")], 1) == {0: "a", 1: "b"}
    assert seated({0: "a", 1: "b"}, [view("b"), view("c")], 2) == {0: "c", 1: "b"}
    assert seated({0: "a", 1: "b"}, [view("b"), view("c")], 1) == {0: "a", 1: "b"}, "b is the one that is wanted"


def test_a_stateful_set_numbers_its_pods_itself():
    """By the name, whatever came first; a pod of the same name that came anew is the same replica."""
    pods = [view("db-2", kind="StatefulSet"), view("db-0", kind="StatefulSet", created_s=5)]

    assert seated({}, pods, 3) == {2: "db-2", 0: "db-0"}


def test_empty_places():
    """Who is missed, of those that are empty; the first one always is."""
    assert empty({0: "a", 1: "b"}, [view("b")], 2) == {0: True}
    assert empty({0: "a", 1: "b"}, [view("b")], 1) == {0: False}
    assert empty({0: "a", 1: "b"}, [], 0) == {0: True, 1: False}
    assert empty({0: "a"}, [], None) == {0: True}
    assert empty({0: "a"}, [view("a")], 1) == {}


def test_changes_of_hands_are_told_once_with_the_predecessor():
    """And counted by seat."""
    seating = Seating()
    first = seating.update("front", [view("a")], 1)
    again = seating.update("front", [view("a")], 1)
    second = seating.update("front", [view("b")], 1)

    assert [(one.number, one.pod.uid, one.before) for one in (*first, *again, *second)] == [(0, "a", None), (0, "b", "a")]
    assert seating.generations == {("front", 0): 2}
    assert seating.holders() == {("front", 0): view("b")}


WANTED = 3


@st.composite
def lives(draw):
    """A life of a workload: at each step pods come, begin to run, are asked to go, or are gone, as a controller would do it."""
    return draw(st.lists(st.sampled_from(["kill", "remove", "create", "run", "rollout"]), max_size=40)), draw(
        st.randoms(use_true_random=False)
    )


@given(lives())
@settings(deadline=None, max_examples=200)
def test_a_replica_keeps_its_number_for_life(life):
    """Nobody ever moves, nobody sits on two places, none is ever numbered beyond what is wanted, and once all is calm all sit."""
    steps, rng = life
    pods = {f"p{number}": [True, False] for number in range(WANTED)}
    born, seats, seen = WANTED, {}, {}

    def views():
        return [view(uid, created_s=float(uid[1:]), running=running, leaving=leaving) for uid, (running, leaving) in pods.items()]

    def alive():
        return [uid for uid, (_, leaving) in pods.items() if not leaving]

    for step in [*steps, *["create", "run", "remove"] * 4]:
        if step == "kill" and alive():
            pods[rng.choice(alive())][1] = True
        elif step == "remove":
            for uid in [uid for uid, (_, leaving) in pods.items() if leaving][:1]:
                del pods[uid]
        elif step == "run":
            for one in pods.values():
                one[0] = True
        elif (step == "create" and len(alive()) < WANTED) or (step == "rollout" and len(alive()) < WANTED + 1):
            pods[f"p{born}"] = [False, False]
            born += 1
        seats = seated(seats, views(), WANTED)
        assert len(set(seats.values())) == len(seats)
        assert set(seats) <= set(range(WANTED))
        for number, uid in seats.items():
            assert seen.setdefault(uid, number) == number
    assert set(alive()) <= set(seats.values()) or len(alive()) > WANTED
