"""One shop a store at a time: a lock that the kernel frees when its holder dies, and the holder's name beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.base.errors import LockedError
from tasks.base.files import read_json, write_json


@contextmanager
def shop_lock(root: Path, holder: str) -> Iterator[None]:
    """
    Hold the shop of the store at *root*.

    Raises:
        LockedError: Another run holds it; its name is told.
    """
    lock, name = FileLock(root / "shop.lock"), root / "shop.holder.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LockedError(f"the shop is in use by {_holder(name)}", next_step="wait for it, or use another store: --store DIR") from None
    try:
        write_json(name, {"holder": holder, "pid": os.getpid()})
        yield
    finally:
        name.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        found = read_json(path)
        return f"{found['holder']} (pid {found['pid']})"
    except Exception:  # the holder may be gone between two looks; its name is only told
        return "another run"
