"""What no line of the product may do: let data run as code, or hand words to a shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.structure.code import imports, modules, shown, tree

LOADERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "yaml", "dbm"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
SHELLS = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"), ("subprocess", "getstatusoutput"), ("pty", "spawn")}
STARTERS = {"run", "Popen", "call", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell"}
SPEAKS_OF_SHELLS = {"flows/commands/documents.py"}
"""Completion scripts are written for one."""
HELPERS = ("pip.", "ensurepip.", "huggingface_hub.", "nltk.", "sklearn.datasets.", "urllib.request.urlretrieve.")
YAML_EVENTS = ("tasks/base/yaml_source.py", "yaml")
EVERY = modules(locust_too=True)


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    """Every call in the product, with the last name of what is called."""
    for path in EVERY:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                yield path, node, getattr(node.func, "id", getattr(node.func, "attr", ""))


def at(path: Path, node: ast.AST) -> str:
    """File and line."""
    return f"{shown(path)}:{getattr(node, 'lineno', 0)}"


def constant(node: ast.Call, name: str) -> list[object]:
    """The constant given for the keyword *name*; empty when there is none."""
    return [word.value.value for word in node.keywords if word.arg == name and isinstance(word.value, ast.Constant)]


def test_nothing_is_unpickled():
    """No module that can turn bytes into calls is imported anywhere, but for libyaml's events."""
    found = [(shown(path), name, line) for path in EVERY for name, line in imports(path) if name.split(".")[0] in LOADERS]

    assert [(path, name, line) for path, name, line in found if (path, name) != YAML_EVENTS] == []


def test_libyaml_makes_events_and_nothing_else():
    """Of the package that can make objects, only the parser of events is called."""
    path, package = YAML_EVENTS
    made = [node for where, node, _ in calls() if shown(where) == path and isinstance(node.func, ast.Attribute)]

    assert {node.func.attr for node in made if isinstance(node.func.value, ast.Name) and node.func.value.id == package} == {"parse"}


def test_no_array_file_may_hold_objects():
    """``allow_pickle`` is never given, or given as False."""
    given = [(at(path, node), word.value) for path, node, _ in calls() for word in node.keywords if word.arg == "allow_pickle"]

    assert [place for place, value in given if not (isinstance(value, ast.Constant) and value.value is False)] == []


def test_no_text_is_run():
    """Neither ``eval`` nor ``exec`` nor an import by name as text."""
    assert [at(path, node) for path, node, name in calls() if isinstance(node.func, ast.Name) and name in RUNNERS] == []


def test_the_yaml_reader_makes_no_objects():
    """Its safe kind, everywhere."""
    made = [(at(path, node), constant(node, "typ")) for path, node, name in calls() if name == "YAML"]

    assert made
    assert [place for place, kind in made if kind != ["safe"]] == []


def test_no_shell_reads_anything():
    """Programs are started with a list of arguments; neither ``shell=`` nor options that could hide one."""
    found = [at(path, node) for path, node, name in calls() if name in STARTERS and any(word.arg == "shell" for word in node.keywords)]
    for path in EVERY:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in SHELLS:
                found.append(at(path, node))
            if isinstance(node, ast.Dict) and any(isinstance(key, ast.Constant) and key.value == "shell" for key in node.keys):
                found += [] if shown(path) in SPEAKS_OF_SHELLS else [at(path, node)]

    assert found == []


def test_nothing_is_downloaded_but_what_was_asked_for():
    """No installer, no package index, no download helper at run time."""
    assert [shown(path) for path in EVERY for name, _ in imports(path) if f"{name}.".startswith(HELPERS)] == []


def test_templates_escape():
    """Every Jinja environment is made with autoescape on."""
    made = [
        (at(path, node), constant(node, "autoescape")) for path, node, name in calls() if name in ("Environment", "SandboxedEnvironment")
    ]

    assert made
    assert [place for place, value in made if value != [True]] == []
