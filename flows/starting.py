"""What ``init`` writes."""

import json
from pathlib import Path

from flows.document import Experiment
from tasks.base.errors import DocumentError
from tasks.base.files import write_atomically
from tasks.base.shipped import shipped

SCHEMA_LINE = "# yaml-language-server: $schema=experiment.schema.json\n"
IGNORED = "tidegauge-data/\n__pycache__/\n"
SOURCES = {"demo": "demo.yaml", "own-app": "templates/own-app.yaml"}
BESIDE = {"own-app": "templates/own-app"}
"""A folder of files that a template's document needs beside it."""
HERE = "{here}"
"""In a template: the project's folder. Programs start elsewhere, so the document written names files from the root."""


def start_project(folder: Path, template: str) -> list[Path]:
    """
    Write ``experiment.yaml``, its schema, ``.gitignore`` and the files that the template needs into *folder*; the paths written.

    Raises:
        DocumentError: One of them is there already; nothing was written.
    """
    contents = {
        "experiment.yaml": SCHEMA_LINE + shipped(SOURCES[template]).read_text().replace(HERE, in_a_document(folder)),
        "experiment.schema.json": json.dumps(Experiment.model_json_schema(), indent=1) + "\n",
        ".gitignore": IGNORED,
        **beside(template),
    }
    there = [name for name in contents if (folder / name).exists() and name != ".gitignore"]
    if there:
        raise DocumentError(f"{folder / there[0]} is there already", next_step="tidegauge init ANOTHER-FOLDER")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DocumentError(f"cannot make the folder {folder}: {error.strerror}", next_step="tidegauge init ANOTHER-FOLDER") from error
    written = []
    for name, text in contents.items():
        if not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / name, text)
            written.append(folder / name)
    return written


def beside(template: str) -> dict[str, str]:
    """Content of the files that *template* brings along, by relative path."""
    if template not in BESIDE:
        return {}
    source = shipped(BESIDE[template])
    return {path.relative_to(source).as_posix(): path.read_text() for path in sorted(source.rglob("*.py"))}


def in_a_document(folder: Path) -> str:
    """The absolute path of *folder* as it is written between double quotes of YAML, braces doubled as commands want them."""
    return json.dumps(str(folder.absolute()), ensure_ascii=False)[1:-1].replace("{", "{{").replace("}", "}}")
