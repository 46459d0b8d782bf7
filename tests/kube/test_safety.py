"""Namespaces that are never written to."""

from __future__ import annotations

import pytest

from tasks.base.errors import DocumentError
from tasks.kube.refs import ObjectRef
from tasks.kube.safety import check_namespace, check_writable


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "kube-node-lease", "kube-anything", "default"])
def test_some_namespaces_are_nobodys(name):
    """Neither they nor anything in them is written."""
    for ref in (ObjectRef("v1", "Namespace", None, name), ObjectRef("v1", "Pod", name, "p")):
        with pytest.raises(DocumentError, match="never written"):
            check_writable(ref)


def test_ones_own_namespace_is_fine():
    """The name comes back."""
    assert check_namespace("shop") == "shop"
