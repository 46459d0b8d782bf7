"""What is watched beside a Prometheus comes into the same chunks, once, and only where the server does not tell it itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tasks.telemetry.certificate_text import sentences
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.kube.beside import FOLDER, Beside
from tasks.telemetry.prometheus.batch import Labels
from tasks.telemetry.prometheus.certified import certified
from tasks.telemetry.prometheus.tally import Tally
from tasks.telemetry.prometheus.writer import WindowWriter, counted
from tasks.telemetry.samples import read_samples, read_series
from tests.telemetry.prometheus.made_up import T0, batch, labels_of

READY, PODS = "kube_pod_status_ready", "replica_pods_total"
Told = dict[tuple[str, str, str], list[tuple[int, float]]]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[ChunkWriter]:
    """The writer of the watching process."""
    writer = ChunkWriter(tmp_path / FOLDER)
    yield writer
    writer.close()


def look(watch: ChunkWriter, second: int, *, ready: float = 1.0) -> None:
    """One look at how ``front`` is, safe on disk."""
    place = {"job": "state", "replica": "0"}
    numbers = [watch.table.number("container", "front", name, place) for name in (READY, PODS)]
    numbers.append(watch.table.number("harness", "kubernetes", "up", place))
    watch.add(T0 + 1000 * second, numbers, [ready, 1.0, 1.0])
    watch.flush()


def asked(writer: WindowWriter, second: int, courses: Mapping[Labels, Mapping[int, float]]) -> None:
    """One window of what the server has, up to that second."""
    writer.write([[batch(courses)]], T0 + 1000 * second)


def served(second: int, name: str = "m") -> dict[Labels, dict[int, float]]:
    """What the server has then."""
    return {labels_of(name, job="a", instance="b"): {T0 + 1000 * second: 7.0}}


def recording(folder: Path) -> Told:
    """Seconds and values by role, service and name."""
    series, samples = read_series(folder), read_samples(folder)
    found: Told = {}
    for one in series:
        mine = samples.series == one.id
        pairs = zip(((samples.time_ms[mine] - T0) // 1000).tolist(), samples.value[mine].tolist(), strict=True)
        found.setdefault((one.role, one.service, one.name), []).extend(pairs)
    return {key: values for key, values in found.items() if values}


def begun(folder: Path) -> WindowWriter:
    """The reader's writer, as each of its starts makes it."""
    return WindowWriter(folder, beside=Beside(folder / FOLDER))


def test_what_was_watched_comes_with_the_servers_samples(watch, tmp_path):
    """Under the names, services and roles that it has in a recording without a Prometheus."""
    writer = begun(tmp_path)
    look(watch, 1)
    asked(writer, 2, served(2))
    look(watch, 3, ready=0.0)
    asked(writer, 4, served(4))
    writer.close()

    assert recording(tmp_path) == {
        ("service", "a", "m"): [(2, 7.0), (4, 7.0)],
        ("container", "front", READY): [(1, 1.0), (3, 0.0)],
        ("container", "front", PODS): [(1, 1.0), (3, 1.0)],
        ("harness", "kubernetes", "up"): [(1, 1.0), (3, 1.0)],
    }
    assert {one.labels.get("replica") for one in read_series(tmp_path) if one.service == "front"} == {"0"}


def test_a_server_that_tells_nothing_is_not_covered_up(watch, tmp_path):
    """Before its first sample nothing is written: whoever waits for it must see that it gives nothing. Then all of it is made up for."""
    writer = begun(tmp_path)
    look(watch, 1)
    writer.write((), T0 + 2000)
    before = writer.chunk
    asked(writer, 3, served(3))
    look(watch, 4)
    writer.write((), T0 + 5000)
    writer.close()

    assert before == 0
    assert recording(tmp_path)["container", "front", READY] == [(1, 1.0), (4, 1.0)]


def test_a_reader_that_is_killed_takes_nothing_twice(watch, tmp_path):
    """Wherever it stood: what the chunks have is known by them."""
    first = begun(tmp_path)
    look(watch, 1)
    asked(first, 2, served(2))
    first.close()
    look(watch, 3)
    second = begun(tmp_path)
    asked(second, 4, served(4))
    second.close()

    assert recording(tmp_path)["container", "front", READY] == [(1, 1.0), (3, 1.0)]
    assert counted(tmp_path).duplicates == 0


def test_a_window_that_fails_loses_nothing(watch, tmp_path):
    """Its chunk is not there, and the next one has what was watched."""

    def broken() -> Iterator[object]:
        raise ConnectionError
        yield

    writer = begun(tmp_path)
    look(watch, 1)
    asked(writer, 2, served(2))
    look(watch, 3)
    with pytest.raises(ConnectionError):
        writer.write([broken()], T0 + 4000)
    asked(writer, 5, served(5))
    writer.close()

    assert recording(tmp_path)["container", "front", READY] == [(1, 1.0), (3, 1.0)]


def test_a_name_that_the_server_tells_is_left_to_it(watch, tmp_path):
    """It has kube-state-metrics: two tellers would count restarts twice. What only we know goes on, and the facts name what does not."""
    beside = Beside(tmp_path / FOLDER)
    writer = WindowWriter(tmp_path, beside=beside)
    look(watch, 1)
    asked(writer, 2, served(2, READY))
    look(watch, 3)
    asked(writer, 4, served(4))
    facts = beside.facts(writer.tally)
    writer.close()

    told = recording(tmp_path)
    assert ("container", "front", READY) not in told
    assert told["container", "front", PODS] == [(1, 1.0), (3, 1.0)]
    assert facts == {
        "by": "watches of the API server",
        "series": 2,
        "samples": 4,
        "left_to_the_server": [READY],
        "requests": 0,
        "unknown_ticks": 0,
        "not_allowed": [],
    }


def test_a_name_that_the_server_begins_to_tell_ends_ours(watch, tmp_path):
    """Its exporter may be scraped later than the first look."""
    writer = begun(tmp_path)
    look(watch, 1)
    asked(writer, 2, served(2))
    asked(writer, 3, served(3, READY))
    look(watch, 4)
    asked(writer, 5, served(5))
    writer.close()

    assert [second for key, values in recording(tmp_path).items() if key[2] == READY for second, _ in values] == [1, 3]


def test_a_replica_that_is_gone_is_no_loss(watch, tmp_path):
    """Nobody can say how often its state should have been told; the looks themselves are a target, whose absence is a gap."""
    writer = begun(tmp_path)
    for second in (1, 2, 5, 6):
        look(watch, second)
    watch.add(T0 + 7000, [watch.table.number("harness", "kubernetes", "up", {"job": "state", "replica": "0"})], [1.0])
    watch.flush()
    asked(writer, 7, served(7))
    writer.close()

    found = certified(counted(tmp_path), span=((T0 / 1000) + 1, (T0 / 1000) + 7), server=None)
    assert found.samples_found == found.samples_expected
    assert [(gap.target, gap.missing) for gap in found.gaps] == [(None, 2)]


def test_the_certificate_says_who_told_what():
    """Beside what the server told of itself: what did not come from it."""
    tally = Tally(table=None)  # type: ignore[arg-type] -- of nothing
    watched = {**Beside(Path("none")).facts(tally), "series": 12, "samples": 340, "left_to_the_server": [READY], "not_allowed": ["events"]}
    server = {
        "server": "http://a:1",
        "version": "3.1.0",
        "way": "remote-read",
        "why": "it has it",
        "retention_s": None,
        "clock_offset_s": 0.0,
    }
    told = {**SAID, "server": {**server, "clock_error_s": 0.0, "retries": 0, "halved": 0, "warnings": {}, "watched": watched}}

    assert sentences(told)[-2:] == (
        "340 samples of 12 series by watches of the API server, not from the Prometheus; left to it: kube_pod_status_ready",
        "the watches may not see events",
    )


SAID = {
    **dict.fromkeys(("samples", "series", "targets", "samples_found", "samples_expected", "scrapes_found", "scrapes_expected"), 1),
    **dict.fromkeys(("scrapes_failed", "counter_resets", "duplicates", "out_of_order", "non_finite"), 0),
}
