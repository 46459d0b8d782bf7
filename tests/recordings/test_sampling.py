"""Starting what a document names as its source: a server that cannot hold the plan is refused, its targets are told and taken back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tasks.base.clock import SystemClock
from tasks.base.errors import PreflightError
from tasks.recordings.sampling import file_sd_group, require_server, sampling, told_to
from tasks.telemetry.config import PrometheusSource, TelemetryConfig
from tasks.telemetry.runner import Collector
from tasks.telemetry.samples import read_series
from tasks.telemetry.targets import Target
from tests.prometheus.cutting_proxy import Answer, CuttingProxy, always, api_success, by_path
from tests.prometheus.servers import Prometheus
from tests.telemetry.exporters import ok, serving

TARGETS = (Target("orders", "service", "http://127.0.0.1:8080/metrics"), Target("node", "node", "http://127.0.0.1:9100/some/page"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real server that keeps an hour."""
    with Prometheus(tmp_path_factory.mktemp("server"), flags=("--storage.tsdb.retention.time=1h",)) as started:
        yield started


def source(url: str, **more) -> PrometheusSource:
    return PrometheusSource(kind="prometheus", url=url, **more)


def test_a_server_that_keeps_long_enough_is_taken(server):
    """Also at the edge."""
    require_server(source(server.url), 3600)


def test_a_server_that_keeps_too_little_is_refused(server):
    """With both lengths and the flag to set."""
    with pytest.raises(PreflightError, match=r"keeps 1 hours, and 2\.0 are planned") as refused:
        require_server(source(server.url), 7200)

    assert "retention" in str(refused.value.next_step)


def test_a_server_of_another_time_is_refused(server):
    """Faults could not be laid over its samples."""
    with (
        CuttingProxy(
            server.port, by_path({"/api/v1/query?query=time": api_success({"resultType": "scalar", "result": [0, str(time.time() + 60)]})})
        ) as proxy,
        pytest.raises(PreflightError, match=r"\+(59|60)\.\d s off"),
    ):
        require_server(source(proxy.url), 60)


def test_nobody_and_something_else_are_refused():
    """Before anything is started."""
    with CuttingProxy(1, always(Answer(200, b"<html>"))) as other, pytest.raises(PreflightError, match="is no Prometheus"):
        require_server(source(other.url), 60)
    with pytest.raises(PreflightError, match="no Prometheus answers"):
        require_server(source(other.url), 60)


# -- targets ----------------------------------------------------------------------------------------------------------------


def test_a_target_is_told_as_the_server_wants_it():
    """Its address, page and interval; whom it is about."""
    assert file_sd_group(TARGETS[1], 0.5) == {
        "targets": ["127.0.0.1:9100"],
        "labels": {
            "__scheme__": "http",
            "__metrics_path__": "/some/page",
            "__scrape_interval__": "500ms",
            "__scrape_timeout__": "500ms",
            "tidegauge_service": "node",
            "tidegauge_role": "node",
        },
    }


def test_targets_are_there_for_the_time_of_the_recording(tmp_path):
    """Written whole, removed after, also when it fails."""
    path = tmp_path / "targets.json"
    wanted = source("http://127.0.0.1:9", file_sd=str(path))
    with told_to(wanted, TARGETS):
        groups = json.loads(path.read_text())
    assert [group["targets"] for group in groups] == [["127.0.0.1:8080"], ["127.0.0.1:9100"]]
    assert not path.exists()
    with pytest.raises(KeyError), told_to(wanted, TARGETS):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_without_a_file_nothing_is_told():
    """The server finds its targets itself."""
    with told_to(source("http://127.0.0.1:9"), TARGETS):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """With the command that makes it."""
    with (
        pytest.raises(PreflightError, match="there is no folder") as refused,
        told_to(source("http://127.0.0.1:9", file_sd=str(tmp_path / "a" / "b.json")), TARGETS),
    ):
        pytest.fail("it was taken")

    assert refused.value.next_step == f"mkdir -p {tmp_path / 'a'}"


@pytest.mark.parametrize(
    "content",
    ['[{"targets": ["10.0.0.1:80"]}]', '[{"targets": ["10.0.0.1:80"], "labels": {"job": "x"}}]', '{"a": 1}', "- targets: [x]\n", "[1]"],
)
def test_somebody_elses_targets_are_not_written_over(tmp_path, content):
    """They would be gone after the recording."""
    path = tmp_path / "targets.json"
    path.write_text(content)
    with pytest.raises(PreflightError, match="somebody else"), told_to(source("http://127.0.0.1:9", file_sd=str(path)), TARGETS):
        pytest.fail("it was taken")

    assert path.read_text() == content


@pytest.mark.parametrize("content", ["", "[]", json.dumps([file_sd_group(TARGETS[0], 1.0)])])
def test_an_empty_file_and_one_that_a_killed_run_left_are_taken(tmp_path, content):
    """Nobody else needs them."""
    path = tmp_path / "targets.json"
    path.write_text(content)
    with told_to(source("http://127.0.0.1:9", file_sd=str(path)), TARGETS):
        assert len(json.loads(path.read_text())) == 2
    assert not path.exists()


# -- both sources -------------------------------------------------------------------------------------------------------------


def started(telemetry: TelemetryConfig, targets: tuple[Target, ...], folder: Path) -> Collector:
    """The collector of a recording of nothing, after it was stopped."""
    with sampling(telemetry, targets, folder, planned_s=60, clock=SystemClock()) as collector:
        assert collector.status().chunk >= 1
        assert collector.process is not None
    assert collector.process is None
    return collector


def test_a_scraper_is_started_and_stopped(tmp_path):
    """It has written a chunk before the time inside begins."""
    with serving(ok("m 1\n")) as exporter:
        telemetry = TelemetryConfig.model_validate({"sources": [{"kind": "scrape", "interval_s": 0.2, "timeout_s": 0.2}], "flush_s": 0.2})
        started(telemetry, (Target("orders", "service", exporter.url),), tmp_path / "recording")

    assert {(one.name, one.service) for one in read_series(tmp_path / "recording")} >= {("m", "orders"), ("up", "orders")}


def test_a_server_is_told_and_read(tmp_path):
    """It scrapes what it is told to, under our names, and the reader brings that."""
    folder = tmp_path / "sd"
    folder.mkdir()
    jobs = {"scrape_configs": [{"job_name": "told", "file_sd_configs": [{"files": [str(folder / "*.json")], "refresh_interval": "1s"}]}]}
    with serving(ok("m 1\n")) as exporter, Told(tmp_path / "server", jobs) as server:
        telemetry = TelemetryConfig.model_validate(
            {
                "sources": [
                    {"kind": "prometheus", "url": server.url, "interval_s": 0.5, "settle_s": 0.2, "file_sd": str(folder / "shop.json")}
                ],
                "flush_s": 0.2,
            }
        )
        started(telemetry, (Target("orders", "service", exporter.url),), tmp_path / "recording")

    assert {(one.name, one.service, one.role) for one in read_series(tmp_path / "recording")} >= {
        ("m", "orders", "service"),
        ("up", "orders", "service"),
    }
    assert list(folder.iterdir()) == []


class Told(Prometheus):
    """A server with a configuration of its own."""

    def __init__(self, folder: Path, config: dict[str, object]) -> None:
        super().__init__(folder)
        self._told = config

    def _write_config(self) -> None:
        (self.folder / "prometheus.json").write_text(json.dumps(self._told))
