"""``python -m tests.docs.tables``: print the generated parts of the documentation into their files."""

from __future__ import annotations

from pathlib import Path

from tests.bench.rows import FIGURES, read_rows
from tests.docs.generated import ROOT, blocks, measured, pages, with_blocks
from tests.docs.scale.costs import refresh


def hand_written() -> list[Path]:
    """README and every page of ``docs/`` that may hold printed tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main() -> None:
    """Write what differs, and say so."""
    refresh(read_rows(FIGURES))
    wanted = {ROOT / path: text for path, text in {**pages(), **measured()}.items()}
    found = blocks()
    for path in hand_written():
        if path not in wanted:
            wanted[path] = with_blocks(path.read_text(), found)
    for path, text in sorted(wanted.items()):
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
