"""The programs that run inside the cluster, as one text each: their modules one after the other, without what joins them here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).with_name("inside")
MODULES = {
    "guard": ("words", "guard"),
    "node": ("words", "processes", "packets", "pause", "node"),
}
JOINTS = ("from __future__ import", "from tasks.faults.kube.inside.")
"""Lines that only join the modules."""


@lru_cache(maxsize=2)
def program(name: str) -> str:
    """The text for ``python3 -c``; only the standard library is imported in it."""
    texts = [(FOLDER / f"{module}.py").read_text() for module in MODULES[name]]
    lines = [line for text in texts for line in _without_docstring(text).splitlines() if not line.startswith(JOINTS)]
    return "from __future__ import annotations\n" + "\n".join(lines) + "\n"


def _without_docstring(text: str) -> str:
    return text[text.index('"""', 3) + 3 :]
