"""Credential plugins, as programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def plugin(folder: Path, status: dict[str, Any] | None, *, code: int = 0, says: str = "", sleeps_s: float = 0) -> dict[str, Any]:
    """
    The ``exec`` section of a program in *folder* that prints an ExecCredential with *status*.

    It appends what it was told to ``told.jsonl`` there, a line a call.
    """
    program, answer = folder / "plugin.py", {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    (folder / "answer.json").write_text(json.dumps(answer) if status is not None else "no json")
    program.write_text(
        "import os, pathlib, sys, time\n"
        f"here = pathlib.Path({str(folder)!r})\n"
        "with (here / 'told.jsonl').open('a') as told:\n"
        "    told.write(os.environ['KUBERNETES_EXEC_INFO'] + '\\n')\n"
        f"time.sleep({sleeps_s})\n"
        f"print({says!r}, file=sys.stderr)\n"
        "print((here / 'answer.json').read_text())\n"
        f"sys.exit({code})\n"
    )
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(program)], "interactiveMode": "Never"}


def told(folder: Path) -> list[dict[str, Any]]:
    """What the plugin in *folder* was told, call by call."""
    return [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]
