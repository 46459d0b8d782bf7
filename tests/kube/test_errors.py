"""The server's no, in our words."""

from __future__ import annotations

import pytest

from tasks.kube.errors import Conflict, Forbidden, Gone, Invalid, KubeError, NotFound, Unavailable, refusal


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (403, Forbidden),
        (404, NotFound),
        (405, KubeError),
        (409, Conflict),
        (410, Gone),
        (422, Invalid),
        (429, Unavailable),
        (500, Unavailable),
    ],
)
def test_each_refusal_has_its_kind(status, kind):
    """With the server's own words, whatever they are."""
    found = refusal(status, b'{"kind": "Status", "apiVersion": "v1", "message": "carts cannot", "reason": "Because"}', "GET /x")

    assert (type(found), found.message, found.reason, found.status) == (kind, "GET /x: carts cannot", "Because", status)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b"<html>busy</html>"])
def test_a_refusal_without_sense_is_one_too(body):
    """Nothing of the JSON reader leaks."""
    assert refusal(502, body, "GET /x").status == 502


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('pods is forbidden: User "x" cannot list resource "pods"', "tidegauge doctor"),
        ("exceeded quota: compute, requested: cpu=2", "ResourceQuota"),
        ('forbidden: User "system:anonymous" cannot get path "/"', "no login"),
    ],
)
def test_a_refusal_says_what_to_do(text, hint):
    """A missing right, a quota and no login at all have different ways out."""
    assert hint in (
        refusal(403, b'{"kind":"Status","apiVersion":"v1","message":"%s"}' % text.replace('"', '\\"').encode(), "x").next_step or ""
    )


def test_a_namespace_that_ends_is_named_as_such():
    """Its error is a 403 like many others."""
    body = b'{"kind":"Status","apiVersion":"v1","message":"no","details":{"causes":[{"reason":"NamespaceTerminating"}]}}'

    assert "status.conditions" in (refusal(403, body, "x").next_step or "")
