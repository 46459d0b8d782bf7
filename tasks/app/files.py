"""From the section ``app`` of the document to the app that it means."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.app.config import AppConfig, AppFile, ClusterApp, DemoShop, ManifestAppFile, OwnApp, OwnChart, OwnManifests, SockShop
from tasks.app.kube.chart import helm_argv
from tasks.app.kube.sources import digest_of, located, named_paths
from tasks.app.model import App
from tasks.base.errors import DocumentError
from tasks.base.shipped import shipped
from tasks.base.yaml_events import Loc
from tasks.base.yaml_source import Mistake, dotted, read_source, refuse


def app_of(config: AppConfig) -> App:
    """
    The app that *config* names.

    Raises:
        DocumentError: Its file is not valid.
        PreflightError: Its file was not installed.
    """
    if isinstance(config, OwnApp | OwnManifests | OwnChart):
        return App(name=config.name, settings=config)
    app = read_app(shipped(f"apps/{config.kind}.yaml"))
    return _sock_shop(app, config) if isinstance(config, SockShop) else _demo_shop(app, config)


def placed(config: AppConfig, folder: Path | None) -> tuple[AppConfig, list[tuple[Loc, str]]]:
    """
    *config* with the paths of its manifests or chart made absolute and their digest noted, and what is wrong with them.

    Args:
        config: The section ``app``.
        folder: The document's folder; None: it lies in none.
    """
    if not isinstance(config, OwnManifests | OwnChart):
        return config, []
    found: dict[Loc, str] = {}
    wrong: list[tuple[Loc, str]] = []
    for loc, name in named_paths(config):
        try:
            found[loc] = str(located(name, folder))
        except DocumentError as error:
            wrong.append((("app", *loc), error.message))
    if wrong:
        return config, wrong
    if isinstance(config, OwnManifests):
        whole: OwnManifests | OwnChart = config.model_copy(update={"manifests": tuple(found.values())})
    else:
        path, *values = found.values()
        whole = config.model_copy(update={"chart": config.chart.model_copy(update={"path": path, "values": tuple(values)})})
    try:
        return whole.model_copy(update={"digest": digest_of(whole, None)}), []
    except DocumentError as error:
        return config, [(("app",), error.message)]


def started_by(config: AppConfig) -> list[list[str]]:
    """Each argv of programs that *config* itself brings, or has started for it on this machine; those of the product are left out."""
    if isinstance(config, OwnApp):
        return [list(service.command) for service in config.services]
    if isinstance(config, OwnChart):
        return [helm_argv(config.chart, "NAMESPACE")]
    return []


def read_app(path: Path) -> App:
    """
    The app in the file at *path*.

    Raises:
        DocumentError: It is not a valid app file; all mistakes are listed with their lines.
    """
    status = path.stat() if path.is_file() else None
    return _read(path, None if status is None else (status.st_mtime_ns, status.st_size))


def _demo_shop(app: App, config: DemoShop) -> App:
    if config.image is None:
        return app
    return App(app.name, app.settings.model_copy(update={"image": config.image}), app.folder)


def _sock_shop(app: App, config: SockShop) -> App:
    settings = app.settings
    if not isinstance(settings, ClusterApp):  # impossible for the shipped file
        raise TypeError(f"{app.name} does not come as manifests")
    changes: dict[str, Any] = {"images": {**settings.images, **config.images}, "digest": digest_of(settings, app.folder)}
    if config.required_metrics is not None:
        changes["required_metrics"] = config.required_metrics
    return App(app.name, settings.model_copy(update=changes), app.folder)


@lru_cache(maxsize=8)
def _read(path: Path, _: tuple[int, int] | None) -> App:
    source = read_source(path, what="app")
    form = ManifestAppFile if "manifests" in source.value else AppFile
    try:
        file = form.model_validate(source.value)
    except ValidationError as error:
        mistakes = [Mistake(*source.mark(item["loc"]), dotted(item["loc"]), _plain(item["msg"])) for item in error.errors()]
        raise refuse(source.name, mistakes, "app") from error
    return App(name=file.name, settings=file, folder=path.parent)


def _plain(message: Any) -> str:
    return str(message).removeprefix("Value error, ").replace("Input should be", "must be")
