"""The zoo: documents that must be refused, and what has to be said of each."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tasks.base.shipped import shipped_root

ZOO = Path(__file__).parent / "zoo"


def expected() -> dict[str, list[str]]:
    """Every mistake of each document, as ``line:column: setting: text``, in the order of the file."""
    text = (ZOO.parent / "zoo.toml").read_text().replace("{configs}", str(shipped_root()))
    return {name: entry["mistakes"] for name, entry in tomllib.loads(text).items()}


def bombs(folder: Path) -> list[Path]:
    """Documents too nasty to be kept as files: huge, deep, or slow to read."""
    size = 125_000
    texts = {
        "fifty-megabytes": b"x" * (50 << 20),
        "nested-lists": b"a: " + b"[" * size,
        "nested-mappings": b"a: " + b"{a: " * (size // 4),
        "nested-pairs": b"a: " + b"[a," * (size // 3),
        "nested-dashes": b"- " * (size // 2),
        "nested-questions": b"? " * (size // 2),
        "stairs": b"".join(b" " * step + b"-\n" for step in range(490)),
        "many-values": b"a: [" + b"1," * (size // 2) + b"]",
        "many-keys": b"".join(b"k%d: 1\n" % number for number in range(size // 13)),
        "many-anchors": b"".join(b"- &a%d x\n" % number for number in range(size // 13)),
        "many-documents": b"--- 1\n" * (size // 6),
        "many-mistakes": b"1: x\n" * 2_000,
        "long-fold": b"a: >\n" + b"  x\n\n" * (size // 5) + b"b",
        "long-text": b"name: " + b"x " * (size // 2),
        "random-bytes": bytes(range(256)) * 450,
        "billion-laughs": b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (98 + n, 98 + n, 97 + n, 97 + n) for n in range(24)),
    }
    made = []
    for name, raw in texts.items():
        path = folder / f"{name}.yaml"
        path.write_bytes(raw)
        made.append(path)
    return made
