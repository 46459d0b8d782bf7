"""What the pages say of the code is what the code says; links lead somewhere; nothing of this machine is in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import jsonschema
import pytest

from flows.records import PUBLIC, public
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.trials import Outcome
from tasks.faults.config import KindName
from tests.docs.blocks import links_of, markdown_pages
from tests.docs.generated import ROOT, blocks, pages, reliability_page, with_blocks
from tests.ledger import Entry
from tests.stored_run import shared_run


@pytest.mark.parametrize("path", sorted(pages()))
def test_a_printed_page_is_what_the_code_prints(path):
    """``make docs`` would change nothing."""
    assert (ROOT / path).read_text() == pages()[path]


@pytest.mark.parametrize("page", markdown_pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_printed_table_is_what_the_code_prints(page):
    """The same for tables inside hand-written pages."""
    assert page.read_text() == with_blocks(page.read_text(), blocks())


def test_tables_of_figures_are_printed_from_figures_alone():
    """Counts are added up; seeds, times and machine names are left out; what was missed is said."""
    entries = [
        Entry(11, "processes", "tests/reliability/a.py::test_x[1]", "kill | collector", 4, 60, 59, "3.2 s"),
        Entry(11, "processes", "tests/reliability/a.py::test_x[2]", "kill | collector", 4, 40, 40, "3.2 s"),
        Entry(11, "cluster", "tests/live/b.py::test_y", "kill | pod", 4, 1, 1),
    ]
    page = reliability_page(entries, ["a.py::test_old[1]"])
    assert "**100 of 101**" in page
    assert "| 11 | processes | kill \\| collector | 100 | 99 | `test_x` |" in page
    assert "| 11 | cluster | kill \\| pod | 1 | 1 | `test_y` |" in page
    assert "no longer there: `test_old`." in page
    assert "left out" not in reliability_page(entries).lower()
    assert "There is no row" not in page
    assert "There is no row of `make live`" in reliability_page(entries[:2])
    assert "3.2" not in page


@pytest.mark.parametrize("page", markdown_pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    """To a file of the repository, and to a heading where one is named; no page sends its reader to the network."""
    for target in links_of(page):
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.is_relative_to(ROOT), target
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_every_page_can_be_reached():
    """From the README by links alone."""
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            waiting += [(page.parent / target.partition("#")[0]).resolve() for target in links_of(page) if target.partition("#")[0]]
    assert {page for page in markdown_pages() if page.is_relative_to(ROOT / "docs")} <= seen


def test_nothing_of_this_machine_is_in_the_documentation():
    """No path, no home, no package index, no address but loopback, no captured output of a run."""
    forbidden = re.compile(r"/(?:home|root|tmp|work|Users)/|pypi\.org|index-url|https?://(?!127\.0\.0\.1)[\w.]+", re.IGNORECASE)
    files = [*markdown_pages(), *(ROOT / "docs").rglob("*.ipynb"), ROOT / "prefect.yaml", *(ROOT / "configs").rglob("*.yaml")]
    for page in files:
        found = [match.group() for match in forbidden.finditer(page.read_text())]
        assert [one for one in found if not one.startswith("http://{")] == [], page


def test_every_exit_code_has_a_line():
    """Those of the errors, and those of signals."""
    from tests.docs.generated import exits_table

    codes = set(re.findall(r"^\| (\d+) \|", exits_table(), re.MULTILINE)) - {"130"} | {"0"}
    runbook = (ROOT / "docs" / "reference" / "exit-codes.md").read_text().partition("runbook")[2]
    assert codes <= set(re.findall(r"^\| (\d+) \|", runbook, re.MULTILINE))
    assert "129, 130, 143" in runbook


def test_every_dependency_has_a_line():
    """Those of pyproject.toml, no more and no fewer."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    named = {re.split(r"[=<>!~]", line)[0] for line in direct}
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text()
    assert set(re.findall(r"^\| ([A-Za-z][\w.-]+) \|", page, re.MULTILINE)) - {"package"} == named


SCHEMA = json.loads((ROOT / "docs" / "reference" / "run.schema.json").read_text())


def stores() -> list[Store]:
    """The stored run, and a real one where ``TIDEGAUGE_TEST_STORE`` names a store."""
    real = os.environ.get("TIDEGAUGE_TEST_STORE")
    return [shared_run(), *([Store(Path(real))] if real else [])]


def test_public_objects_keep_to_the_schema():
    """Every run of every store, whatever became of it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert tuple(SCHEMA["properties"]) == PUBLIC
    for store in stores():
        for run in Runs(store).ids():
            jsonschema.validate(public(Runs(store).read(run)), SCHEMA)


def test_the_schema_knows_every_kind_and_outcome():
    """Those of processes and those of a cluster as examples, since an import has kinds of its own; and whatever a trial may have done."""
    fault, detector = SCHEMA["properties"]["faults"]["items"]["properties"], SCHEMA["properties"]["detectors"]["items"]["properties"]

    assert fault["kind"]["examples"] == detector["recall_by"]["items"]["properties"]["kind"]["examples"] == list(get_args(KindName))
    assert fault["outcome"]["enum"] == [*Outcome, None]


def test_the_schema_takes_imported_labels_and_failed_detectors():
    """Kinds are free text there, intensities any number from 0 on; an empty kind is none. A detector without a result has a row too."""
    whole = public(Runs(shared_run()).read("latest"))
    fault, row = whole["faults"][0], whole["detectors"][0]
    recall = {"kind": "slow release", "intensity": 250.0, "impact_events": 1, "events_detected": 1}
    taken = {"faults": [{**fault, "kind": "slow release", "intensity": 0.0}], "detectors": [{**row, "recall_by": [recall]}]}

    jsonschema.validate({**whole, **taken}, SCHEMA)
    jsonschema.validate({**whole, "detectors": [{**row, "events_detected": None, "status": "timed out after 60 s"}]}, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**whole, "faults": [{**fault, "kind": ""}]}, SCHEMA)


def test_the_schema_refuses_what_is_no_run():
    """A key too many, a figure that is text, a status that does not exist: the schema is not empty words."""
    whole = public(Runs(shared_run()).read("latest"))
    for change in ({"extra": 1}, {"status": "fine"}, {"run": "../x"}, {"detectors": [{**whole["detectors"][0], "auc_pr": "0.5"}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**whole, **change}, SCHEMA)


def test_the_picture_is_small():
    """README's picture is there and below 400 kB."""
    assert (ROOT / "docs" / "images" / "report.png").stat().st_size < 400_000


def test_the_pool_file_names_flows_that_exist():
    """``prefect.yaml``: each entry point is a flow, each name that of the flow served by ``tidegauge serve``."""
    text = (ROOT / "prefect.yaml").read_text()
    entries = re.findall(r"entrypoint: (flows/\w+)\.py:(\w+)", text)
    assert len(entries) == 3
    code = "import importlib, prefect\n" + "".join(
        f"assert isinstance(importlib.import_module({module.replace('/', '.')!r}).{name}, prefect.Flow)\n" for module, name in entries
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
