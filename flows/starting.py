"""What ``init`` writes."""

import json
from pathlib import Path

from flows.document import Experiment
from tasks.base.errors import DocumentError
from tasks.base.files import write_atomically
from tasks.base.shipped import shipped

SCHEMA_LINE = "# yaml-language-server: $schema=experiment.schema.json\n"
IGNORED = "tidegauge-data/\n"
SOURCES = {"demo": "demo.yaml", "own-app": "templates/own-app.yaml"}


def start_project(folder: Path, template: str) -> list[Path]:
    """
    Write ``experiment.yaml``, ``experiment.schema.json`` and ``.gitignore`` into *folder*; the paths written.

    Raises:
        DocumentError: One of them is there already; nothing was written.
    """
    contents = {
        "experiment.yaml": SCHEMA_LINE + shipped(SOURCES[template]).read_text(),
        "experiment.schema.json": json.dumps(Experiment.model_json_schema(), indent=1) + "\n",
        ".gitignore": IGNORED,
    }
    there = [name for name in contents if (folder / name).exists() and name != ".gitignore"]
    if there:
        raise DocumentError(f"{folder / there[0]} is there already", next_step="tidegauge init ANOTHER-FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in contents.items():
        if not (folder / name).exists():
            write_atomically(folder / name, text)
            written.append(folder / name)
    return written
