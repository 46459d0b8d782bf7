"""Where the data files that come with the product are: documents, apps, metric catalogues, load shapes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from tasks.base.errors import PreflightError

_HOME = Path(__file__).resolve().parents[2]


def shipped_root() -> Path:
    """The folder of all shipped data: ``configs/`` of a checkout, ``tidegauge/configs/`` of an installed wheel."""
    checkout = _HOME / "configs"
    return checkout if (_HOME / "pyproject.toml").is_file() and checkout.is_dir() else _HOME / "tidegauge" / "configs"


def shipped(relative: str) -> Path:
    """
    The path of a shipped file or folder.

    Args:
        relative: Below ``configs/``, with forward slashes, as in ``apps/demo-shop.yaml``.

    Raises:
        PreflightError: It leaves the folder, or was not installed.
    """
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts or "\0" in relative:
        raise PreflightError(f"{relative!r} is not the name of a shipped file")
    path = shipped_root().joinpath(*parts.parts)
    if not path.exists():
        raise PreflightError(f"the shipped file {relative} is missing below {shipped_root()}", next_step="install tidegauge again")
    return path
