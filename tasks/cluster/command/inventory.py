"""What commands have made, written down before they make it: so that it is found, and removed, whoever was killed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock, Timeout

from tasks.base.clock import iso
from tasks.base.errors import LockedError, StorageError
from tasks.base.files import read_json, write_json

FOLDER = "clusters"
FILE = "inventory.json"
LOCK = "lock"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Made:
    """A cluster that a run of this store makes, has made, or is about to remove."""

    name: str
    """Of the cluster."""
    commands: str
    """The file of commands: the name of a shipped one, or an absolute path."""
    digest: str
    """SHA-256 of that file when the cluster was made."""
    run: str
    """The run that made it."""
    state: Literal["making", "made", "removing"]
    at_s: float
    """When it was begun to be made: seconds since 1970, UTC."""

    def at(self, state: Literal["making", "made", "removing"]) -> Self:
        """The same cluster in another *state*."""
        return replace(self, state=state)

    def to_json(self) -> dict[str, Any]:
        """A JSON object, with the time in ISO 8601 too."""
        return {**asdict(self), "at": iso(self.at_s)}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """
        Read what :meth:`to_json` wrote.

        Raises:
            StorageError: It is something else.
        """
        try:
            found = cls(**{name: value[name] for name in cls.__slots__})
        except (TypeError, KeyError) as error:
            raise StorageError("the inventory of a cluster is not what was written") from error
        texts = (found.name, found.commands, found.digest, found.run)
        plain = all(isinstance(text, str) for text in texts) and isinstance(found.at_s, int | float)
        if not plain or not _NAME.fullmatch(found.name) or found.state not in ("making", "made", "removing"):
            raise StorageError("the inventory of a cluster is not what was written")
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """The private folder of a cluster in a store: its inventory, its kubeconfig, the outputs of its commands."""

    folder: Path

    @classmethod
    def of(cls, root: Path, name: str) -> Self:
        """
        That of the cluster *name* in the store at *root*.

        Raises:
            StorageError: It is no name.
        """
        if not _NAME.fullmatch(name):
            raise StorageError(f"{name!r} is no name of a cluster")
        return cls(root.resolve() / FOLDER / name)

    @property
    def kubeconfig(self) -> Path:
        """Where its kubeconfig is kept; only its user can read it."""
        return self.folder / "kubeconfig"

    def log(self, which: str) -> Path:
        """What a command said."""
        return self.folder / f"{which}.log"

    def make(self) -> None:
        """
        The folder, for its user alone.

        Raises:
            StorageError: A link stands in its place.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.is_symlink() or self.folder.parent.is_symlink():
            raise StorageError(f"{self.folder} is a link; the folder of a cluster is removed with it", next_step="remove the link")

    def read(self) -> Made | None:
        """What stands in the inventory; None: nothing was made here."""
        path = self.folder / FILE
        return Made.from_json(read_json(path)) if path.is_file() else None

    def write(self, made: Made) -> None:
        """Write it down, durably."""
        write_json(self.folder / FILE, made.to_json())

    def clear(self) -> None:
        """Forget it, with its kubeconfig and outputs; the lock's file stays, since others may wait at it."""
        for path in self.folder.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    @contextmanager
    def alone(self, patience_s: float) -> Iterator[None]:
        """
        One process at a time makes, looks for or removes this cluster; the kernel frees the lock of a dead one.

        Raises:
            LockedError: Another one is at it for longer than *patience_s* seconds.
        """
        self.make()
        lock = FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=patience_s)
        except Timeout:
            raise LockedError(
                f"the cluster {self.folder.name} is just being made or removed", next_step="wait for it, then try again"
            ) from None
        try:
            yield
        finally:
            lock.release()


def places(root: Path) -> list[Place]:
    """Clusters of the store at *root* that were made and not removed yet, by name."""
    folder = root / FOLDER
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [Place.of(root, path.name) for path in found if _NAME.fullmatch(path.name) and (path / FILE).is_file()]
