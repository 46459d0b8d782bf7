"""``up``, ``down``, ``status`` and ``faults``: a shop to click through and to break, without Prefect and without a run."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from flows.console import Common
from tasks.base.errors import DocumentError, LeftBehindError

Set = Annotated[list[str] | None, Parameter(name="--set", negative="")]
Flag = Parameter(negative="")


def register(app: App) -> None:
    """Add the commands to *app*."""
    for command in (up, down, status):
        app.command(command)
    faults = App(name="faults", help="Break a running shop on purpose, and stop that.")
    faults.command(list_kinds, name="list")
    faults.command(inject)
    faults.command(revert)
    app.command(faults)


def up(
    file: Path,
    *,
    set_: Set = None,
    ttl: Annotated[float | None, Parameter(name="--ttl")] = None,
    trust: Annotated[bool, Flag] = False,
    common: Common = Common(),
) -> int:
    """Start the app of a document and leave it running: to click through it, to load it, to break it.

    Parameters
    ----------
    file
        The experiment document.
    set_
        Override a setting; may be repeated.
    ttl
        It ends by itself after this many seconds.
    trust
        Let a document from elsewhere start programs of its own.
    """
    from flows.document import load_document
    from flows.trust import require_trust
    from tasks.cluster.config import LocalCluster
    from tasks.recordings.standing import start_standing

    document = load_document(file, set_ or [])
    require_trust(document, file, trusted=trust)
    root = common.open_store().root
    if not isinstance(document.cluster, LocalCluster):
        from flows.cluster_checks import require_rights_of_app

        require_rights_of_app(document, root, common.say)
    found = start_standing(root, document.app, document.cluster, ttl_s=ttl, report=common.progress())
    lines = [f"{found.name} is up: {found.address}", f"next: tidegauge faults list; tidegauge down --run {found.name}"]
    common.show(found.to_json(), "\n".join(lines))
    return 0


def down(
    *,
    run: Annotated[str | None, Parameter(name="--run")] = None,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    common: Common = Common(),
) -> int:
    """Take shops down, also those whose supervisor died; does nothing the second time.

    Parameters
    ----------
    run
        Which one, as `status` names it; not needed when there is one.
    all_
        Every one of this store.
    """
    from tasks.cluster.command.provider import inventory, remove
    from tasks.recordings.standing import standings, take_down

    found = standings(common.store_path())
    chosen = [one for one in found if all_ or one.name == run or (run is None and not one.recording)]
    spared = [one for one in found if one not in chosen and one.recording]
    if run is None and spared:
        common.say(f"left alone: the shop of a running recording ({spared[0].name}); `tidegauge cancel` stops its run, --all takes it down")
    if run is not None and not chosen:
        common.say(f"no shop called {run} is there")
    if run is None and not all_ and len(chosen) > 1:
        raise DocumentError(f"several shops are up: {', '.join(one.name for one in chosen)}", next_step="name one with --run, or add --all")
    left = {one.name: [f"{one.name}: {text}" for text in take_down(one, common.say)] for one in chosen}
    for made in inventory(common.store_path()) if all_ else ():
        remains = remove(common.store_path(), made, say=common.say)
        left[f"cluster {made.name}"] = [f"{one.name}: {one.why}" for one in remains]
    told, gone = [text for texts in left.values() for text in texts], [name for name, texts in left.items() if not texts]
    common.show({"down": gone, "left": told}, "\n".join([*(f"{name} is down" for name in gone), *told]) or "nothing was up")
    if told:
        count = "1 thing is" if len(told) == 1 else f"{len(told)} things are"
        again = "tidegauge down --all" if run is None else f"tidegauge down --run {run}"
        raise LeftBehindError(f"{count} still there: {told[0].splitlines()[0]}", next_step=again)
    return 0


def status(*, follow: Annotated[bool, Flag] = False, common: Common = Common()) -> int:
    """Say which shops run, what is left of dead ones, which faults are active, and how a running recording does.

    Parameters
    ----------
    follow
        Again every second, until Ctrl-C.
    """
    import time

    from flows.looking import look, text_of

    while True:
        value = look(common.store_path())
        common.show(value, text_of(value))
        if not follow:
            return 0
        time.sleep(1.0)


def list_kinds(*, provider: Literal["local", "kubernetes"] = "local", common: Common = Common()) -> int:
    """List the kinds of faults: what is done, at full strength, and what a placebo of it does.

    Parameters
    ----------
    provider
        Where the app runs: on this machine, or in a cluster.
    """
    from tasks.faults.catalogue import kinds_for

    value = [
        {
            "kind": kind.name,
            "does": kind.summary,
            "full_strength": kind.full_strength,
            "placebo": kind.placebo,
            "benign": kind.benign,
            "default_intensity": kind.default_intensity,
            "witnesses": [witness.name for witness in kind.witnesses],
        }
        for kind in kinds_for(provider).values()
    ]
    lines = [
        f"{one['kind']:12} {one['does']}\n{'':12} intensity 1: {one['full_strength']}\n{'':12} placebo: {one['placebo']}" for one in value
    ]
    common.show(value, "\n".join(lines))
    return 0


def inject(
    kind: str,
    *,
    target: str,
    duration_s: Annotated[float, Parameter(name="--duration_s", help="How long, in seconds.")],
    intensity: float | None = None,
    placebo: Annotated[bool, Flag] = False,
    run: Annotated[str | None, Parameter(name="--run")] = None,
    wait: Annotated[bool, Parameter(name="--wait", negative="--no-wait")] = True,
    common: Common = Common(),
) -> int:
    """Inject one fault into a running shop; it ends by itself, whatever happens to this command.

    Parameters
    ----------
    kind
        As `faults list` names it.
    target
        The service; never the one that users come in by.
    duration_s
        How long, in seconds.
    intensity
        Share of full strength; left out, the kind's own default.
    placebo
        Walk the whole way without effect.
    run
        Which shop, as `status` names it; not needed when there is one.
    wait
        Return once it is reverted and verified; `--no-wait` returns once it is active.
    """
    from tasks.base.stopping import interruptible, stoppable
    from tasks.recordings.standing import the_one

    found = the_one(common.store_path(), run)
    with stoppable(), interruptible():
        receipt = found.inject(kind, target, duration_s, intensity, placebo=placebo, wait=wait, say=common.say)
    common.show(receipt, _receipt_line(receipt))
    return 0


def revert(
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    run: Annotated[str | None, Parameter(name="--run")] = None,
    common: Common = Common(),
) -> int:
    """End every active fault now: the emergency stop. Needs neither a runner nor a supervisor.

    Parameters
    ----------
    all_
        In every shop of this store.
    run
        In which shop; not needed when there is one.
    """
    from tasks.recordings.standing import revert_faults, standings, the_one

    shops = standings(common.store_path()) if all_ else [the_one(common.store_path(), run)]
    ended = [fault for one in shops for fault in revert_faults(one, common.say)]
    common.show({"reverted": ended}, "\n".join(f"{fault} is reverted" for fault in ended) or "no fault was active")
    return 0


def _receipt_line(receipt: dict[str, Any]) -> str:
    if receipt["reverted"] is None:
        return f"{receipt['id']}: {receipt['kind']} on {receipt['target']} is active since {receipt['acknowledged']}"
    span = f"from {receipt['acknowledged']} to {receipt['reverted']}"
    return f"{receipt['id']}: {receipt['kind']} on {receipt['target']} {span}, reverted and verified"
