"""A run as a folder of its own, to be carried elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

from tasks.artifacts.collect import needed
from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.errors import DocumentError, StorageError


def export_run(store: Store, run: str, target: Path) -> Path:
    """
    Copy the record of *run* and every artifact behind it to *target*, which becomes a store.

    Raises:
        DocumentError: *target* exists already.
        StorageError: An artifact is damaged; nothing is left at *target*.
    """
    if target.exists():
        raise DocumentError(f"{target} exists already", next_step="name a folder that does not exist yet")
    record = Runs(store).read(run)
    refs = needed(store, (Ref.parse(text) for text in record["artifacts"].values()))
    made = Store(target).create()
    try:
        for ref in sorted(refs):
            if problems := store.problems(ref):
                raise StorageError(problems[0], next_step=f"tidegauge runs verify {record['run']} --read-data")
            shutil.copytree(store.folder(ref), made.folder(ref))
        shutil.copy2(store.root / "store.json", made.root / "store.json")
        Runs(made).write(record)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return target
