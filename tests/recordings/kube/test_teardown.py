"""A recording whose cluster does not answer when it is to be taken down: what is left there can be found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.app.config import DemoShop
from tasks.base.errors import CredentialsError, LeftBehindError
from tasks.base.progress import silent
from tasks.cluster.config import KubeconfigCluster
from tasks.cluster.kube.provider import KubeProvider
from tasks.cluster.provider import Leftover
from tasks.load.config import LoadConfig
from tasks.recordings import recorder
from tasks.recordings.config import RecordingEntry
from tasks.recordings.kube.noted import Noted
from tasks.recordings.recorder import Recorder
from tasks.recordings.settings import RecordingSettings
from tasks.telemetry.config import TelemetryConfig

CLUSTER = KubeconfigCluster(provider="kubeconfig", namespace="shop")
ENDED = CredentialsError("the login is not valid any more", next_step="log in")


@dataclass
class Shop:
    """A deployment without faults, of which *down* is all that can go wrong."""

    error: CredentialsError | None

    @property
    def injector(self) -> Shop:
        """Itself."""
        return self

    def revert_all(self) -> None:
        """No fault is active."""

    def facts(self) -> dict[str, Any]:
        """None."""
        return {}

    def keep_outputs(self, folder: Path) -> None:
        """It has said nothing."""

    def down(self) -> Sequence[Leftover]:
        """As long as somebody is let in."""
        if self.error is not None:
            raise self.error
        return ()


@dataclass
class OnePlace:
    """Where it is deployed; a note says so."""

    shop: Shop

    def deploy(self, app: Any, state_dir: Path, **_: Any) -> Shop:
        """At once."""
        state_dir.mkdir(exist_ok=True)
        Noted("training-1", CLUSTER, ("shop",), str(state_dir), "run-1", DemoShop(), False, None).write(state_dir)
        return self.shop


@pytest.mark.parametrize("error", [None, ENDED])
def test_the_note_goes_with_the_last_object_and_not_before(error, tmp_path, monkeypatch):
    """Without a login nothing could be removed: ``down`` finds it by the note once somebody has logged in."""
    monkeypatch.setattr(recorder, "place_of", lambda *_: OnePlace(Shop(error)))
    entry = RecordingEntry(name="training", role="training", duration_s=60)
    settings = RecordingSettings(
        cluster=CLUSTER,
        app=DemoShop(),
        load=LoadConfig(users={"shape": "constant", "users": 1}),
        telemetry=TelemetryConfig(),
        entry=entry,
        faults=None,
        seed=1,
    )
    state = tmp_path / "state"
    state.mkdir()
    made = Recorder(settings, tmp_path, state, silent, tmp_path)

    if error is None:
        with made._deployment(settings.resolved_app()):
            pass
        assert not state.exists()
        return
    with pytest.raises(CredentialsError, match="log in; then `tidegauge down --all`"), made._deployment(settings.resolved_app()):
        pass
    assert Noted.read(state) is not None


def test_a_start_that_cannot_be_undone_says_that_something_is_left(monkeypatch):
    """Its folder is kept for that error alone."""

    def down(_: KubeProvider) -> tuple[Leftover, ...]:
        raise ENDED

    monkeypatch.setattr(KubeProvider, "down", down)
    with pytest.raises(LeftBehindError, match="may still be there: the login is not valid any more"):
        KubeProvider(None, None).undo()
