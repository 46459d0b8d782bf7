"""From the section ``app`` of the document to the app that it means."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.app.config import AppConfig, AppFile, OwnApp
from tasks.app.model import App
from tasks.base.shipped import shipped
from tasks.base.yaml_source import Mistake, dotted, read_source, refuse


def app_of(config: AppConfig) -> App:
    """
    The app that *config* names.

    Raises:
        DocumentError: Its file is not valid.
        PreflightError: Its file was not installed.
    """
    if isinstance(config, OwnApp):
        return App(name=config.name, settings=config)
    return read_app(shipped(f"apps/{config.kind}.yaml"))


def read_app(path: Path) -> App:
    """
    The app in the file at *path*.

    Raises:
        DocumentError: It is not a valid app file; all mistakes are listed with their lines.
    """
    status = path.stat() if path.is_file() else None
    return _read(path, None if status is None else (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=8)
def _read(path: Path, _: tuple[int, int] | None) -> App:
    source = read_source(path, what="app")
    try:
        file = AppFile.model_validate(source.value)
    except ValidationError as error:
        mistakes = [Mistake(*source.mark(item["loc"]), dotted(item["loc"]), _plain(item["msg"])) for item in error.errors()]
        raise refuse(source.name, mistakes, "app") from error
    return App(name=file.name, settings=file)


def _plain(message: Any) -> str:
    return str(message).removeprefix("Value error, ").replace("Input should be", "must be")
