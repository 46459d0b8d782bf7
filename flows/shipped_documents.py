"""Shipped documents by name, for the forms of the Prefect UI."""

from typing import Annotated

from pydantic import Field

from flows.document import Experiment, load_document
from tasks.base.errors import DocumentError
from tasks.base.shipped import shipped

ShippedName = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", max_length=63, description="Name of a shipped document, for example demo")]


def resolved(experiment: Experiment | str) -> Experiment:
    """
    The experiment itself, or the shipped document of that name.

    Raises:
        DocumentError: No document of that name is shipped.
    """
    if isinstance(experiment, Experiment):
        return experiment
    path = shipped("") / f"{experiment}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in shipped("").glob("*.yaml")))
        raise DocumentError(f"no document {experiment!r} is shipped", next_step=f"one of {names}")
    return load_document(path)
