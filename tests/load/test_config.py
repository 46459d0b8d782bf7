import subprocess
import sys

import pytest
from pydantic import ValidationError

from tasks.load.config import LoadConfig


def load(**settings):
    return LoadConfig.model_validate({"users": {"shape": "constant", "users": 20}, **settings})


def test_the_smallest_section_has_sensible_defaults():
    """Users are enough: the pace and the Sock Shop's journeys are there."""
    settings = load()

    assert (settings.journeys_per_user_per_s, settings.journeys) == (0.5, "sock-shop")


@pytest.mark.parametrize(
    "users",
    [
        {"shape": "constant", "users": 20},
        {"shape": "steps", "users": [5, 10, 20], "step_s": 60, "repeat": True},
        {"shape": "ramp", "from_users": 5, "to_users": 40, "duration_s": 60},
        {"shape": "day-night", "night_users": 4, "day_users": 30, "period_s": 86400},
        {"shape": "flash-crowd", "users": 10, "peak_users": 50, "at_s": 30},
        {"shape": "csv", "file": "load/steps.csv", "interpolate": "linear"},
    ],
)
def test_every_shape_reads_from_plain_yaml_values_and_survives_json(users):
    """Whole numbers and lists, as YAML gives them, are taken; the JSON of the model is the model."""
    settings = load(users=users)

    assert LoadConfig.model_validate_json(settings.model_dump_json()) == settings


def test_workers_run_as_pods_against_any_address():
    """How many, where, with which image, and whom they load; a lone generator here may load any address, too."""
    pods = load(
        place="pods", workers=3, image="registry.example.org:5000/locust:2.47.0@sha256:" + "0" * 64, address="http://shop.example.org/"
    )
    here = load(address="https://shop.example.org:8443")

    assert (pods.place, pods.workers, pods.address) == ("pods", 3, "http://shop.example.org")
    assert (here.place, here.workers, here.image, here.address) == ("here", 1, None, "https://shop.example.org:8443")


def test_more_than_one_worker_here_is_refused_with_a_way_out():
    """One process is enough for a machine."""
    with pytest.raises(ValidationError, match="4 workers need place: pods"):
        load(workers=4)


def test_journeys_may_stand_in_the_section():
    """An inline list needs no file."""
    journeys = [{"name": "look", "requests": [{"method": "GET", "path": "/"}]}]

    settings = load(journeys=journeys)

    assert settings.journeys[0].requests[0].endpoint == "GET /"


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"users": {"shape": "wave", "users": 3}}, ("users",)),
        ({"users": {"shape": "constant", "users": 0}}, ("users", "constant", "users")),
        ({"users": {"shape": "constant", "users": "20"}}, ("users", "constant", "users")),
        ({"users": {"shape": "steps", "users": [], "step_s": 1}}, ("users", "steps", "users")),
        ({"users": {"shape": "ramp", "from_users": 1, "to_users": 2, "duration_s": -1}}, ("users", "ramp", "duration_s")),
        ({"users": {"shape": "constant", "users": 1, "rate": 2}}, ("users", "constant", "rate")),
        ({"journeys_per_user_per_s": 0}, ("journeys_per_user_per_s",)),
        ({"journeys_per_user_per_s": float("nan")}, ("journeys_per_user_per_s",)),
        ({"journeys": "../etc"}, ("journeys", "name")),
        ({"journeys": []}, ("journeys", "list")),
        ({"workers": 2}, ()),
        ({"workers": 0, "place": "pods"}, ("workers",)),
        ({"place": "there"}, ("place",)),
        ({"address": "http://me:secret@shop"}, ("address",)),
        ({"image": "Not An Image"}, ("image",)),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(wrong, where):
    """A mistake is told with the path of the setting."""
    with pytest.raises(ValidationError) as caught:
        load(**wrong)

    assert where in [error["loc"] for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([{"method": "GET", "path": "/detail.html?id={item}"}], "no request before it learns that"),
        ([{"method": "POST", "path": "/cart", "body": {"id": "{item}"}}], "no request before it learns that"),
        ([{"method": "GET", "path": "/login", "login": True}], "no accounts are given"),
    ],
)
def test_a_journey_that_cannot_be_walked_is_refused(requests, message):
    """Variables must be learnt before they are used, and a login needs an account."""
    with pytest.raises(ValidationError, match=message):
        load(journeys=[{"name": "broken", "requests": requests}])


def test_two_journeys_of_one_name_are_refused():
    """Names tell journeys apart."""
    journey = {"name": "look", "requests": [{"method": "GET", "path": "/"}]}

    with pytest.raises(ValidationError, match="look is given twice"):
        load(journeys=[journey, journey])


def test_the_settings_load_without_heavy_packages():
    """A document is checked without numpy, Arrow, YAML or Locust."""
    code = "import sys, tasks.load.config; print([m for m in ('numpy', 'pyarrow', 'ruamel', 'gevent', 'locust') if m in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
