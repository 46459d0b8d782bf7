"""Where things stand and what they are called."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions

from tests.structure.code import ROOT, folders, modules, shown

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["name"]: contract for contract in SETTINGS["tool"]["importlinter"]["contracts"]}
TASK_FILES = sorted(path.stem for path in (ROOT / "tasks").glob("*.py") if path.stem != "__init__")
LONGER = {
    # module: why it is longer than 300 lines
}
NEVER_A_PROGRAM = {"markdown"}
"""Libraries of libraries that nothing here imports, and whose names words of the field need: `tasks.reporting.markdown`."""
OURS = {"flows", "tasks", "tidegauge", "tests"}


def test_no_task_file_is_called_like_a_folder():
    """``tasks/load.py`` beside ``tasks/load/`` would be shadowed in silence; likewise in ``flows``."""
    assert set(TASK_FILES) & {path.name for path in (ROOT / "tasks").iterdir() if path.is_dir()} == set()
    assert {path.stem for path in (ROOT / "flows").glob("*.py")} & {
        path.name for path in (ROOT / "flows").iterdir() if path.is_dir()
    } == set()


def test_the_layers_name_every_folder():
    """The contract lists folders one by one; a new folder that it does not know would not be checked."""
    contract = CONTRACTS["folders never import Prefect, flows or task files"]

    assert sorted(contract["source_modules"]) == [f"tasks.{name}" for name in folders()]


def test_the_layers_name_every_task_file():
    """So that no folder can reach up into any of them."""
    contract = CONTRACTS["folders never import Prefect, flows or task files"]

    assert {name for name in contract["forbidden_modules"] if name.startswith("tasks.")} == {f"tasks.{name}" for name in TASK_FILES}


def test_the_base_is_below_every_folder():
    """It knows none of them."""
    contract = CONTRACTS["the base knows nobody"]

    assert sorted(contract["forbidden_modules"]) == [f"tasks.{name}" for name in folders() if name != "base"]


def test_scikit_learn_is_kept_out_of_every_other_folder():
    """It learns in features, detectors and evaluation, nowhere else."""
    contract = CONTRACTS["scikit-learn stays where it learns"]

    assert sorted(contract["source_modules"]) == [
        f"tasks.{name}" for name in folders() if name not in ("features", "detectors", "evaluation")
    ]


def test_every_package_is_a_package():
    """A folder with code but without ``__init__.py`` would be missing in a wheel's checks and in import-linter's."""
    bare = [shown(path) for path in modules() if not (path.parent / "__init__.py").is_file()]

    assert bare == []


def test_the_top_packages_are_empty():
    """Importing ``flows`` or ``tasks`` does nothing."""
    assert (ROOT / "flows" / "__init__.py").read_text() == ""
    assert (ROOT / "tasks" / "__init__.py").read_text() == ""
    assert sorted(path.name for path in (ROOT / "tidegauge").glob("*.py")) == ["__init__.py", "__main__.py"]


def test_a_module_fits_into_a_head():
    """At most 300 lines, unless a reason stands in the list above."""
    long = {shown(path) for path in modules(locust_too=True) if len(path.read_text().splitlines()) > 300}

    assert long - set(LONGER) == set()


def test_no_reason_outlives_its_module():
    """The list of long modules holds those that are long, and nothing else."""
    assert all(len((ROOT / name).read_text().splitlines()) > 300 for name in LONGER)


def test_no_module_is_called_like_a_dependency():
    """A module that stands on the path as a program's first folder would hide the library of its name."""
    installed = {name for name in packages_distributions() if name not in OURS | NEVER_A_PROGRAM}
    known = {path.stem for path in modules(locust_too=True)} | {path.name for path in (ROOT / "tasks").iterdir()}

    assert known & installed - {"__init__", "__main__"} == set()


def test_no_module_is_called_after_nothing():
    """A noun of the field says what is in it."""
    empty = {"utils", "util", "helpers", "helper", "common", "misc", "core", "lib", "stuff"}

    assert {path.stem for path in modules(locust_too=True)} & empty == set()


def test_nothing_is_left_to_do():
    """No promises in the code."""
    promise = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")

    assert [shown(path) for path in modules(locust_too=True) if promise.search(path.read_text())] == []


def test_every_module_says_what_it_is():
    """A docstring at the top, but for the empty packages."""
    import ast

    from tests.structure.code import tree

    silent = [shown(path) for path in modules(locust_too=True) if path.read_text().strip() and ast.get_docstring(tree(path)) is None]

    assert silent == []
