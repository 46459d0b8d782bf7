"""The one question: which objects does an app consist of, in this place?"""

from __future__ import annotations

from pathlib import Path

from tasks.app.config import AppSettings, ChartApp, ClusterApp, ManifestApp
from tasks.app.kube.chart import helm_argv, rendered_chart
from tasks.app.kube.pieces import Piece, Wrong, parsed, read_pieces, refuse_all
from tasks.app.kube.placement import Manifest, Placement
from tasks.app.kube.rendering import rendered
from tasks.app.kube.rules import Place, all_wrong
from tasks.app.kube.sources import located, manifest_files, require_unchanged
from tasks.app.kube.stamping import stamped
from tasks.app.model import App
from tasks.base.errors import DocumentError


def manifests_of(app: App, where: Placement, *, kube_version: str | None = None) -> tuple[Manifest, ...]:
    """
    The objects of *app* in the order in which they are applied.

    Args:
        app: Any app. Files are read and, for a chart, ``helm template`` is run: only after the document was trusted.
        where: Namespace and run.
        kube_version: What a chart is told of the cluster's version, as ``v1.36.3``; None: what Helm thinks.

    Raises:
        DocumentError: They are not valid, or reach beyond the namespace; all mistakes are listed with their places.
        PreflightError: Files have changed since the document was read, or Helm is not installed.
    """
    if isinstance(app.settings, AppSettings):
        return rendered(app, where)
    require_unchanged(app.settings, app.folder)
    pieces, wrong = _pieces(app.settings, app.folder, where.namespace, kube_version)
    wrong += all_wrong(app.settings, pieces, Place(where.namespace, where.load_balancers), whole=not wrong)
    if wrong or not pieces:
        raise refuse_all(app.name, wrong) if wrong else DocumentError(f"the manifests of {app.name} hold no object")
    return stamped(app.settings, [piece.value for piece in pieces], where)


def doubts_of(app: App, place: Place) -> tuple[str, ...]:
    """
    What is wrong with the manifests of *app* for *place*, as ``file:line:column: setting: what``; nothing is started.

    A chart is not looked into: that takes Helm, which is a program that the document starts. Nor are files that could not be
    located when the document was read: that was told then.
    """
    if not isinstance(app.settings, ManifestApp) or (app.folder is None and app.settings.digest is None):
        return ()
    try:
        pieces, wrong = _files(app.settings, app.folder)
    except DocumentError as error:
        return (error.message,)
    return tuple(str(one) for one in sorted({*wrong, *all_wrong(app.settings, pieces, place, whole=not wrong)}))


def _pieces(settings: ClusterApp, folder: Path | None, namespace: str, kube_version: str | None) -> tuple[list[Piece], list[Wrong]]:
    if isinstance(settings, ManifestApp):
        return _files(settings, folder)
    if not isinstance(settings, ChartApp):  # impossible: there are two forms
        raise TypeError(type(settings).__name__)
    pieces: list[Piece] = []
    wrong: list[Wrong] = []
    for name, raw in rendered_chart(helm_argv(settings.chart, namespace, kube_version)):
        found, mistakes = parsed(raw, name)
        pieces += found
        wrong += mistakes
    return pieces, wrong


def _files(settings: ManifestApp, folder: Path | None) -> tuple[list[Piece], list[Wrong]]:
    return read_pieces([file for name in settings.manifests for file in manifest_files(located(name, folder))], folder)
