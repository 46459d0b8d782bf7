"""Signals are taken where they do no harm."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from tasks.base.errors import Cancelled
from tasks.base.stopping import SIGNALS, interruptible, sheltered, stop_if_asked, stoppable


def send(signum: int = signal.SIGTERM) -> None:
    """To this process; it has arrived on return."""
    os.kill(os.getpid(), signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_our_own_work_is_interrupted_at_once(signum):
    """The exception has the code that a shell reports."""
    with pytest.raises(Cancelled) as caught, stoppable(), interruptible():
        send(signum)

    assert caught.value.exit_code == 128 + signum


def test_a_library_never_sees_the_first_signal():
    """Outside our own work it is noted, and raised by the next look."""
    seen = []

    def library() -> None:
        with stoppable():
            send()
            seen.append("nothing")
            stop_if_asked()
            seen.append("too much")

    with pytest.raises(Cancelled):
        library()
    assert seen == ["nothing"]


def test_a_swallowed_signal_is_raised_again():
    """A bare except inside our work cannot lose it."""
    seen = []

    def careless() -> None:
        with stoppable(), interruptible():
            with contextlib.suppress(Exception):
                send()
            seen.append("swallowed")
            stop_if_asked()
            seen.append("too much")

    with pytest.raises(Cancelled):
        careless()
    assert seen == ["swallowed"]


def test_a_clean_up_is_finished_first():
    """Inside a shelter nothing is raised; when it is over, it is."""
    done = []

    def work() -> None:
        with stoppable(), interruptible():
            with sheltered():
                send()
                done.append("reverted")
            done.append("too much")

    with pytest.raises(Cancelled):
        work()
    assert done == ["reverted"]


def test_further_signals_do_not_disturb_the_clean_up():
    """While the first one unwinds, others are ignored."""
    done = []

    def work() -> None:
        with stoppable(), interruptible():
            try:
                send(signal.SIGINT)
            finally:
                send(signal.SIGTERM)
                with sheltered():
                    send(signal.SIGHUP)
                done.append("reverted")

    with pytest.raises(Cancelled) as caught:
        work()
    assert done == ["reverted"]
    assert caught.value.exit_code == 128 + signal.SIGINT


def test_a_library_that_hangs_can_be_left_by_a_second_signal():
    """The first is noted, the second is raised where we are not at work."""
    seen = []

    def hangs() -> None:
        with stoppable():
            send()
            seen.append("noted")
            send()
            seen.append("too much")

    with pytest.raises(Cancelled):
        hangs()
    assert seen == ["noted"]


def test_signals_are_taken_back_from_a_library():
    """Whoever installed a handler in between has it again afterwards."""
    with stoppable():
        theirs = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with pytest.raises(Cancelled), stoppable(), interruptible():
            send()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, theirs)
        with pytest.raises(Cancelled):
            stop_if_asked()
        raise_nothing_more()


def raise_nothing_more() -> None:
    """Forget what was asked, as the end of a process does."""
    from tasks.base import stopping

    stopping._door.asked = None


def test_everything_is_as_before_afterwards():
    """Handlers are restored, and an old signal does not reach the next run."""
    before = [signal.getsignal(signum) for signum in SIGNALS]

    with pytest.raises(Cancelled), stoppable(), interruptible():
        send()

    assert [signal.getsignal(signum) for signum in SIGNALS] == before
    with stoppable(), interruptible():
        stop_if_asked()
