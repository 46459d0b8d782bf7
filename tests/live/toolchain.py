"""The Go that is installed: which one it is, and how it is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from tasks.base.errors import PreflightError


@lru_cache(maxsize=1)
def go_version() -> str | None:
    """Such as ``go1.26.8``; None where there is no Go."""
    if shutil.which("go") is None:
        return None
    asked = subprocess.run(
        ["go", "env", "GOVERSION"], capture_output=True, text=True, check=False, env=os.environ | {"GOTOOLCHAIN": "local"}
    )
    return asked.stdout.split()[0] if asked.returncode == 0 and asked.stdout.strip() else None


def require_go(oldest: str) -> str:
    """
    The version of the Go that is installed.

    Raises:
        PreflightError: There is none, or one older than *oldest* (such as ``1.26``).
    """
    found = go_version()
    if found is None:
        raise PreflightError(
            f"Go is not installed; the cluster's programs are built with Go {oldest} or newer", next_step="install Go, then: make cluster"
        )
    number = re.match(r"go(\d+)\.(\d+)", found)
    if number is None or tuple(map(int, number.groups())) < tuple(map(int, oldest.split("."))):
        raise PreflightError(
            f"{found} is too old; the cluster's programs are built with Go {oldest} or newer",
            next_step="install a newer Go, then: make cluster",
        )
    return found


def run_go(argv: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run *argv* in *folder* with *environment* added to ours; what it says on standard error is kept, never lost."""
    return subprocess.run(list(argv), cwd=folder, env=os.environ | dict(environment), capture_output=True, text=True, check=False)
