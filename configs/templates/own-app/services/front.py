"""The service that users talk to: GET /offer asks the other one for a price. ``PORT`` and ``PRICES_URL`` come from the environment."""

import os
import urllib.error
import urllib.request

from measured import Reply, serve

PRICES_URL = os.environ["PRICES_URL"]


def offer() -> Reply:
    """An offer with a fresh price, or 502 when there is none."""
    try:
        with urllib.request.urlopen(f"{PRICES_URL}/price", timeout=5) as answer:  # noqa: S310 -- the address of our own service
            return 200, f"only {answer.read().decode()}"
    except (urllib.error.URLError, TimeoutError):
        return 502, "no price to be had"


if __name__ == "__main__":
    serve({"/offer": offer})
