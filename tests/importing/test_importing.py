"""``import prometheus`` from end to end: a real server, the real command, the store, and whatever goes wrong on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import tidegauge
from flows.cli import main
from flows.importing import NO_PREFECT
from flows.records import RunRecord
from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.recordings.label_file import ASSUMED
from tasks.telemetry.prometheus.export import FIRST_MS
from tests.flows.conftest import Outcome
from tests.prometheus.cutting_proxy import PASS, Answer, CuttingProxy, Delay, Stall, always
from tests.prometheus.history import START_MS, Course, differing, jittered, resets, write_blocks
from tests.prometheus.push import push, push_histograms
from tests.prometheus.recorded import FOREVER, arguments, command, fingerprint, held, serving, within
from tests.prometheus.servers import EACH_MAJOR, Prometheus

END_MS = START_MS + 3_600_000


def target(job: str, times: np.ndarray, down: Sequence[int] = ()) -> list[Course]:
    """A target that is scraped at *times*, in vain at the places *down*."""
    labels = {"job": job, "instance": f"{job}:80"}
    well = ~np.isin(np.arange(len(times)), down)
    about = {
        "up": well.astype(float),
        "scrape_samples_post_metric_relabeling": 2.0 * well,
        "scrape_duration_seconds": np.full(len(times), 0.01),
    }
    courses = [Course.of({"__name__": name, **labels}, times, values) for name, values in about.items()]
    counted = {"served_total": np.arange(len(times)) * 3.0, "queue_depth": np.arange(len(times)) % 17 / 4}
    return courses + [Course.of({"__name__": name, **labels}, times[well], values[well]) for name, values in counted.items()]


EVERY = np.arange(START_MS, END_MS + 1, 5000)
HOLED = EVERY[(EVERY <= START_MS + 600_000) | (EVERY >= START_MS + 700_000)]
WHOLE = [*target("orders", EVERY, down=range(50, 60)), *target("carts", EVERY)]
LONG_END_MS = START_MS + FIRST_MS + 3_600_000
LONG = target("orders", np.arange(START_MS, LONG_END_MS + 1, 15_000))


@pytest.fixture(scope="module", params=EACH_MAJOR)
def each(request, tmp_path_factory):
    """A server of each major version that scraped two targets for an hour without a hole."""
    with serving(tmp_path_factory.mktemp("server"), WHOLE, request.param) as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One such server."""
    with serving(tmp_path_factory.mktemp("server"), WHOLE) as started:
        yield started


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """One whose hours are more than one window."""
    with serving(tmp_path_factory.mktemp("server"), LONG) as started:
        yield started


@pytest.fixture(scope="module")
def holed(tmp_path_factory):
    """One that was away for 100 s."""
    with serving(tmp_path_factory.mktemp("server"), [*target("orders", HOLED), *target("carts", HOLED)]) as started:
        yield started


@pytest.fixture
def typed(capsys):
    """A command, in this process."""

    def run(*argv: str) -> Outcome:
        capsys.readouterr()
        code = main(argv)
        return Outcome(code, *capsys.readouterr())

    return run


def folders(root: Path) -> list[Path]:
    """The recordings in a store."""
    return sorted((root / "artifacts" / "recording").iterdir()) if (root / "artifacts" / "recording").is_dir() else []


# -- it works ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["auto", "range-json"])
def test_an_import_is_a_recording_and_a_run(each, typed, tmp_path, way):
    """Exit 0, one JSON object, every sample bit by bit, and all commands that read runs read this one."""
    root = tmp_path / "store"
    done = typed(*arguments(each.url, START_MS, END_MS, root, "--way", way, "--name", "shop", "--role", "calibration"))
    (folder,), run = folders(root), done.value["run"]
    shown = typed("runs", "show", run, "--gaps", "--json", "--store", str(root))
    verified = typed("runs", "verify", run, "--read-data", "--json", "--store", str(root))
    opened = tidegauge.open_run(run, root).recordings["shop"]

    assert (done.code, done.value["status"]) == (0, "complete")
    assert done.value["recordings"] == [
        {
            "id": folder.name,
            "name": "shop",
            "role": "calibration",
            "samples": sum(len(one.time_ms) for one in WHOLE),
            "series": 10,
            "gaps": 0,
            "degraded_s": None,
        }
    ]
    assert [(one["name"], one["outcome"], one["why"]) for one in done.value["stages"]] == [("record:shop", "ran", "not imported before")]
    assert differing(held(folder), WHOLE) == []
    assert (shown.code, verified.code) == (0, 0)
    certificate = json.loads((folder / "recording.json").read_text())["certificate"]
    assert certificate["fingerprint"] == fingerprint(folder)
    assert (certificate["scrapes_expected"], certificate["scrapes_found"], certificate["scrapes_failed"]) == (2 * 721, 2 * 721, 10)
    assert certificate["server"]["way"] == ("remote-read" if way == "auto" else way)
    depth = opened.samples("queue_depth", "carts")
    assert depth["value"].tolist() == (np.arange(721) % 17 / 4).tolist()
    assert opened.facts["status"] == "complete"
    assert list((root / "staging").iterdir()) == []


def test_the_same_import_again_is_found(server, typed, tmp_path):
    """Without asking for a sample; ``--refresh`` asks anew, and gives the same bytes."""
    root = tmp_path / "store"
    with CuttingProxy(server.port) as proxy:
        argv = arguments(proxy.url, START_MS, END_MS, root)
        first = typed(*argv)
        asked = proxy.requests
        again = typed(*argv)
        found = proxy.requests - asked
        anew = typed(*argv, "--refresh")

        assert (first.code, again.code, anew.code) == (0, 0, 0)
        assert (again.value["stages"][0]["outcome"], again.value["stages"][0]["why"]) == ("cached", "same server, window and selectors")
        assert found == 0
        assert (anew.value["stages"][0]["why"], proxy.requests > asked) == ("asked for anew", True)
    assert len({one.value["run"] for one in (first, again, anew)}) == 3
    assert {fingerprint(folder) for folder in folders(root)} == {fingerprint(folders(root)[0])}


def test_only_what_was_asked_for_is_there(server, typed, tmp_path):
    """Selectors, besides what gaps are found by; the label that names the service."""
    root = tmp_path / "store"
    done = typed(
        *arguments(
            server.url,
            START_MS,
            START_MS + 600_000,
            root,
            "--match",
            'queue_depth{job="carts"}',
            "--match",
            "served_total",
            "--service-label",
            "instance",
        )
    )
    (folder,) = folders(root)
    names = [(dict(labels)["__name__"], dict(labels)["job"]) for labels in held(folder)]

    assert done.code == 0
    assert sorted(one for one in names if not one[0].startswith(("up", "scrape_"))) == [
        ("queue_depth", "carts"),
        ("served_total", "carts"),
        ("served_total", "orders"),
    ]
    assert (
        differing(
            held(folder),
            [one for one in within(WHOLE, START_MS, START_MS + 600_000) if one.name != "queue_depth" or dict(one.labels)["job"] == "carts"],
        )
        == []
    )
    opened = tidegauge.open_run(done.value["run"], root).recordings["imported"]
    assert set(opened.series()["service"]) == {"orders:80", "carts:80"}


@pytest.mark.parametrize("text", ["{start}", "{start}.000", "2026-09-21T14:00:00Z", "2026-09-21T16:00:00+02:00"])
def test_a_moment_may_be_written_in_several_ways(server, typed, tmp_path, text):
    """Seconds or ISO 8601 with any zone."""
    argv = [
        "import",
        "prometheus",
        server.url,
        "--start",
        text.replace("{start}", str(START_MS // 1000)),
        "--end",
        str(START_MS // 1000 + 60),
        "--store",
        str(tmp_path / "store"),
        "--json",
    ]

    assert typed(*argv).code == 0
    assert json.loads((folders(tmp_path / "store")[0] / "recording.json").read_text())["start"] == "2026-09-21T14:00:00.000Z"


def test_a_moment_may_be_told_from_now_on(tmp_path, typed):
    """So many hours ago until now: what a server has just been given."""
    now_ms = int(time.time() * 1000)
    with Prometheus(tmp_path / "server") as fresh:
        push(
            fresh.url,
            [Course.of({"__name__": "up", "job": "a", "instance": "b"}, np.arange(now_ms - 3_000_000, now_ms, 5000), np.ones(600))],
        )
        done = typed("import", "prometheus", fresh.url, "--start", "1h", "--store", str(tmp_path / "store"), "--json")

    assert done.code == 8
    assert done.value["recordings"][0]["samples"] == 600


def test_labels_make_its_faults(holed, typed, tmp_path):
    """What somebody knows of the faults in it: a hole inside of one leaves the recording complete."""
    labels, root = tmp_path / "faults.csv", tmp_path / "store"
    labels.write_text(f"kind,target,start,end,intensity\nkill,prometheus,{START_MS / 1000 + 590},2026-09-21T14:12:00Z,1\n")
    without = typed(*arguments(holed.url, START_MS, END_MS, root, "--role", "faults"))
    done = typed(*arguments(holed.url, START_MS, END_MS, root, "--role", "faults", "--labels", str(labels)))
    (fault,) = done.value["faults"]
    folder = root / "artifacts" / "recording" / done.value["recordings"][0]["id"]

    assert (without.code, done.code, done.value["status"]) == (8, 0, "complete")
    assert (fault["kind"], fault["target"], fault["outcome"], fault["windows"]["requested"]) == (
        "kill",
        "prometheus",
        "impact",
        "2026-09-21T14:09:50.000Z",
    )
    assert json.loads((folder / "faults.json").read_text())[0]["note"] == ASSUMED
    assert (folder / "labels.csv").read_text().count("\n") == 2


# -- what is missing ----------------------------------------------------------------------------------------------------------


def test_a_hole_is_told_and_makes_it_incomplete(holed, typed, tmp_path):
    """Exit 8; the run is kept, and says where the hole is."""
    root = tmp_path / "store"
    done = typed(*arguments(holed.url, START_MS, END_MS, root))
    shown = typed("runs", "show", done.value["run"], "--gaps", "--json", "--store", str(root))

    assert (done.code, done.value["status"]) == (8, "incomplete")
    assert differing(held(folders(root)[0]), [*target("orders", HOLED), *target("carts", HOLED)]) == []
    assert json.loads((folders(root)[0] / "gaps.json").read_text())["gaps"] == [
        {
            "start": "2026-09-21T14:10:00.000Z",
            "end": "2026-09-21T14:11:40.000Z",
            "target": None,
            "role": None,
            "missing": 19,
            "cause": None,
        }
    ]
    assert "2026-09-21T14:11:40.000Z" in shown.out
    assert "--gaps" in typed("runs", "show", done.value["run"], "--store", str(root)).out


def test_samples_that_tell_of_no_scrape_are_noted(tmp_path, typed):
    """Backfilled ones: nobody can say where they have holes but by empty stretches."""
    courses = [*jittered(), *resets()]
    write_blocks(courses, tmp_path / "data")
    first, last = min(int(one.time_ms[0]) for one in courses), max(int(one.time_ms[-1]) for one in courses)
    with Prometheus(tmp_path, flags=FOREVER) as server:
        done = typed(*arguments(server.url, first, last, tmp_path / "store"))
    (folder,) = folders(tmp_path / "store")

    assert done.code == 8
    assert differing(held(folder), courses) == []
    assert any("no series `up`" in note for note in json.loads((folder / "recording.json").read_text())["notes"])


# -- what is refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--match", "up{"], "is not a selector"),
        (["--match", "{}"], "would select every series"),
        (["--header", "X-Y"], "is not NAME=VALUE"),
        (["--header", "Authorization=Bearer hunter2"], "carries a secret"),
        (["--header", "X-Api-Key=hunter2"], "carries a secret"),
        (["--header", "X-Api-Key: hunter2"], "'X-Api-Key' is not NAME=VALUE"),
        (["--header-env", "X-Api-Key"], "is not NAME=VARIABLE"),
        (["--header-env", "X-Api-Key=hunter2!"], "should be the name of a variable"),
        (["--header", "X-Y=a\r\nb"], "control character"),
        (["--name", "My Recording"], "lower-case letters"),
        (["--role", "testing"], "--role"),
        (["--way", "carrier-pigeon"], "--way"),
        (["--token-env", "A", "--token-file", "b"], "one is enough"),
        (["--cert-file", "a"], "belong together"),
        (["--labels", "/nonexistent.csv"], "cannot be read"),
        (["--colour", "blue"], "--colour"),
    ],
)
def test_a_wrong_command_is_refused_before_anything_is_asked(typed, tmp_path, more, why):
    """Exit 2, a sentence, no request, no run."""
    with CuttingProxy(1) as server:
        done = typed(*arguments(server.url, START_MS, END_MS, tmp_path / "store", *more))

        assert done.code == done.value["exit_code"] == 2
        assert why in done.value["error"]
        assert "hunter2" not in done.out + done.err
        assert server.connections == 0
    assert not list((tmp_path / "store").glob("runs/*"))


@pytest.mark.parametrize("url", ["127.0.0.1:9090", "ftp://127.0.0.1", "http://u:hunter2@127.0.0.1:9", "http://169.254.169.254"])
def test_a_wrong_address_is_refused(typed, tmp_path, url):
    """And what may be secret in it is not repeated."""
    done = typed(*arguments(url, START_MS, END_MS, tmp_path / "store"))

    assert done.code == 2
    assert "hunter2" not in done.out + done.err


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("noon", "now"),
        ("2026-09-21", "now"),
        ("2026-09-21T14:00:00", "now"),
        ("1h", "2h"),
        ("5", "5"),
        ("1h", "2100-01-01T00:00:00Z"),
        ("infs", "now"),
        ("nand", "now"),
        ("9999999999d", "now"),
        ("1790000000000", "now"),
        ("h", "now"),
        ("", "now"),
    ],
)
def test_a_span_that_is_none_is_refused(typed, tmp_path, start, end):
    """No zone, backwards, empty, in the future, no time at all."""
    done = typed("import", "prometheus", "http://127.0.0.1:9", "--start", start, "--end", end, "--store", str(tmp_path / "store"), "--json")

    assert done.code == 2, done
    assert done.value["next"]


def test_a_wrong_label_is_told_before_anything_is_asked(typed, tmp_path):
    """With file and line; every one of them."""
    labels = tmp_path / "faults.csv"
    labels.write_text(f"kind,target,start,end\ncpu,orders,noon,1\ncpu,,{START_MS / 1000},{END_MS / 1000}\n")
    with CuttingProxy(1) as server:
        done = typed(*arguments(server.url, START_MS, END_MS, tmp_path / "store", "--labels", str(labels)))

        assert done.code == 2
        assert [line.partition(": ")[0] for line in done.value["error"].splitlines()] == [f"{labels}:2", f"{labels}:3"]
        assert server.connections == 0


@pytest.mark.parametrize("clock", ["server", "client"])
@pytest.mark.parametrize("place", ["missing.csv", "."])
def test_a_label_file_that_cannot_be_read_is_told_before_anything_is_asked(typed, tmp_path, clock, place):
    """There is none, or it is a folder."""
    with CuttingProxy(1) as server:
        more = ("--labels", str(tmp_path / place), "--labels-clock", clock)
        done = typed(*arguments(server.url, START_MS, END_MS, tmp_path / "store", *more))

        assert done.code == 2
        assert f"{tmp_path / place} cannot be read: " in done.value["error"]
        assert server.connections == 0


def test_nobody_there_is_told(typed, tmp_path):
    """Exit 3; the run is kept as failed."""
    with CuttingProxy(1) as gone:
        url = gone.url
    done = typed(*arguments(url, START_MS, END_MS, tmp_path / "store"))
    listed = typed("runs", "list", "--json", "--store", str(tmp_path / "store"))

    assert done.code == 3
    assert done.value["error"] == f"no Prometheus answers: {url}: Connection refused"
    assert f"see that {url} is its address" in done.value["next"]
    assert "failed" in listed.out
    assert folders(tmp_path / "store") == []


def test_a_metric_that_nobody_has_is_told(server, typed, tmp_path):
    """Exit 3, by its name; there is no recording of it, and the samples that did come are kept for the mended command's sake no more."""
    done = typed(*arguments(server.url, START_MS, END_MS, tmp_path / "store", "--match", "queue_dept", "--match", "served_total"))

    assert done.code == 3
    assert "has no sample for queue_dept in that time" in done.value["error"]
    assert folders(tmp_path / "store") == list((tmp_path / "store" / "staging").iterdir()) == []


@pytest.mark.parametrize("way", ["auto", "range-json"])
def test_an_expression_that_the_server_cannot_read_is_told_at_once(each, typed, tmp_path, way):
    """By remote read a server calls it a failure of its own, which would be tried again for minutes; nothing of the try is left."""
    root, odd = tmp_path / "store", 'up{job=~"("}'
    done = typed(*arguments(each.url, START_MS, END_MS, root, "--way", way, "--match", "up", "--match", odd))

    assert (done.code, done.value["next"]) == (3, "mend the selector")
    assert done.value["error"].startswith(f"{each.url} cannot read {odd}: ")
    assert "missing closing )" in done.value["error"]
    assert folders(root) == list((root / "staging").iterdir()) == []


def test_a_metric_that_is_a_native_histogram_is_told(tmp_path, typed):
    """It is there, and yet nothing of it is kept: the next step says why."""
    with Prometheus(tmp_path, flags=(*FOREVER, "--enable-feature=native-histograms")) as server:
        push(server.url, target("orders", EVERY))
        push_histograms(server.url, {"__name__": "rpc_seconds"}, EVERY[:30].tolist())
        done = typed(*arguments(server.url, START_MS, END_MS, tmp_path / "store", "--match", "rpc_seconds"))

    assert (done.code, done.value["error"]) == (3, f"{server.url} has no sample for rpc_seconds in that time")
    assert done.value["next"].startswith("native histograms are not kept (rpc_seconds)")


def test_a_metric_that_was_there_at_another_time_is_told(tmp_path, typed):
    """A server names a series whose chunk reaches into the window, though no sample does."""
    at = START_MS + np.array([0, 5000, 900_000, 905_000])
    courses = [Course.of({"__name__": "early"}, at, np.arange(4)), *target("orders", EVERY)]
    write_blocks(courses, tmp_path / "data")
    with Prometheus(tmp_path, flags=FOREVER) as server:
        done = typed(*arguments(server.url, START_MS + 100_000, START_MS + 700_000, tmp_path / "store", "--match", "early"))

    assert done.code == 3
    assert "has no sample for early in that time" in done.value["error"]


def test_a_server_that_wants_a_token_gets_it_and_nobody_else_does(server, typed, tmp_path, monkeypatch):
    """Exit 4 without; with it all goes well, and it stands nowhere in the store."""
    monkeypatch.setenv("TOKEN_OF_A_TEST", "hunter2")

    def plan(seen):
        return PASS if ("Authorization", "Bearer hunter2") in seen.headers else Answer(401, b"who are you?")

    with CuttingProxy(server.port, plan) as proxy:
        argv = arguments(proxy.url, START_MS, START_MS + 60_000, tmp_path / "store")
        without, done = typed(*argv), typed(*argv, "--token-env", "TOKEN_OF_A_TEST")

    assert (without.code, done.code) == (4, 0)
    stored = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert len(stored) > 5
    assert not [path for path in stored if b"hunter2" in path.read_bytes()]


def test_a_header_that_is_secret_is_sent_and_stands_nowhere(server, typed, tmp_path, monkeypatch):
    """Its variable is named; its value goes to the server with each request, and into no file, message or answer."""
    monkeypatch.setenv("KEY_OF_A_TEST", "hunter2")

    def plan(seen):
        return PASS if ("X-Api-Key", "hunter2") in seen.headers else Answer(401, b"who are you?")

    with CuttingProxy(server.port, plan) as proxy:
        argv = arguments(proxy.url, START_MS, START_MS + 60_000, tmp_path / "store")
        without, done = typed(*argv), typed(*argv, "--header-env", "X-Api-Key=KEY_OF_A_TEST")
        monkeypatch.delenv("KEY_OF_A_TEST")
        gone = typed(*argv, "--header-env", "X-Api-Key=KEY_OF_A_TEST", "--refresh")

    assert (without.code, done.code, gone.code) == (4, 0, 4)
    assert "KEY_OF_A_TEST holds no value for the header X-Api-Key" in gone.value["error"]
    stored = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert len(stored) > 5
    assert not [path for path in stored if b"hunter2" in path.read_bytes()]
    assert "hunter2" not in done.out + done.err + gone.out + gone.err
    assert "KEY_OF_A_TEST" in (folders(tmp_path / "store")[0] / "recording.json").read_text()


# -- stopped on the way ---------------------------------------------------------------------------------------------------------


def until(condition, what: str) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s, f"not {what} in time"
        time.sleep(0.01)


def chunks(root: Path) -> int:
    """How many windows are there already."""
    return len(list(root.glob("staging/import-*/samples/0*.parquet")))


@pytest.mark.parametrize(("act", "signum"), [(Delay(0.2), signal.SIGINT), (Stall(0), signal.SIGTERM)], ids=["slow", "stalled"])
def test_what_was_stopped_goes_on_where_it_stopped(long, typed, tmp_path, act, signum):
    """At once, though the server is slow or silent; the message says how to go on, and the table is that of an import in one go."""
    root = tmp_path / "store"
    with CuttingProxy(long.port) as proxy:
        begun = [0]

        def plan(seen):
            begun[0] += seen.path.startswith("/api/v1/read")
            return act if begun[0] > 3 else PASS

        proxy.plan = plan
        child = subprocess.Popen(command(proxy.url, START_MS, LONG_END_MS, root), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda: chunks(root) >= 1 and begun[0] > 3, "in the middle")
        child.send_signal(signum)
        out, err = child.communicate(timeout=20)
        stopped = json.loads(out)
        finished, asked = chunks(root), proxy.requests
        proxy.plan = always(PASS)
        done = typed(*arguments(proxy.url, START_MS, LONG_END_MS, root))
        asked_anew = proxy.requests - asked

    assert child.returncode == stopped["exit_code"] == 128 + signum, err
    assert (
        stopped["next"] == "the same command with --start 2026-09-21T14:00:00.000Z --end 2026-09-21T21:00:00.000Z goes on where it stopped"
    )
    assert "Traceback" not in err
    assert finished >= 1
    assert done.code == 0
    assert "going on from 2026-09-21T19:" in done.err
    assert differing(held(folders(root)[0]), LONG) == []
    certificate = json.loads((folders(root)[0] / "recording.json").read_text())["certificate"]
    assert certificate["fingerprint"] == fingerprint(folders(root)[0])
    assert asked_anew < certificate["server"]["requests"] <= asked + asked_anew
    assert sorted(path.name for path in folders(root)[0].glob("*.json")) == [
        "degraded.json",
        "faults.json",
        "gaps.json",
        "manifest.json",
        "recording.json",
    ]
    assert "cancelled" in typed("runs", "list", "--json", "--store", str(root)).out


def test_an_import_that_was_killed_is_told_by_the_next(server, typed, tmp_path):
    """It could not close its own record; another kind of run is left alone."""
    root = tmp_path / "store"
    with CuttingProxy(server.port, always(Stall(0))) as proxy:
        child = subprocess.Popen(command(proxy.url, START_MS, END_MS, root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: proxy.requests > 0, "in the middle")
        child.kill()
        child.wait()
    (killed,) = (json.loads(path.read_text()) for path in root.glob("runs/*.json"))
    other = RunRecord.begin(Store(root), name="other", document={}, profile="", extent="record", parent=None, prefect=NO_PREFECT)
    other.body["process"] = killed["process"]
    other.write()
    done = typed(*arguments(server.url, START_MS, END_MS, root))
    after = {record["run"]: record["status"] for record in map(Runs(Store(root)).read, Runs(Store(root)).ids())}

    assert killed["status"] == "running"
    assert done.code == 0
    assert f"run {killed['run']} is marked failed: its process ended without a word" in done.err
    assert after == {killed["run"]: "failed", other.run: "running", done.value["run"]: "complete"}


def test_what_is_left_of_a_stopped_import_and_damaged_is_not_used(long, typed, tmp_path):
    """Exit 6, with what to remove; then the same command begins anew."""
    root = tmp_path / "store"
    with CuttingProxy(long.port) as proxy:
        argv = arguments(proxy.url, START_MS, LONG_END_MS, root)
        begun = [0]

        def plan(seen):
            begun[0] += seen.path.startswith("/api/v1/read")
            return Answer(401) if begun[0] > 3 else PASS

        proxy.plan = plan
        assert typed(*argv).code == 4
        (path,) = root.glob("staging/import-*/samples/000001.parquet")
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 3] ^= 1
        path.write_bytes(raw)
        proxy.plan = always(PASS)
        damaged = typed(*argv)
        folder = path.parent.parent
        assert (damaged.code, damaged.value["next"]) == (6, f"rm -r {folder}, then run the same command again: it begins anew")
        subprocess.run(["rm", "-r", str(folder)], check=True)
        done = typed(*argv)

    assert done.code == 0
    assert differing(held(folders(root)[0]), LONG) == []


def test_two_at_once_do_not_disturb_each_other(server, typed, tmp_path):
    """The second one is told that it is under way: exit 7."""
    root = tmp_path / "store"
    with CuttingProxy(server.port) as proxy:
        begun = [0]

        def plan(seen):
            reads = seen.path.startswith("/api/v1/read")
            begun[0] += reads
            return Stall(0) if reads and begun[0] == 2 else PASS

        proxy.plan = plan
        child = subprocess.Popen(command(proxy.url, START_MS, END_MS, root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: begun[0] == 2, "in the middle")
            second = typed(*arguments(proxy.url, START_MS, END_MS, root))
        finally:
            child.kill()
            child.wait()

    assert second.code == 7
    assert "another process" in second.value["error"]


# -- lightness -------------------------------------------------------------------------------------------------------------------


def test_it_needs_neither_prefect_nor_pandas_nor_scikit_learn(server, tmp_path):
    """An import is as light as what it does, from the command line to the committed recording."""
    code = (
        "import sys; from flows.cli import main; code = main(sys.argv[1:]);"
        "heavy = 'prefect', 'sklearn', 'pandas', 'scipy', 'httpx', 'matplotlib', 'numpy.ma', 'stamina', 'pydantic', 'flows.commands.running';"
        "print(code, [name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    argv = arguments(server.url, START_MS, END_MS, tmp_path / "store")
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )

    assert done.stderr.splitlines()[-1] == "0 []"
    assert Store(tmp_path / "store").problems(Ref("recording", json.loads(done.stdout)["recordings"][0]["id"])) == ()


def test_what_was_imported_is_not_looked_through_again_and_no_thread_waits_for_matrices(server, tmp_path):
    """Once the modules are there the collector leaves them alone; and numpy has no threads, of which each would be busy with waiting."""
    code = (
        "import gc, sys, threading\nfrom pathlib import Path\nfrom flows.cli import main\ncode = main(sys.argv[1:])\n"
        "for thread in threading.enumerate()[1:]:\n    thread.join(10)\n"
        "names = [path.read_text() for path in Path('/proc/self/task').glob('*/comm')]\n"
        "print(code, gc.get_freeze_count() > 10_000, sum('jemalloc' not in name for name in names), file=sys.stderr)"  # Arrow's allocator
    )
    argv = arguments(server.url, START_MS, END_MS, tmp_path / "store")
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )

    assert done.stderr.splitlines()[-1] == "0 True 1"
