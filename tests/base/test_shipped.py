"""The data files that come with the product."""

from __future__ import annotations

import pytest

from tasks.base.errors import PreflightError
from tasks.base.shipped import shipped, shipped_root


def test_a_checkout_ships_its_configs(root):
    """Where the tests run, ``configs/`` is what is shipped."""
    assert shipped_root() == root / "configs"
    assert shipped("demo.yaml").is_file()
    assert shipped("apps/demo-shop.yaml").is_file()
    assert shipped("") == shipped_root()


@pytest.mark.parametrize("name", ["../pyproject.toml", "/etc/passwd", "apps/../../README.md", "a\0b", "apps/.."])
def test_nothing_outside_is_shipped(name):
    """A name never leads out of the folder."""
    with pytest.raises(PreflightError, match="is not the name of a shipped file"):
        shipped(name)


def test_a_missing_file_is_told_with_a_next_step():
    """An installation can be broken."""
    with pytest.raises(PreflightError) as caught:
        shipped("apps/none.yaml")
    assert caught.value.next_step
