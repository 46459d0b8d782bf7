"""Every command block of the documentation is typed; a long one is parsed, and its document passes ``plan``."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.cli import build
from flows.document import Experiment, load_document, validate
from flows.timeline import timeline
from tasks.base.yaml_source import Source, parse_source
from tests.docs.blocks import SHELLS, Block, blocks_of, markdown_pages
from tests.docs.conftest import Project
from tests.docs.generated import ROOT

PAGES = [page for page in markdown_pages() if any(block.language in SHELLS for block in blocks_of(page))]
PLANNED = ("run", "record", "train", "up")
"""Commands whose first argument is a document that would be carried out."""
OTHERS = ("nohup", "prefect", "export", ".")
LIMIT_S = 90


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_do_what_it_says(page: Path, project: Project):
    """From top to bottom, in one folder: each command ends with 0; a block marked ``long`` is understood by the command line."""
    for block in blocks_of(page):
        if block.language not in SHELLS:
            continue
        assert block.commands, f"{block.place} shows no command"
        if "long" in block.marks:
            for line in block.commands:
                understood(block, line, project)
        else:
            typed(block, project)


def typed(block: Block, project: Project) -> None:
    """Run all lines of *block* in one shell."""
    script = "\n".join(block.commands)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{block.place} ended with {done.returncode}\n{script}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


def understood(block: Block, line: str, project: Project) -> None:
    """*line* is a command that exists, with parameters that it takes and a document that can be planned."""
    words = [word for word in shlex.split(line, comments=True) if word != "&"]
    words = words[: words.index(">")] if ">" in words else words
    if words[0] == "nohup":
        words = words[1:]
    program = Path(words[0]).name
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (project.folder / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets), f"{block.place}: make has no target {words[1:]}"
    elif program == "tidegauge":
        parsed(block, words[1:], project)
    else:
        assert program in OTHERS or words[0] in OTHERS, f"{block.place}: {program} is no program that a reader has"
        assert program == "." or words[0] in (".", "export") or shutil.which(program, path=project.environment["PATH"]), (
            f"{block.place}: {program} is not installed"
        )


def parsed(block: Block, words: list[str], project: Project) -> None:
    """Let the real command line read *words*; plan the document that it would carry out."""
    _, bound, _ = build().parse_args(words, exit_on_error=False, print_error=False)
    if words[0] in PLANNED:
        file = project.folder / bound.arguments["file"]
        document = load_document(file, bound.arguments.get("set_") or [])
        timeline(document, str(file))
    elif words[0] in ("evaluate", "rank"):
        for setting in bound.arguments.get("set_") or []:
            assert setting.partition(".")[0].partition("=")[0] in Experiment.model_fields, f"{block.place}: {setting}"


DATA = [block for page in markdown_pages() for block in blocks_of(page) if block.language == "yaml" and "file" not in block.marks]


@pytest.mark.parametrize("block", DATA, ids=lambda block: block.place)
def test_parts_of_documents_are_valid(block: Block):
    """A YAML block shows sections of a document: laid over a shipped demo it is a document that can be planned."""
    part = parse_source(block.body.encode(), block.place).value
    demo = "kubernetes-demo.yaml" if needs_a_cluster(part) else "demo.yaml"
    whole = parse_source((ROOT / "configs" / demo).read_bytes(), "demo").value
    document = validate(Source(block.place, {**whole, **part}, {}))
    assert timeline(document, str(ROOT / "configs" / "demo.yaml")).eta_s > 0


def needs_a_cluster(part: dict[str, Any]) -> bool:
    """Whether a part speaks of what only a cluster has."""
    sources = (part.get("telemetry") or {}).get("sources") or [{}]
    in_pods = (part.get("load") or {}).get("place") == "pods"
    return in_pods or any(one.get("kind") == "kubelet" or "service" in one or "deploy" in one for one in sources)


PROGRAMS = [block for page in markdown_pages() for block in blocks_of(page) if block.language == "python"]


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.place)
def test_python_blocks_run(block: Block, project: Project):
    """As they stand, where a store is."""
    done = subprocess.run(
        [sys.executable, "-c", block.body],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}\n{done.stderr[-1500:]}"


def test_no_other_language_is_shown():
    """A block in a language that no test reads would rot."""
    known = {*SHELLS, "yaml", "python", "text"}
    assert {block.language for page in markdown_pages() for block in blocks_of(page)} <= known
