"""JSON of thousands of objects: parsed without the collector of cycles, which goes on as before."""

from __future__ import annotations

import gc
import json
from contextlib import suppress

import pytest

from tasks.base.large_json import parsed

LONG = json.dumps([{"metadata": {"name": f"pod-{number}", "labels": {"app": "a"}}} for number in range(3000)])


@pytest.fixture
def looks():
    """How often the collector looked, by a list that grows."""
    found: list[int] = []

    def look(phase: str, info: dict[str, int]) -> None:
        found.append(info["generation"])

    usual = gc.get_threshold()
    gc.set_threshold(700, 10, 10)  # as Python begins; the command line, which other tests call, raises it
    gc.callbacks.append(look)
    yield found
    gc.callbacks.remove(look)
    gc.set_threshold(*usual)


def test_nothing_is_looked_through_while_a_long_text_is_parsed(looks):
    """A parser alone has the collector look once for every few hundred objects."""
    json.loads(LONG)
    alone = len(looks)
    looks.clear()
    value = parsed(LONG)

    assert (alone > 5, len(looks) <= 2) == (True, True)
    assert value == json.loads(LONG)


@pytest.mark.parametrize("text", ["[1]", "[1", "[" * 100_000])
def test_the_collector_is_as_it_was(text):
    """Whatever was wrong with the text, and also where somebody else had let it rest."""

    def taken() -> bool:
        with suppress(ValueError, RecursionError):
            parsed(text)
        return gc.isenabled()

    assert taken()
    gc.disable()
    try:
        assert not taken()
    finally:
        gc.enable()
