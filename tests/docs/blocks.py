"""Fenced blocks of Markdown pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.docs.generated import ROOT

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
SHELLS = ("console", "bash", "sh")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    marks: tuple[str, ...]
    body: str

    @property
    def commands(self) -> list[str]:
        """Command lines of a shell block: with ``$`` those so marked, else all of them."""
        lines = [line.strip() for line in self.body.splitlines() if line.strip() and not line.strip().startswith("#")]
        marked = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return marked if self.language == "console" else lines

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def markdown_pages() -> list[Path]:
    """README, changelog and every page of ``docs/``."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of *page*, in order."""
    text, found = page.read_text(), []
    for match in _FENCE.finditer(text):
        language, *marks = match["info"].split() or [""]
        body = "".join(line.removeprefix(match["indent"]) for line in match["body"].splitlines(keepends=True))
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, language, tuple(marks), body))
    return found


def links_of(page: Path) -> list[str]:
    """Targets of the links of *page*, those in fenced blocks left out."""
    return [match["target"] for match in _LINK.finditer(_FENCE.sub("", page.read_text()))]
