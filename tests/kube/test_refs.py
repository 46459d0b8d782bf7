"""Which object is meant."""

from __future__ import annotations

import pytest

from tasks.kube.refs import ObjectRef

CARTS = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "carts", "namespace": "shop", "labels": {"app": "carts"}}}


def test_a_reference_is_read_from_a_manifest():
    """Kind, name and namespace, in words that fit a message."""
    ref = ObjectRef.of(CARTS)

    assert (ref, str(ref), ref.group) == (ObjectRef("apps/v1", "Deployment", "shop", "carts"), "deployment/carts in shop", "apps")


def test_a_reference_to_something_of_the_whole_cluster_names_no_namespace():
    """Nor does its text."""
    assert str(ObjectRef.of({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})) == "namespace/shop"


@pytest.mark.parametrize("lacking", ["apiVersion", "kind", "metadata"])
def test_a_manifest_without_an_address_is_no_object(lacking):
    """The sentence says what is missing."""
    with pytest.raises(ValueError, match="without " + lacking):
        ObjectRef.of({name: value for name, value in CARTS.items() if name != lacking})
