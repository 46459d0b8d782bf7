import random

import pytest

from tasks.base.errors import DocumentError
from tasks.load.config import JourneySet, LoadConfig
from tasks.load.journey import endpoints, journeys_of, read_set, requests_per_journey, shipped_folders
from tasks.load.walk import choose


def settings(**changes):
    return LoadConfig.model_validate({"users": {"shape": "constant", "users": 1}, **changes})


def test_the_default_is_the_sock_shops_visit_of_nine_requests():
    """One journey, its nine requests in order, with several accounts."""
    found = journeys_of(settings())

    assert endpoints(found) == (
        *("GET /catalogue", "GET /", "GET /login", "GET /category.html", "GET /detail.html?id={item}"),
        *("DELETE /cart", "POST /cart", "GET /basket.html", "POST /orders"),
    )
    assert len(found.accounts) > 1


def test_all_shipped_sets_read():
    """Every journey set in configs/journeys is valid."""
    paths = sorted((shipped_folders()[0] / "journeys").glob("*.yaml"))

    assert len(paths) >= 2
    assert all(requests_per_journey(read_set(path)) > 0 for path in paths)


def test_the_documents_accounts_replace_those_of_the_set():
    """A shop with other logins needs no other journeys."""
    found = journeys_of(settings(accounts=[{"user": "me", "password": ""}]))

    assert [account.user for account in found.accounts] == ["me"]


def test_an_unknown_set_is_told_with_the_known_ones():
    """The message ends with what could be meant."""
    with pytest.raises(DocumentError, match="sock-shop-mixed"):
        journeys_of(settings(journeys="sock-shopp"))


def test_a_wrong_set_is_told_with_file_and_line(tmp_path):
    """A typo in a data file is found at its line."""
    path = tmp_path / "mine.yaml"
    path.write_text("journeys:\n  - name: a\n    requests:\n      - method: FETCH\n        path: /\n")

    with pytest.raises(DocumentError, match=r"mine.yaml:4:\d+: journeys\[0\].requests\[0\].method"):
        read_set(path)


def test_journeys_are_chosen_by_weight():
    """A journey of weight 3 comes three times as often as one of weight 1."""
    request = [{"method": "GET", "path": "/"}]
    journeys = JourneySet.model_validate(
        {"journeys": [{"name": "a", "weight": 3, "requests": request}, {"name": "b", "requests": request * 5}]}
    )
    rng = random.Random(1)

    names = [choose(journeys.journeys, rng).name for _ in range(4000)]

    assert names.count("a") / len(names) == pytest.approx(0.75, abs=0.03)
    assert requests_per_journey(journeys) == pytest.approx(2.0)
