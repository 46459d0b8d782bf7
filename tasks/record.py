"""Stage *record*: one deployment of the app, from start to teardown. The only stage that touches anything outside the store."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from tasks.artifacts.jobs import Job, Partial
from tasks.artifacts.store import Artifact, Store
from tasks.base.files import read_json
from tasks.caching import stage
from tasks.recordings.config import RecordingEntry


def compute(job: Job, store: Store, folder: Path) -> tuple[str, ...]:
    """
    Fill *folder* with a recording; what there is of it is kept, marked incomplete, when it is stopped on the way.

    Raises:
        LockedError: Another run uses the shop of this store.
    """
    from tasks.artifacts.fingerprint import fingerprint
    from tasks.base.progress import current_report
    from tasks.recordings.deployment import state_folder
    from tasks.recordings.hold import shop_lock
    from tasks.recordings.recorder import Recorder
    from tasks.recordings.settings import RecordingSettings

    settings = RecordingSettings.of_key(job.settings)
    modules = dict(fingerprint(("tasks.recordings", "tasks.shop")).modules)
    with shop_lock(store.root, f"{job.stage} of run {job.run or 'without a record'}"):
        state_dir = state_folder(store.root, f"{settings.entry.name}-{secrets.token_hex(3)}")
        recorder = Recorder(settings, folder, state_dir, current_report(), store.root, job.run, modules=modules)
        try:
            facts = recorder.run()
        except BaseException as error:
            if recorder.kept:
                raise Partial(error) from error
            raise
    return tuple(facts["notes"])


def acceptance(entry: RecordingEntry) -> Callable[[Job, Artifact], str | None]:
    """Which recordings may be reused for *entry*: complete ones (or any, if it says so), no older than their store."""

    def refused(job: Job, artifact: Artifact) -> str | None:
        facts = read_json(artifact.file("recording.json"))
        if facts["status"] != "complete" and not entry.reuse_incomplete:
            return "the recording that is there is incomplete"
        if facts["begun"]["wall_s"] < job.open_store().created_s and not facts.get("imported"):
            return "the recording that is there is older than this store, and was not imported"
        return None

    return refused


def _refused(job: Job, artifact: Artifact) -> str | None:
    entry = RecordingEntry.model_validate_json(json.dumps(job.settings["entry"]))
    return acceptance(entry)(job, artifact)


record = stage("record", compute, _refused)
