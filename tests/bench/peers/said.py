"""What a peer's script says at its end; imported first, as its clock starts then. Needs nothing but the standard library."""

from __future__ import annotations

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path

BEGUN_S = time.perf_counter()


def asked() -> argparse.Namespace:
    """The arguments that each script takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("selector")
    parser.add_argument("start_s", type=int)
    parser.add_argument("end_s", type=int)
    parser.add_argument("out", type=Path, help="a folder that is there")
    return parser.parse_args()


def tell(call: str, path: Path, *names: str) -> None:
    """Print as JSON: versions and exact call, the file that was made, wall time since the start, and the peak of resident memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    peak_bytes = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    wall_s = time.perf_counter() - BEGUN_S
    print(json.dumps({"call": f"{versions}: {call}", "path": str(path), "wall_s": round(wall_s, 3), "rss_bytes": peak_bytes}))
