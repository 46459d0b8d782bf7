"""What a service is told by its environment."""

from __future__ import annotations

import pytest

from tasks.base.errors import PreflightError
from tasks.shop.settings import from_environment

GIVEN = {"PORT": "8080", "DATA_DIR": "/data"}


def test_a_service_listens_on_loopback_unless_it_is_told_otherwise():
    """In a pod others have to reach it; on a machine nobody else should."""
    assert from_environment("payment", GIVEN).host == "127.0.0.1"
    assert from_environment("payment", {**GIVEN, "HOST": "0.0.0.0"}).host == "0.0.0.0"


def test_an_empty_address_is_refused():
    """It would mean all of them."""
    with pytest.raises(PreflightError, match="HOST is not set"):
        from_environment("payment", {**GIVEN, "HOST": ""})
