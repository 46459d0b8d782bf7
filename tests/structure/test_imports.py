"""Who imports what, and what the first commands do not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import COMMANDS, build
from tests.structure.code import LOCUST_FILES, ROOT, imports, modules, shown

HEAVY = ("prefect", "sklearn", "skops", "pandas", "kubernetes", "scipy", "matplotlib", "pyarrow", "locust", "gevent")
LEARNING = ("tasks/features/", "tasks/detectors/", "tasks/evaluation/")


def importers(*names: str, locust_too: bool = False) -> set[str]:
    """Modules that import one of the packages *names*."""
    found = set()
    for path in modules(locust_too=locust_too):
        if any(name.split(".")[0] in names for name, _ in imports(path)):
            found.add(shown(path))
    return found


def test_locust_and_gevent_are_imported_by_locust_files_alone():
    """Gevent replaces sockets and threads for the whole process: it has to be another process."""
    assert importers("locust", "gevent") == set()
    assert importers("locust", "gevent", locust_too=True) == {
        shown(path) for path in LOCUST_FILES.rglob("*.py") if path.name != "__init__.py"
    }


def test_kubernetes_has_one_door():
    """Only the adapter in ``tasks/kube/`` would know its client."""
    assert all(name.startswith("tasks/kube/") for name in importers("kubernetes"))


def test_scikit_learn_learns_in_three_folders():
    """Everywhere else numbers are numpy's."""
    assert all(name.startswith(LEARNING) for name in importers("sklearn", "skops"))


def test_prefect_is_known_to_flows_and_task_files_alone():
    """A folder of ``tasks/`` is plain Python."""
    known = importers("prefect")

    assert known
    assert all(name.startswith("flows/") or name.count("/") == 1 for name in known)


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("*/config.py")), ids=shown)
def test_a_section_of_the_document_needs_pydantic_and_the_base_alone(path):
    """So that ``check`` starts at once; a neighbour in its own folder may help that needs no more itself."""
    assert [name for name in beyond_the_base(path) if not light(name, path.parent)] == []


def beyond_the_base(path):
    """What the module at *path* imports besides the standard library, pydantic and ``tasks.base``."""
    allowed = set(sys.stdlib_module_names) | {"pydantic"}
    return [name for name, _ in imports(path) if name.split(".")[0] not in allowed and not name.startswith("tasks.base.")]


def light(name, folder):
    """Whether *name* comes from a module below *folder* that needs the base alone."""
    module = ROOT.joinpath(*name.split(".")[:-1]).with_suffix(".py")
    return module.is_file() and module.is_relative_to(folder) and beyond_the_base(module) == []


def loaded(*argv: str, cwd: Path) -> tuple[int, set[str]]:
    """Exit code of a command, and the top packages that its process had imported at the end."""
    code = (
        "import json, sys\n"
        "from flows.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as error:\n    code = error.code or 0\n"
        "print(json.dumps([code, sorted({name.split('.')[0] for name in sys.modules})]), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True, cwd=cwd)
    value = json.loads(ran.stderr.splitlines()[-1])
    return value[0], set(value[1])


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["run", "--help"],
        ["check", str(ROOT / "configs" / "demo.yaml")],
        ["plan", str(ROOT / "configs" / "demo.yaml")],
        ["plan", str(ROOT / "configs" / "kubernetes-demo.yaml")],
        ["schema"],
        ["init", "new"],
        ["runs", "list", "--store", "store"],
    ],
    ids=lambda argv: " ".join(argv[:2]).replace(str(ROOT), ""),
)
def test_the_first_commands_import_nothing_heavy(argv, tmp_path):
    """Each of these takes longer to import than the whole command may take."""
    code, found = loaded(*argv, cwd=tmp_path)

    assert code == 0
    assert found & set(HEAVY) == set()


COMPUTING = {"numpy", "sklearn", "skops", "pandas", "kubernetes", "scipy", "matplotlib", "pyarrow", "urllib3", "jinja2"}


def test_a_run_that_finds_everything_imports_nothing_that_records_or_computes():
    """To import it takes longer than to find out that it is not needed."""
    code = (
        "import json, sys\nfrom tasks.base.shipped import shipped\nfrom flows.document import load_document\n"
        "load_document(shipped('quick.yaml'), [])\nfrom flows import experiment, launch\nprint(json.dumps(sorted(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    found = set(json.loads(ran.stdout.splitlines()[-1]))

    assert {name.partition(".")[0] for name in found} & COMPUTING == set()
    assert found & {"tasks.recordings.recorder", "tasks.recordings.standing", "tasks.kube.session", "tasks.stages.evaluate"} == set()


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_comes_without_the_modules_of_the_others(module):
    """The table says what each module adds: neither more, nor less, nor in another order."""
    own, all_of_them = {command: list(build(command)) for command in COMMANDS[module]}, list(build())
    flags = [name for name in all_of_them if name.startswith("-")]

    assert all(found == [*flags, *COMMANDS[module]] for found in own.values())
    assert all_of_them == [*flags, *(name for added in COMMANDS.values() for name in added)]
