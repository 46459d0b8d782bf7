"""``init`` writes what ``check`` accepts, and never over anything."""

from __future__ import annotations

import json
import typing

import pytest

from flows.cli import main
from flows.commands.documents import Template
from flows.document import Experiment

TEMPLATES = typing.get_args(Template)


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_init_writes_is_valid(tmp_path, template, capsys):
    """Document, schema and .gitignore are there; ``check`` and ``plan`` take the document as it is."""
    folder = tmp_path / "new folder"

    assert main(["init", str(folder), "--template", template]) == 0

    document = folder / "experiment.yaml"
    assert f"next: tidegauge plan {document}" in capsys.readouterr().out.replace("'", "")
    assert document.read_text().startswith("# yaml-language-server: $schema=experiment.schema.json\n")
    assert json.loads((folder / "experiment.schema.json").read_text()) == Experiment.model_json_schema()
    assert "tidegauge-data/" in (folder / ".gitignore").read_text()
    assert main(["check", str(document)]) == 0
    assert main(["plan", str(document)]) == 0


def test_init_never_overwrites(tmp_path, capsys):
    """What is there stays as it is; nothing else is written beside it; the message says where to go."""
    (tmp_path / "experiment.yaml").write_text("mine")

    assert main(["init", str(tmp_path)]) == 2

    assert (tmp_path / "experiment.yaml").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["experiment.yaml"]
    assert "is there already" in capsys.readouterr().err


def test_init_keeps_a_gitignore(tmp_path):
    """A folder under version control is no reason to refuse."""
    (tmp_path / ".gitignore").write_text("mine\n")

    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_init_where_nothing_can_be_made(tmp_path, capsys):
    """A file in the place of the folder ends in a sentence."""
    (tmp_path / "file").write_text("")

    assert main(["init", str(tmp_path / "file" / "deeper")]) == 2

    assert "Traceback" not in capsys.readouterr().err
