"""
Does a run's evaluation still stand?

Answered from the record and the files alone, before Prefect or any library is imported: every byte of what was computed,
the inputs' digests, the code, the library versions.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.artifacts.fingerprint import PROJECT, Fingerprint
from tasks.artifacts.refs import Ref
from tasks.artifacts.store import Store
from tasks.artifacts.versions import library_versions
from tasks.base.errors import StorageError
from tasks.base.files import sha256_file
from tasks.base.shipped import shipped_root

HASHED_BYTES = 64 << 20
"""Recordings together below this size are hashed whole; above it, their sizes and manifests are compared."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Why an evaluation has to be made again, a sentence each; empty when it stands."""

    reasons: tuple[str, ...]

    @property
    def stands(self) -> bool:
        """Whether nothing changed."""
        return not self.reasons


def standing(store: Store, record: Mapping[str, Any]) -> Standing:
    """
    Compare a run's artifacts with what was written.

    Raises:
        StorageError: A recording is damaged: nothing can be computed from it, so nothing is answered either.
    """
    refs = {name: Ref.parse(text) for name, text in record["artifacts"].items()}
    recordings = {name: ref for name, ref in refs.items() if name.startswith("record:")}
    _check_recordings(store, recordings, _imported(record))
    reasons = [problem for name, ref in refs.items() if name not in recordings for problem in store.problems(ref)]
    if reasons:
        return Standing(tuple(reasons))
    manifests = {name: store.open(ref).manifest for name, ref in refs.items()}
    reasons += _changed_inputs(manifests, refs)
    reasons += _changed_code(manifests)
    reasons += _changed_catalogue(manifests)
    return Standing(tuple(reasons))


def _imported(record: Mapping[str, Any]) -> set[str]:
    """Stages of the recordings that a run has from an import."""
    return {f"record:{entry['name']}" for entry in record["document"].get("recordings", ()) if entry.get("imported")}


def _check_recordings(store: Store, recordings: Mapping[str, Ref], imported: Collection[str]) -> None:
    total = sum(store.open(ref).bytes for ref in recordings.values())
    for name, ref in recordings.items():
        problems = store.problems(ref, read_data=total <= HASHED_BYTES)
        if problems:
            again = f"tidegauge run FILE --refresh {name.replace('record:', 'recording:')}"
            raise StorageError(
                f"{name.replace('record:', 'recording ')} is damaged: {problems[0]}",
                next_step="tidegauge import ... --refresh, as it was imported" if name in imported else again,
            )


def _changed_inputs(manifests: Mapping[str, Mapping[str, Any]], refs: Mapping[str, Ref]) -> list[str]:
    known = {str(ref) for ref in refs.values()}
    return [
        f"{name} was made from {source}, which is not part of this run"
        for name, manifest in manifests.items()
        for source in manifest["made_from"].values()
        if source not in known
    ]


def _changed_catalogue(manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The metric catalogue is data, no module: its content stands in the settings of what was made with it."""
    used = {
        (manifest["settings"]["features"]["catalogue"], manifest["settings"]["catalogue_sha256"])
        for manifest in manifests.values()
        if "catalogue_sha256" in manifest["settings"]
    }
    paths = [(shipped_root() / "metrics" / f"{name}.yaml", digest) for name, digest in sorted(used)]
    return [f"the metric catalogue changed: {path}" for path, digest in paths if not path.is_file() or sha256_file(path) != digest]


def _changed_code(manifests: Mapping[str, Mapping[str, Any]], root: Path = PROJECT) -> list[str]:
    modules: dict[str, str] = {}
    for manifest in manifests.values():
        modules |= manifest["modules"]
    reasons = [f"the code changed: {path}" for path in Fingerprint(modules).changed(root)]
    versions: dict[str, str] = {}
    for manifest in manifests.values():
        versions |= manifest["versions"]
    now = library_versions() if versions else {}
    return reasons + [f"{name} was {was}, and is {now.get(name)}" for name, was in versions.items() if now.get(name) != was]
