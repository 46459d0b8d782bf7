"""``python -m tests.bench.page``: ``docs/performance.md`` from ``build/bench.json``."""

from __future__ import annotations

from pathlib import Path

from tests.bench.rows import read_rows
from tests.bench.table import page

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "build" / "bench.json"
PAGE = ROOT / "docs" / "performance.md"


def main() -> None:
    """Print the page into its file."""
    PAGE.write_text(page(read_rows(FIGURES)))
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
