"""``evaluate`` with nothing changed: answered at once from the record, and never when anything is not as it was."""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tests.conftest import ROOT
from tests.flows.conftest import latest

HEAVY = ("prefect", "sklearn", "pandas", "kubernetes", "pydantic", "numpy", "pyarrow", "scipy", "matplotlib")


def snapshot(root: Path) -> dict[str, int]:
    """When each file of a store was written."""
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*")}


def flip(path: Path) -> None:
    """Turn one bit of the middle byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def largest(store: Store, ref: str) -> Path:
    """The largest data file of an artifact."""
    files = store.open(Ref.parse(ref)).manifest["files"]
    return store.folder(Ref.parse(ref)) / max(files, key=lambda name: files[name]["bytes"])


def test_the_answer_is_the_same_and_nothing_is_written(tidegauge, store):
    """The same numbers with every stage cached, the run's exit code, no new record, no flow run, no file touched."""
    before, record = snapshot(store.root), latest(store)

    done = tidegauge("evaluate", "--run", "latest", "--json", "-v", store=store)

    assert done.code == record["exit_code"] == 0, done.err
    assert {name: done.value[name] for name in ("run", "detectors", "ranking", "faults")} == {
        name: record[name] for name in ("run", "detectors", "ranking", "faults")
    }
    assert {stage["outcome"] for stage in done.value["stages"]} == {"cached"}
    assert "no flow run was made" in done.err
    assert snapshot(store.root) == before
    assert not list(store.root.glob("prefect/*"))


@pytest.mark.parametrize(("status", "code"), [("incomplete", 8), ("complete", 9)])
def test_the_exit_code_is_the_runs(tidegauge, store, status, code):
    """A run that ended with 8 or 9 says so again."""
    Runs(store).write({**latest(store), "status": status, "exit_code": code})

    assert tidegauge("evaluate", "--run", "latest", store=store).code == code


def test_nothing_heavy_is_imported(store, clean):
    """No Prefect, scikit-learn, pandas, Kubernetes, not even the document's models."""
    program = (
        "import sys\nfrom flows.cli import main\n"
        f"code = main(['evaluate', '--run', 'latest', '--store', {str(store.root)!r}])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\nsys.exit(code)"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=clean, capture_output=True, text=True, check=True, timeout=60)

    assert done.stderr.splitlines()[-1] == "[]"
    assert "robust_z" in done.stdout


def test_the_answer_costs_little_more_than_the_command_line(store, clean):
    """Processor time, so that a busy machine does not matter: a small multiple of importing the command-line library alone."""
    answer = [sys.executable, "-m", "tidegauge", "evaluate", "--run", "latest", "--store", str(store.root)]
    library = [sys.executable, "-c", "import cyclopts"]
    cpu = {name: [cpu_seconds(argv, clean) for _ in range(5)] for name, argv in {"answer": answer, "library": library}.items()}

    assert statistics.median(cpu["answer"]) <= 3.5 * statistics.median(cpu["library"]), cpu


def cpu_seconds(argv: list[str], environment: dict[str, str]) -> float:
    """What a command costs the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("stage", ["evaluation", "report", "train:pca_spe", "score:robust_z", "featurize:faults", "ranking"])
def test_one_flipped_bit_of_what_was_computed_is_seen(store, stage):
    """It has to be computed again, and the reason names the file."""
    from flows.standing import standing

    record = latest(store)
    harmed = largest(store, record["artifacts"][stage])
    flip(harmed)

    found = standing(store, record)

    assert not found.stands
    assert str(harmed) in found.reasons[0]


def test_a_flipped_evaluation_is_computed_again(tidegauge, store, prefect_url):
    """The numbers are the ones that were there, in a new run with this one as parent, with the same recordings."""
    record = latest(store)
    flip(largest(store, record["artifacts"]["evaluation"]))

    done = tidegauge("evaluate", "--run", "latest", "--json", store=store, PREFECT_API_URL=prefect_url)

    assert done.code == 0, done.err
    assert "has to be computed again" in done.err
    assert done.value["parent"] == record["run"]
    assert {stage["name"] for stage in done.value["stages"] if stage["outcome"] == "ran"} == {"evaluate"}
    assert (done.value["detectors"], done.value["recordings"]) == (record["detectors"], record["recordings"])
    assert tidegauge("evaluate", "--run", "latest", "-v", store=store).err.count("no flow run was made") == 1


@pytest.mark.parametrize("option", [[], ["--refresh", "evaluate"]])
def test_nothing_is_computed_from_a_damaged_recording(tidegauge, store, prefect_url, option):
    """Refused with exit code 6 and the command that records it anew; no new evaluation appears."""
    record = latest(store)
    flip(largest(store, record["artifacts"]["record:faults"]))

    done = tidegauge("evaluate", "--run", "latest", *option, store=store, PREFECT_API_URL=prefect_url)

    assert done.code == 6, done.err
    assert "recording faults is damaged" in done.err
    assert "--refresh recording:faults" in done.err
    assert latest(store)["run"] == record["run"]


def test_a_changed_module_is_seen(store, clean, tmp_path):
    """The same store with a program that differs by one comment in one module: computed again, naming the module."""
    checkout = tmp_path / "checkout"
    for name in ("flows", "tasks", "tidegauge", "configs"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", checkout)
    with (checkout / "tasks" / "evaluation" / "alarms.py").open("a") as module:
        module.write("# another program\n")
    program = (
        "from pathlib import Path\nfrom flows.standing import standing\nfrom tasks.artifacts.runs import Runs\n"
        "from tasks.artifacts.store import Store\nimport sys, json\n"
        "store = Store(Path(sys.argv[1]))\nprint(json.dumps(standing(store, Runs(store).read('latest')).reasons))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(store.root)],
        cwd=checkout,
        env={**clean, "PYTHONPATH": os.pathsep.join([str(checkout)])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert json.loads(done.stdout) == ["the code changed: tasks/evaluation/alarms.py"]


def test_a_replaced_input_is_seen(store):
    """A record whose recording is another one than its evaluation was made from does not stand."""
    from flows.standing import standing

    record = latest(store)
    artifacts = {**record["artifacts"], "record:calibration": record["artifacts"]["record:training"]}

    found = standing(store, {**record, "artifacts": artifacts})

    assert any("is not part of this run" in reason for reason in found.reasons)


def test_another_library_version_is_seen(store, monkeypatch):
    """Numbers of another numpy are not shown as today's."""
    from flows import standing

    versions = {**standing.library_versions(), "numpy": "0.0.1"}
    monkeypatch.setattr(standing, "library_versions", lambda: versions)

    assert any(reason.startswith("numpy was") for reason in standing.standing(store, latest(store)).reasons)
