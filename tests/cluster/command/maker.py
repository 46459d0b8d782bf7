"""
Makes and removes clusters that are folders: ``maker.py create|ready|delete|kubeconfig|check NAME``, below ``$MAKER``.

It is told how to behave by files beside them: ``slow-create`` (says that it has begun, then takes forever), ``break-create`` (leaves
half of it), ``break-ready``, ``break-delete``, ``unclear-check``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ["MAKER"])


def told(how: str) -> bool:
    """Whether it is to behave so."""
    return (ROOT / how).exists()


def create(folder: Path) -> int:
    """A folder, and a child in the same process group when it is slow."""
    if folder.exists():
        print("it exists already", file=sys.stderr)
        return 1
    folder.mkdir()
    (folder / "node").write_text("n")
    if told("slow-create"):
        subprocess.Popen(
            [sys.executable, "-c", f"import time, pathlib; pathlib.Path({str(ROOT / 'child')!r}).write_text('x'); time.sleep(600)"]
        )
        while not (ROOT / "child").exists():
            time.sleep(0.01)
        (ROOT / "begun").write_text(str(os.getpid()))
        time.sleep(600)
    if told("break-create"):
        print("no room for node 2\nwas it the disk?", file=sys.stderr)
        return 3
    (folder / "config").write_text(f"s3cr3t of {folder.name}")
    (folder / "kubeconfig-seen").write_text(os.environ["KUBECONFIG"])
    return 0


def ready(folder: Path) -> int:
    """Whether its API answers, asked by the kubeconfig that was kept."""
    if told("break-ready"):
        print("node 2 has not joined", file=sys.stderr)
        return 2
    return 0 if folder.name in Path(os.environ["KUBECONFIG"]).read_text() else 1


def delete(folder: Path) -> int:
    """The folder and what is in it; it is no mistake when there is none."""
    if told("break-delete"):
        print("a volume is in use", file=sys.stderr)
        return 1
    for path in folder.iterdir() if folder.exists() else ():
        path.unlink()
    if folder.exists():
        folder.rmdir()
    return 0


def kubeconfig(folder: Path) -> int:
    """Prints it, and something that is no part of it on the other output."""
    print("a warning", file=sys.stderr)
    if not (folder / "config").exists():
        return 1
    print((folder / "config").read_text())
    return 0


def check(folder: Path) -> int:
    """Whether the folder is there."""
    if told("unclear-check"):
        print("cannot reach the engine", file=sys.stderr)
        return 7
    return 0 if folder.exists() else 1


if __name__ == "__main__":
    VERBS = {"create": create, "ready": ready, "delete": delete, "kubeconfig": kubeconfig, "check": check}
    (ROOT / "calls").open("a").write(f"{sys.argv[1]}\n")
    sys.exit(VERBS[sys.argv[1]](ROOT / f"cluster-{sys.argv[2]}"))
