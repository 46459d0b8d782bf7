"""``init``, ``check``, ``plan``, ``schema``, ``completion``: everything about a document before anything is started."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from flows.console import Common

Set = Annotated[list[str] | None, Parameter(name="--set", negative="")]
Template = Literal["demo", "own-app"]


def register(app: App) -> None:
    """Add the commands to *app*."""
    for command in (init, check, plan, schema, completion):
        app.command(command)


def init(folder: Path = Path(), *, template: Template = "demo", common: Common = Common()) -> int:
    """Write a commented experiment.yaml, its schema and a .gitignore.

    Parameters
    ----------
    folder
        Where; made when it is not there. Nothing that is there is overwritten.
    template
        `demo`: the shipped shop; `own-app`: programs of your own.
    """
    from flows.starting import start_project

    written = start_project(folder, template)
    lines = [*(f"wrote {path}" for path in written), f"next: tidegauge plan {written[0]}"]
    common.show({"written": [str(path) for path in written]}, "\n".join(lines))
    return 0


def check(file: Path, *, set_: Set = None, common: Common = Common()) -> int:
    """Find every mistake in a document, with its place; nothing is written or started.

    Parameters
    ----------
    file
        The experiment document.
    set_
        Override a setting; may be repeated.
    """
    from flows.document import load_document
    from flows.trust import programs

    document = load_document(file, set_ or [])
    lines = [f"{file} is valid: {document.name}, {len(document.recordings)} recordings, {len(document.detectors)} detectors"]
    lines += [f"  it starts {argv}" for argv in programs(document)]
    common.show({"file": str(file), "valid": True, "name": document.name, "programs": programs(document)}, "\n".join(lines))
    return 0


def plan(file: Path, *, set_: Set = None, common: Common = Common()) -> int:
    """Show the whole timeline: load, faults, windows, cool-downs, with ETA, samples and disk; nothing is written or started.

    For a cluster also what will be put into which namespace, what reaches further, and the rights for it; the cluster is not asked.

    Parameters
    ----------
    file
        The experiment document.
    set_
        Override a setting; may be repeated.
    """
    from flows.document import load_document
    from flows.drawing import drawn
    from flows.timeline import timeline
    from flows.trust import programs
    from tasks.cluster.config import LocalCluster

    document = load_document(file, set_ or [])
    made = timeline(document, str(file))
    lines, inside = [drawn(document, made)], None
    if not isinstance(document.cluster, LocalCluster):
        from flows.cluster_plan import cluster_plan, cluster_text

        if (planned := cluster_plan(document, made)) is not None:
            lines, inside = [*lines, cluster_text(planned)], planned.to_json()
    lines += [f"starts  {argv}" for argv in programs(document)]
    common.show({**made.to_json(), "cluster": inside}, "\n".join(lines))
    return 0


def schema(*, common: Common = Common()) -> int:
    """Print the JSON schema of experiment documents, for editors."""
    import json

    from flows.document import Experiment

    value = Experiment.model_json_schema()
    common.show(value, json.dumps(value, indent=1))
    return 0


def completion(shell: Literal["bash", "zsh", "fish"] = "bash", *, common: Common = Common()) -> int:
    """Print a completion script for a shell.

    Parameters
    ----------
    shell
        Which shell.
    """
    from flows.cli import build

    script = build().generate_completion(shell=shell)
    common.show({"shell": shell, "script": script}, script)
    return 0
