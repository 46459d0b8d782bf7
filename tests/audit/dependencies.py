"""
Ask pip-audit about every locked distribution, and say how many it really answered for.

A distribution that it skipped is printed as ``not audited``, never counted as clean. Ends with 1 when an
advisory is open, or when pip-audit itself failed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def audited(report: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Names audited and clean, names not audited, and one line an open advisory."""
    clean, skipped, advisories = [], [], []
    for item in report["dependencies"]:
        if "skip_reason" in item:
            skipped.append(item["name"])
        elif item["vulns"]:
            advisories += [f"{item['name']} {item['version']}: {vuln['id']} (fixed in {vuln['fix_versions']})" for vuln in item["vulns"]]
        else:
            clean.append(item["name"])
    return clean, skipped, advisories


def main() -> int:
    """Audit ``requirements.lock``."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "audit.json"
        argv = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--require-hashes", "--progress-spinner", "off"]
        run = subprocess.run(
            [*argv, "-r", "requirements.lock", "-f", "json", "-o", str(output)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if not output.exists() or not output.stat().st_size:
            print(f"pip-audit gave no report (exit {run.returncode}); audited 0 distributions, not audited: all")
            print(run.stderr[-2000:])
            return 1
        clean, skipped, advisories = audited(json.loads(output.read_text()))
    print(f"audited {len(clean) + len(advisories)} distributions, {len(advisories)} open advisories, not audited: {len(skipped)}")
    for line in advisories:
        print(f"  open: {line}")
    if skipped:
        print(f"  not audited (the advisory service does not know them from here): {', '.join(skipped)}")
    return 1 if advisories else 0


if __name__ == "__main__":
    sys.exit(main())
