"""Bad documents are refused: every mistake at once, with its place, what was expected, and what is near."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from flows.cli import main
from flows.document import load_document
from tasks.base.errors import DocumentError
from tests.document.menagerie import ZOO, expected

EXPECTED = expected()


def test_every_document_of_the_zoo_has_its_verdict():
    """No file without expectations, and no expectation without a file."""
    assert {path.stem for path in ZOO.glob("*.yaml")} == set(EXPECTED)
    assert len(EXPECTED) >= 45


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_bad_document_is_told_all_its_mistakes(name, monkeypatch):
    """Exactly the mistakes that are in it, in the order of the file, each with file, line and column."""
    monkeypatch.chdir(ZOO)

    with pytest.raises(DocumentError) as caught:
        load_document(ZOO.joinpath(f"{name}.yaml").relative_to(ZOO))

    first, *told = caught.value.message.splitlines()
    assert first == f"{name}.yaml is not a valid experiment:"
    assert [line.strip().removeprefix(f"{name}.yaml:") for line in told] == EXPECTED[name]
    assert caught.value.next_step


@pytest.mark.parametrize("command", ["check", "plan"])
@pytest.mark.parametrize("name", ["everything-at-once", "tab", "entry-as-target"])
def test_the_command_line_ends_with_2_and_says_it_on_standard_error(name, command, monkeypatch, capsys):
    """No traceback; nothing on standard output; the last line says what to type next."""
    monkeypatch.chdir(ZOO)

    code = main([command, f"{name}.yaml"])

    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith(f"tidegauge: {name}.yaml is not a valid experiment:\n")
    assert "Traceback" not in err
    assert all(f"  {name}.yaml:{line}\n" in err for line in EXPECTED[name])
    assert re.search(rf"\n  next: mend the lines? above, then: tidegauge check {name}.yaml\n$", err)


def test_with_json_the_mistakes_are_values(monkeypatch, capsys):
    """One JSON object on standard output: the text, the exit code, and each mistake with line, column and setting."""
    monkeypatch.chdir(ZOO)

    code = main(["check", "everything-at-once.yaml", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert (code, told["exit_code"], told["file"]) == (2, 2, "everything-at-once.yaml")
    assert told["mistakes"][0] == {"line": 3, "column": 1, "setting": "seed", "text": "must be at least 0, not -1", "origin": None}
    assert len(told["mistakes"]) == len(EXPECTED["everything-at-once"])


def test_a_name_that_no_terminal_can_show_ends_in_a_sentence():
    """Bytes that are not UTF-8 in a file's name, line breaks and escape sequences: told, with and without ``--json``."""
    for name in (b"\xff\xfe.yaml", b"a\nb\x1b[2J.yaml", b"-", b"x" * 300):
        for flags in ([], ["--json"]):
            ran = subprocess.run([sys.executable, "-m", "flows.cli", "check", b"./" + name, *flags], capture_output=True, check=False)

            assert ran.returncode == 2
            assert b"Traceback" not in ran.stderr
            assert b"tidegauge: unexpected" not in ran.stderr
            assert not flags or json.loads(ran.stdout)["exit_code"] == 2
