"""Whether imported recordings can be evaluated together: what speaks against it, and what has to be known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from flows.document import Experiment
from flows.imports import Import, listed
from tasks.artifacts.refs import Ref
from tasks.artifacts.store import Store
from tasks.base.clock import iso
from tasks.base.errors import DocumentError
from tasks.base.trials import Outcome
from tasks.features.config import MIN_ROWS, FeaturesConfig

TESTED = ("faults", "hold-out")
OWN_CATALOGUE = "write a metric catalogue of your own (docs/how-to/add-a-metric.md) and add --set features.catalogue=NAME"
ANEW = "tidegauge import prometheus URL --start TIME --end TIME"


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that speaks against it, and what to do."""

    text: str
    next_step: str


def refuse(reasons: Sequence[Reason]) -> None:
    """
    End it where there is a reason.

    Raises:
        DocumentError: There is; all are told.
    """
    if reasons:
        steps = dict.fromkeys(reason.next_step for reason in reasons)
        raise DocumentError("\n".join(reason.text for reason in reasons), next_step="\n        ".join(steps))


def roles_missing(imports: Sequence[Import]) -> tuple[Reason, ...]:
    """What nobody is there to do."""
    roles = {one.role for one in imports}
    wanted = {
        "training": ("training", "detectors learn what is normal from one"),
        "calibration": ("calibration", "thresholds come from one that no detector has learnt from"),
        "faults": ("faults or hold-out", "there is nothing to score"),
    }
    lacking = [role for role in wanted if role not in roles and not (role == "faults" and "hold-out" in roles)]
    return tuple(
        Reason(
            f"no import has the role {wanted[role][0]}: {wanted[role][1]}",
            f"{ANEW} --role {role} --name {role}, or --imports {role}=RUN for one that is there",
        )
        for role in lacking
    )


def of_experiment(document: Experiment, store: Store) -> dict[str, Import]:
    """
    What the imported recordings of *document* say of themselves, by their names there and in the roles that they have there.

    Raises:
        StorageError: One is not in the store, or damaged.
        DocumentError: One was not imported.
    """
    used = [(entry, Ref.parse(entry.imported)) for entry in document.recordings if entry.imported is not None]
    runs = {one.ref: one.run for one in listed(store)} if used else {}
    return {entry.name: replace(Import.read(store, ref, runs.get(ref, "")), name=entry.name, role=entry.role) for entry, ref in used}


def looked_at(document: Experiment, store: Store) -> tuple[str, ...]:
    """
    Let *document* have its imports evaluated together; what is worth knowing of them.

    Raises:
        DocumentError: Something speaks against it; everything is told.
        StorageError: One is not in the store, or damaged.
    """
    imports = of_experiment(document, store)
    refuse(reasons_against(imports, document.features))
    learnt = [one for one in imports.values() if one.role == "training"][:1]
    return (*worth_knowing(imports, document.features), *(_covered(store, one, document.features) for one in learnt))


def _covered(store: Store, one: Import, features: FeaturesConfig) -> str:
    """
    What the catalogue makes of the recording that decides which columns there are.

    Raises:
        DocumentError: Nothing.
    """
    from tasks.features.catalogue import read_catalogue
    from tasks.features.coverage import coverage
    from tasks.telemetry.samples import read_series

    found = coverage(read_series(store.open(one.ref).folder), read_catalogue(features.catalogue))
    names = len(found.used) + len(found.unknown)
    text = f"{one.name}: {found.columns} columns from {len(found.used)} of its {names} metric names"
    if not found.columns:
        refuse([Reason(f"{text}; the catalogue {features.catalogue} does not know {found.listing}", OWN_CATALOGUE)])
    if not found.measured:
        return f"{text}, all about the scrapes themselves: only an outage can show. {OWN_CATALOGUE}, for {found.listing}"
    return text


def reasons_against(imports: Mapping[str, Import], features: FeaturesConfig) -> tuple[Reason, ...]:
    """Everything that makes a table of *imports* say nothing, in the order in which it was found."""
    found = list(imports.values())
    return (*_labels(found), *_same_ids(found), *_overlaps(found), *_lengths(found, features))


def _labels(imports: Sequence[Import]) -> Iterator[Reason]:
    for one in imports:
        real = [trial for trial in one.trials if not trial.placebo and trial.outcome is not Outcome.NOT_INJECTED]
        if one.role == "faults" and not one.trials:
            yield Reason(
                f"{one.name} has the role faults and no labels: nobody can say what was detected",
                f"import it again with --labels FAULTS.csv, or call it quiet: --imports hold-out={one.run or one.ref}",
            )
        if one.role in ("training", "calibration") and real:
            what = "labelled faults" if all(trial.fault for trial in real) else "labelled faults and benign changes"
            yield Reason(
                f"{one.name} has {len(real)} {what}, and its role {one.role} is to show what is normal",
                f"import a stretch without them, or --imports faults={one.run or one.ref}",
            )


def _same_ids(imports: Sequence[Import]) -> Iterator[Reason]:
    places: dict[str, list[str]] = {}
    for one in imports:
        for trial in one.trials:
            places.setdefault(trial.id, []).append(one.name)
    for name, where in places.items():
        if len(where) > 1:
            yield Reason(
                f"{len(where)} faults are called {name}: in {' and '.join(where)}",
                "give one another fault_id in its label file, and import that recording again with --labels",
            )


def _overlaps(imports: Sequence[Import]) -> Iterator[Reason]:
    for one, other in combinations(imports, 2):
        start_s, end_s = max(one.span.start_s, other.span.start_s), min(one.span.end_s, other.span.end_s)
        both_tested = one.role in TESTED and other.role in TESTED
        if start_s < end_s and (one.server == other.server or both_tested):
            why = "one row would be scored twice" if both_tested else "what is learnt or calibrated must not be seen again"
            yield Reason(
                f"{one.name} and {other.name} overlap from {iso(start_s)} to {iso(end_s)}: {why}", f"{ANEW}, so that their times differ"
            )


def _lengths(imports: Sequence[Import], features: FeaturesConfig) -> Iterator[Reason]:
    needed_s = features.rate_window_s + MIN_ROWS * features.grid_s
    for one in imports:
        if one.span.length_s < needed_s:
            yield Reason(
                f"{one.name} is {one.span.length_s:g} s long: fewer than {MIN_ROWS} rows of {features.grid_s:g} s after a rate window",
                f"import at least {needed_s:g} s",
            )


def worth_knowing(imports: Mapping[str, Import], features: FeaturesConfig) -> tuple[str, ...]:
    """What does not speak against it, and has to be known of what comes out, a sentence each."""
    found = []
    intervals = {one.interval_s for one in imports.values() if one.interval_s is not None}
    rows = f"a row is {features.grid_s:g} s, rates are over {features.rate_window_s:g} s"
    if intervals and max(intervals) > 1.05 * min(intervals):
        each = ", ".join(f"{name} every {_seconds(one.interval_s)}" for name, one in imports.items())
        found.append(f"the targets were scraped at different intervals ({each}): {rows}; --set features.grid_s=SECONDS chooses another")
    elif intervals and max(intervals) > 1.05 * features.grid_s:
        found.append(f"the targets were scraped every {max(intervals):g} s, and {rows}: rows repeat what was scraped before")
    for name, one in imports.items():
        if one.interval_s is None:
            found.append(f"{name} tells of no scrapes, so that holes in it are not known: {rows}")
        if one.status != "complete":
            gaps = f"{one.gaps} gap{'' if one.gaps == 1 else 's'}"
            found.append(
                f"{name} is incomplete ({gaps}): rows without samples get no score, and the exit code will be 8; "
                f"`tidegauge runs show {one.run or 'RUN'} --gaps` tells more"
            )
    return tuple(found)


def _seconds(interval_s: float | None) -> str:
    return "unknown" if interval_s is None else f"{interval_s:g} s"
