"""What has to be there before a recording starts to count."""

from __future__ import annotations

import pytest

from tasks.app.config import DemoShop
from tasks.app.files import app_of
from tasks.app.model import App
from tasks.base.clock import SystemClock
from tasks.base.errors import PreflightError
from tasks.load.runner import LoadStatus
from tasks.recordings.gate import Gate
from tests.stored_run import shared_run

ARRIVED = LoadStatus(alive=True, finished=False, restarts=0, second=1, users_planned=20, users_present=20, requests_per_s=50.0)


@pytest.fixture(scope="module")
def samples():
    """The folder of a recording with everything that the shop exposes."""
    return next(path.parent.parent for path in sorted(shared_run().root.glob("artifacts/*/*/samples/*")))


def gate(samples, *required: str) -> Gate:
    """A gate that waits for nothing."""
    shop = app_of(DemoShop(kind="demo-shop"))
    app = App(shop.name, shop.settings.model_copy(update={"required_metrics": ("request_duration_seconds_count",)}))
    return Gate(app, required, samples, warmup_s=0.0, limit_s=0.0)


def test_a_metric_that_does_not_exist_is_named_with_the_nearest(samples):
    """The recording does not start, and says which metric and what it may have meant."""
    wanted = gate(samples, "request_duration_seconds_cont", "up")

    with pytest.raises(
        PreflightError, match=r"request_duration_seconds_cont has not arrived; did you mean request_duration_seconds_count\?"
    ):
        wanted.pass_under_load(lambda: ARRIVED, lambda: None, SystemClock(), lambda _: None)


def test_users_that_have_not_arrived_are_counted(samples):
    """Half of the load is no load."""
    half = LoadStatus(alive=True, finished=False, restarts=0, second=1, users_planned=20, users_present=10, requests_per_s=50.0)

    assert gate(samples).missing(half) == "only 10 of 20 users are at work"


def test_with_everything_there_it_opens(samples):
    """Metrics of the app and of the document, users and answers."""
    gate(samples, "up").pass_under_load(lambda: ARRIVED, lambda: None, SystemClock(), lambda _: None)
