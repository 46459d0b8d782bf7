"""What no line of the product may do: let data run as code, or hand words to a shell."""

from __future__ import annotations

import ast

import pytest

from tests.structure.code import imports, modules, shown, tree

LOADERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "yaml", "dbm"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
SHELLS = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"), ("subprocess", "getstatusoutput"), ("pty", "spawn")}
SPEAKS_OF_SHELLS = {"flows/commands/documents.py"}
"""Completion scripts are written for one."""
STARTERS = {"run", "Popen", "call", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell"}
EVERY = modules(locust_too=True)


@pytest.mark.parametrize("path", EVERY, ids=shown)
def test_nothing_is_unpickled(path):
    """No module that can turn bytes into calls, and no array file that may hold objects."""
    found = [f"{shown(path)}:{line}: {name}" for name, line in imports(path) if name.split(".")[0] in LOADERS]
    found += [
        f"{shown(path)}:{node.lineno}: allow_pickle" for node in ast.walk(tree(path)) if isinstance(node, ast.keyword) and _pickles(node)
    ]

    assert found == []


def _pickles(keyword: ast.keyword) -> bool:
    return keyword.arg == "allow_pickle" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)


@pytest.mark.parametrize("path", EVERY, ids=shown)
def test_no_text_is_run(path):
    """Neither ``eval`` nor ``exec``, by name; nor a YAML reader that makes objects."""
    found = []
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in RUNNERS:
            found.append(f"{shown(path)}:{node.lineno}: {node.func.id}")
        if isinstance(node.func, ast.Name) and node.func.id == "YAML":
            kinds = [word.value.value for word in node.keywords if word.arg == "typ" and isinstance(word.value, ast.Constant)]
            found += [] if kinds == ["safe"] else [f"{shown(path)}:{node.lineno}: YAML{kinds}"]

    assert found == []


@pytest.mark.parametrize("path", EVERY, ids=shown)
def test_no_shell_reads_anything(path):
    """Programs are started with a list of arguments; neither ``shell=`` nor options that could hide one."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in STARTERS:
            found += [f"{shown(path)}:{node.lineno}: shell=" for word in node.keywords if word.arg == "shell"]
        if isinstance(node, ast.Dict) and any(isinstance(key, ast.Constant) and key.value == "shell" for key in node.keys):
            found += [f"{shown(path)}:{node.lineno}: a mapping with shell"] if shown(path) not in SPEAKS_OF_SHELLS else []
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in SHELLS:
            found.append(f"{shown(path)}:{node.lineno}: {node.value.id}.{node.attr}")

    assert found == []


@pytest.mark.parametrize("path", EVERY, ids=shown)
def test_nothing_is_downloaded_but_what_was_asked_for(path):
    """No installer, no package index, no download helper at run time."""
    helpers = ("pip.", "ensurepip", "huggingface_hub", "nltk", "sklearn.datasets", "urllib.request.urlretrieve")
    found = {name for name, _ in imports(path) if f"{name}.".startswith(helpers)}

    assert found == set()


def test_templates_escape():
    """Every Jinja environment is made with autoescape on."""
    made = [
        (shown(path), node)
        for path in EVERY
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in ("Environment", "Template", "SandboxedEnvironment")
    ]

    assert made
    for name, node in made:
        values = [word.value.value for word in node.keywords if word.arg == "autoescape" and isinstance(word.value, ast.Constant)]
        assert values == [True], name
