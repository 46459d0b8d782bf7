"""What no section can know by itself: names that must exist elsewhere, files, and a plan of faults that could be believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.app.config import AppConfig, ClusterApp, OwnApp
from tasks.app.files import app_of, placed
from tasks.app.model import App
from tasks.app.resolve import processes
from tasks.base.errors import DocumentError
from tasks.base.mistakes import nearest
from tasks.base.shipped import shipped
from tasks.base.yaml_events import Loc
from tasks.base.yaml_source import undotted
from tasks.cluster.config import LocalCluster
from tasks.faults.kind import WITNESS_ROWS
from tasks.faults.schedule import Settling, refusals
from tasks.features.config import MIN_ROWS
from tasks.load.config import Csv
from tasks.load.journey import journeys_of, shipped_folders
from tasks.load.users_table import find_file, table
from tasks.recordings.settling import app_facts, judging_settling
from tasks.telemetry.config import KubeletSource, PrometheusSource

if TYPE_CHECKING:
    from flows.document import Experiment

FLOORS = ("random", "norm", "constant")
Doubt = tuple[Loc, str]


def completed(experiment: Experiment, folder: Path | None) -> tuple[Experiment, list[Doubt]]:
    """*experiment* with the files that it names read in or pinned: the table of users, manifests, charts; and what is wrong with them."""
    app, wrong = placed(experiment.app, folder)
    found, further = _with_users(experiment.model_copy(update={"app": app}), folder)
    return found, [*wrong, *further]


def _with_users(experiment: Experiment, folder: Path | None) -> tuple[Experiment, list[Doubt]]:
    if experiment.load is None:
        return experiment, []
    users = experiment.load.users
    if not isinstance(users, Csv) or users.points is not None:
        return experiment, []
    loc: Loc = ("load", "users", "file")
    try:
        points, mistakes = table(find_file(users.file, (*(() if folder is None else (folder,)), *shipped_folders())))
    except DocumentError as error:
        return experiment, [(loc, error.message.removeprefix("load.users.file: "))]
    if mistakes:
        return experiment, [(loc, text) for text in mistakes]
    load = experiment.load.model_copy(update={"users": users.model_copy(update={"points": points})})
    return experiment.model_copy(update={"load": load}), []


def doubts(experiment: Experiment, *, stated: Mapping[str, Any]) -> list[Doubt]:
    """
    Names in a valid *experiment* that lead nowhere, each with the path of its setting.

    Args:
        experiment: A valid one.
        stated: The document's plain values: a default is not doubted where the document says nothing.
    """
    found = [*_names(experiment, stated), *_placeholders(experiment.app), *_places(experiment)]
    try:
        if experiment.load is not None:
            journeys_of(experiment.load)
    except DocumentError as error:
        found.append((("load", "journeys"), f"{error.message.removeprefix('load.journeys: ')}; {error.next_step}"))
    return found


def plan_doubts(experiment: Experiment, *, quiet_too: bool = True, lengths_too: bool = True) -> list[Doubt]:
    """
    Every reason why what a valid *experiment* records would prove nothing, each with the path of its setting.

    Args:
        experiment: A valid one.
        quiet_too: Whether its timing is that of the document, so that quiet times can be judged.
        lengths_too: Whether all its lengths are those of the document: where one was wrong, another stands in for it.
    """
    short = _too_short(experiment) if lengths_too else []
    if experiment.faults is None:
        return short
    try:
        facts = app_facts(app_of(experiment.app), journeys_of(experiment.traffic()), experiment.cluster)
    except DocumentError:
        return short  # the app or its journeys are wrong, as doubts() tells
    quiets = (settling(experiment), judging_settling(experiment.telemetry.interval_s, experiment.telemetry.rate_window_s))
    sentences = dict.fromkeys(text for quiet in quiets for text in refusals(experiment.faults, facts, quiet))
    split = [text.partition(": ") for text in sentences]
    return short + [(undotted(setting), sentence) for setting, _, sentence in split if quiet_too or setting.startswith("faults.trials")]


def _too_short(experiment: Experiment) -> list[Doubt]:
    """Recordings from which nothing can be learnt, and faults that end before two rows could show them."""
    step_s, window_s = experiment.features.grid_s, experiment.features.rate_window_s
    needed_s = window_s + MIN_ROWS * step_s
    found: list[Doubt] = []
    for place, entry in enumerate(experiment.recordings):
        if entry.duration_s is not None and entry.duration_s < needed_s:
            text = f"{entry.duration_s:g} s hold fewer than {MIN_ROWS} rows after the first rate window; at least {needed_s:g} s are needed"
            found.append((("recordings", place, "duration_s"), text))
    if experiment.faults is None:
        return found
    stated: dict[Loc, float] = {("faults", "duration_s"): experiment.faults.duration_s}
    stated |= {("faults", "trials", i, "duration_s"): one.duration_s for i, one in enumerate(experiment.faults.trials) if one.duration_s}
    shortest_s = WITNESS_ROWS * step_s
    found += [
        (loc, f"a fault of {length_s:g} s is over before {WITNESS_ROWS} rows could show it; at least {shortest_s:g} s are needed")
        for loc, length_s in stated.items()
        if length_s < shortest_s
    ]
    return found


def settling(experiment: Experiment) -> Settling:
    """What has to fit into the quiet between two faults."""
    step = experiment.features.grid_s
    return Settling(experiment.features.rate_window_s, experiment.evaluation.persistence_s(step), experiment.evaluation.close_after * step)


def _names(experiment: Experiment, stated: Mapping[str, Any]) -> Iterator[Doubt]:
    known = {*FLOORS, *(detector.name for detector in experiment.detectors)}
    wanted: list[tuple[Loc, str]] = [(("ranking", "detector"), experiment.ranking.detector)]
    if experiment.evaluation.require is not None:
        wanted.append((("evaluation", "require", "detector"), experiment.evaluation.require.detector))
    for loc, name in wanted:
        if name not in known and _is_stated(stated, loc):
            yield loc, f"{name} is not among the detectors of this document{nearest(name, known)}"
    catalogues = {file.stem for file in shipped("metrics").glob("*.yaml")}
    if (catalogue := experiment.features.catalogue) not in catalogues:
        yield ("features", "catalogue"), f"there is no metric catalogue {catalogue!r}; choose one of: {', '.join(sorted(catalogues))}"


def _places(experiment: Experiment) -> Iterator[Doubt]:
    """What cannot be where the document has it: an app of manifests on this machine, pods without a cluster, a source that asks nobody."""
    cluster, source = experiment.cluster, experiment.telemetry.source
    load = experiment.load
    if isinstance(cluster, LocalCluster):
        if isinstance(app_of(experiment.app).settings, ClusterApp):
            yield ("app", "kind"), f"{experiment.app.kind} is made of Kubernetes objects; name a cluster: {{provider: kubeconfig, ...}}"
        if load is not None and load.place == "pods":
            yield ("load", "place"), "there is no cluster that could run pods: cluster.provider is local"
        if source.kind == "kubelet" or (isinstance(source, PrometheusSource) and source.in_cluster):
            yield ("telemetry", "sources", 0, "kind"), f"there is no cluster that {source.kind} could ask: cluster.provider is local"
        return
    from tasks.app.kube.manifests import doubts_of
    from tasks.app.kube.rules import Place
    from tasks.faults.kube.rights import on_nodes

    if source.kind == "scrape":
        yield ("telemetry", "sources", 0, "kind"), "scrape asks processes of this machine; in a cluster take kubelet or prometheus"
    if isinstance(source, KubeletSource) and source.containers != "none" and not cluster.node_proxy:
        text = "containers are seen by the API server's node proxy alone: set cluster.node_proxy: true, or telemetry containers: none"
        yield ("telemetry", "sources", 0, "containers"), text
    if load is not None and load.place == "here" and load.address is None:
        yield ("load", "place"), "generators here need load.address, where the app is reached from outside of the cluster; or place: pods"
    if experiment.faults is not None and not cluster.node_helper:
        helped = on_nodes(trial.kind for trial in experiment.faults.trials)
        for number, trial in enumerate(experiment.faults.trials):
            if trial.kind in helped:
                text = f"{trial.kind} starts a privileged pod on the target's node while it lasts: set cluster.node_helper: true"
                yield ("faults", "trials", number, "kind"), text
    place = Place(cluster.namespace, cluster.allow_load_balancers)
    yield from ((("app",), text) for text in doubts_of(app_of(experiment.app), place))


def _is_stated(stated: Any, loc: Loc) -> bool:
    for part in loc:
        if not isinstance(stated, Mapping) or part not in stated:
            return False
        stated = stated[part]
    return True


def _placeholders(config: AppConfig) -> Iterator[Doubt]:
    """A command or variable of one's own services that cannot be filled in."""
    if not isinstance(config, OwnApp):
        return
    app = app_of(config)
    ports = {service.name: service.port or 20_000 + position for position, service in enumerate(app.services)}
    for position, service in enumerate(app.services):
        alone = App(app.name, config.model_copy(update={"services": (service,)}))
        try:
            processes(alone, ports, ports, Path("data"), "python")
        except DocumentError as error:
            yield ("app", "services", position), f"{error.message}; {error.next_step}"
