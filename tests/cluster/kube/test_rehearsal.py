"""A rehearsal tells every write, and does none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.base.errors import PreflightError
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.rehearsal import rehearse
from tests.cluster.kube.parts import RUN, config_map, deployment, service


def test_every_write_is_told_and_none_is_done(provider, api):
    """Also what would be replaced and removed."""
    for change in provider.plan([config_map("a"), config_map("old"), service("s")]):
        provider.apply(change)
    before = len(api.writes)
    found = rehearse(provider, [config_map("a", x="2"), service("s"), deployment("new")])

    assert [(one.action, one.name, one.verdict) for one in found] == [
        ("replace", "configmap/a in shop", "accepted"),
        ("create", "deployment/new in shop", "accepted"),
        ("remove", "configmap/old in shop", "not tried"),
    ]
    assert len(api.writes) == before
    assert api.object("Deployment", "new", "shop") is None
    assert api.object("ConfigMap", "a", "shop")["data"] == {"a": "1"}


def test_what_the_server_would_refuse_is_told_with_its_reason(provider, api):
    """The others are tried all the same."""
    api.fail_next(403, message="exceeded quota: few", reason="Forbidden", method="PATCH", path="/configmaps/a")
    found = rehearse(provider, [config_map("a"), config_map("b")])

    assert [(one.verdict, "exceeded quota" in one.said) for one in found] == [("refused", True), ("accepted", False)]
    assert api.writes == []


def test_what_lies_in_a_namespace_to_come_cannot_be_tried(provider, api):
    """The namespace itself can."""
    found = rehearse(replace(provider, bounds=Bounds(RUN, ("new",))), [config_map("a")])

    assert [(one.name, one.verdict) for one in found] == [("namespace/new", "accepted"), ("configmap/a in new", "not tried")]
    assert api.object("Namespace", "new") is None
    assert api.writes == []


def test_what_must_not_be_is_refused_before_anything_is_asked(provider, api):
    """As in earnest."""
    with pytest.raises(PreflightError):
        rehearse(provider, [config_map("a", "kube-system")])

    assert api.writes == []
