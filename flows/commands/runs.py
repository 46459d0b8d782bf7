"""``runs list|show|compare|verify|export|rm|gc``: what was done, and whether it is still what was written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.console import Common
from tasks.base.errors import DocumentError, StorageError

Flag = Parameter(negative="")


def register(app: App) -> None:
    """Add the group to *app*."""
    group = App(name="runs", help="What was done, and whether it is still what was written.")
    for command, name in (
        (list_, "list"),
        (show, "show"),
        (compare, "compare"),
        (verify, "verify"),
        (export, "export"),
        (rm, "rm"),
        (gc, "gc"),
    ):
        group.command(command, name=name)
    app.command(group)


def list_(*, common: Common = Common()) -> int:
    """List all runs, newest last."""
    from tasks.artifacts.runs import Runs
    from tasks.artifacts.store import Store

    runs = Runs(Store(common.store_path()))
    rows = []
    for run in runs.ids():
        try:
            record = runs.look(run)
            rows.append({name: record[name] for name in ("run", "parent", "status", "name", "started", "ended", "exit_code")})
        except StorageError as error:
            rows.append(
                {"run": run, "parent": None, "status": "damaged", "name": error.message, "started": None, "ended": None, "exit_code": 6}
            )
    lines = [f"{row['run']}  {row['status']:10} {(row['started'] or '-')[:19]}  {row['name']}" for row in rows]
    common.show(rows, "\n".join(lines) or "no runs yet; try: tidegauge run configs/demo.yaml")
    return 0


def show(run: str = "latest", *, gaps: Annotated[bool, Flag] = False, common: Common = Common()) -> int:
    """Show one run.

    Parameters
    ----------
    run
        Its id, or `latest`.
    gaps
        Show how whole its recordings are instead: their data certificates, gaps and degraded seconds.
    """
    from flows.records import public
    from flows.show import text_of
    from tasks.artifacts.runs import Runs
    from tasks.artifacts.store import Store

    store = Store(common.store_path())
    record = Runs(store).look(run)
    if run == "latest":
        common.say(f"latest is run {record['run']}")
    if gaps:
        return _gaps(store, record, common)
    common.show(public(record), "" if common.json else text_of(record))
    return 0


def _gaps(store: Any, record: Mapping[str, Any], common: Common) -> int:
    from tasks.artifacts.refs import Ref
    from tasks.base.clock import iso
    from tasks.base.files import read_json
    from tasks.telemetry.causes import gap_note
    from tasks.telemetry.certificate_text import sentences

    value, lines = {}, []
    for name, text in record["artifacts"].items():
        if not name.startswith("record:"):
            continue
        artifact = store.open(Ref.parse(text))
        facts = read_json(artifact.file("recording.json"))
        holes, degraded = read_json(artifact.file("gaps.json"))["gaps"], read_json(artifact.file("degraded.json"))
        value[facts["name"]] = {
            **{name: facts[name] for name in ("status", "notes", "certificate")},
            "gaps": holes,
            "degraded": degraded,
        }
        lines.append(f"{facts['name']}: {facts['status']}, {len(holes)} gaps, {len(degraded)} degraded seconds")
        lines += [f"  {text}" for text in (*sentences(facts["certificate"]), *facts["notes"])]
        lines += [f"  gap of {gap['target'] or 'all targets'} from {gap['start']} to {gap['end']}, {gap_note(gap)}" for gap in holes]
        lines += [f"  degraded {iso(entry['second'])}: {', '.join(entry['reasons'])}" for entry in degraded]
    common.show(value, "\n".join(lines))
    return 0


def compare(first: str, second: str = "latest", *, common: Common = Common()) -> int:
    """Put the detector tables of two runs side by side, and say what differs between their documents.

    Parameters
    ----------
    first
        A run's id, or `latest`.
    second
        Another one.
    """
    from flows.comparing import compared, text_of
    from tasks.artifacts.runs import Runs

    runs = Runs(common.open_store())
    value = compared(runs.read(first), runs.read(second))
    common.show(value, text_of(value))
    return 0


def verify(run: str = "latest", *, read_data: Annotated[bool, Flag] = False, common: Common = Common()) -> int:
    """Check that every artifact of a run is what was written.

    Parameters
    ----------
    run
        Its id, or `latest`.
    read_data
        Read every byte, not only manifests and sizes.
    """
    from tasks.artifacts.collect import needed
    from tasks.artifacts.refs import Ref
    from tasks.artifacts.runs import Runs

    store = common.open_store()
    record = Runs(store).read(run)
    refs = sorted(needed(store, (Ref.parse(text) for text in record["artifacts"].values())))
    problems = [problem for ref in refs for problem in store.problems(ref, read_data=read_data)]
    common.show(
        {"run": record["run"], "artifacts": len(refs), "problems": problems},
        "\n".join(problems) or f"{len(refs)} artifacts are as they were written",
    )
    if not problems:
        return 0
    common.say(f"tidegauge: {len(problems)} problems in run {record['run']}\n  next: make it anew: tidegauge run FILE")
    return StorageError.exit_code


def export(run: str, target: Path, *, common: Common = Common()) -> int:
    """Copy a run with all its artifacts into a folder of its own, itself a store.

    Parameters
    ----------
    run
        Its id, or `latest`.
    target
        A folder that does not exist yet.
    """
    from tasks.artifacts.capsule import export_run

    common.show({"target": str(target)}, f"exported to {export_run(common.open_store(), run, target)}")
    return 0


def rm(run: str, *, yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="")] = False, common: Common = Common()) -> int:
    """Forget a run. Artifacts stay until `runs gc` finds that no other run needs them.

    Parameters
    ----------
    run
        Its id.
    yes
        Do not ask.
    """
    from tasks.artifacts.runs import Runs

    runs = Runs(common.open_store())
    found = runs.resolve(run)
    if runs.path(found).is_file() and not yes:
        raise DocumentError(f"this forgets run {found}", next_step=f"tidegauge runs rm {found} --yes")
    runs.remove(found)
    common.show({"removed": found}, f"run {found} is forgotten; `tidegauge runs gc` frees what nobody needs")
    return 0


def gc(*, yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="")] = False, common: Common = Common()) -> int:
    """Remove artifacts that no run needs; without `--yes` only say what would go.

    Parameters
    ----------
    yes
        Remove them.
    """
    from tasks.artifacts.collect import collect, garbage

    store = common.open_store()
    found = garbage(store)
    if yes:
        collect(store, found)
    gone = [*map(str, found.artifacts), *map(str, found.staging)]
    fate = "removed" if yes else "would go; add --yes to remove them"
    common.show({"what": gone, "bytes": found.bytes, "removed": yes}, "\n".join([*gone, f"{found.bytes:,} bytes {fate}"]))
    return 0
