"""A collection, page by page."""

from __future__ import annotations

import pytest

from tasks.kube.client import Kube
from tasks.kube.errors import Gone, Unavailable
from tests.kube.fake_api import FakeApi
from tests.kube.trouble import Fail, Say

PATH = "/api/v1/namespaces/shop/configmaps"


@pytest.fixture
def names(api: FakeApi) -> list[str]:
    """Of twenty-five objects."""
    found = [f"c{number:02}" for number in range(25)]
    for name in found:
        api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}})
    return found


@pytest.mark.parametrize(("page", "pages"), [(500, 1), (25, 1), (24, 2), (10, 3), (1, 25)])
def test_every_object_comes_once_whatever_the_page(api: FakeApi, kube: Kube, names, page, pages):
    """In as many questions as it takes."""
    assert [one["metadata"]["name"] for one in kube.items(PATH, page=page)] == names
    assert len(api.asked(PATH)) == pages


def test_an_empty_collection_is_no_object(kube: Kube):
    """Nor an error."""
    assert list(kube.items(PATH)) == []


def test_a_page_is_asked_for_when_it_is_needed(api: FakeApi, kube: Kube, names):
    """One is in memory at a time."""
    found = kube.items(PATH, page=10)
    for _ in range(10):
        next(found)

    assert len(api.asked(PATH)) == 1


def test_a_list_that_the_server_forgot_is_begun_anew(api: FakeApi, kube: Kube, names):
    """What was told is not told again, and nothing is left out, the newcomer included."""
    found = kube.items(PATH, page=10)
    told = [next(found)["metadata"]["name"] for _ in range(12)]
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a-new-one", "namespace": "shop"}})
    api.forget()
    told += [one["metadata"]["name"] for one in found]

    assert sorted(told) == sorted([*names, "a-new-one"])


def test_a_server_that_forgets_all_the_time_is_given_up(api: FakeApi, kube: Kube, names):
    """It would go on for ever."""
    api.plan.add(Fail(410), 1000, lambda seen: bool(seen.asked("continue")))

    with pytest.raises(Unavailable, match="forgets lists faster"):
        list(kube.items(PATH, page=10))
    assert len(api.asked(PATH)) == 10


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": [1]}',
        b'{"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": [{"metadata": {}}]}',
        b'{"kind": "ConfigMapList", "apiVersion": "v1", "metadata": [], "items": []}',
        b'{"kind": 1, "apiVersion": "v1", "metadata": {}, "items": []}',
        b"<html>",
    ],
)
def test_what_is_no_list_is_an_error_of_ours(api: FakeApi, kube: Kube, body):
    """Whoever it was that answered."""
    api.trouble(Say(body), path=PATH)

    with pytest.raises(Unavailable, match="reply is no"):
        list(kube.items(PATH))


def test_a_list_without_objects_or_version_is_one(api: FakeApi, kube: Kube):
    """Some servers of others answer so."""
    api.trouble(Say(b'{"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": null}'), path=PATH)

    assert list(kube.items(PATH)) == []


def test_a_server_that_is_gone_from_the_start_is_an_error(api: FakeApi, kube: Kube):
    """A list that is not continued cannot be too old."""
    api.fail_next(410, path=PATH)

    with pytest.raises(Gone):
        list(kube.items(PATH))
