"""The strict base of every section of the experiment document."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler

_described: ContextVar[bool] = ContextVar("described", default=True)


@contextmanager
def without_descriptions() -> Iterator[None]:
    """Make schemas without their texts inside: where nobody will read a form, reading the source of every section is for nothing."""
    token = _described.set(False)
    try:
        yield
    finally:
        _described.reset(token)


class Strict(BaseModel):
    """
    A frozen model that knows all its keys, takes no NaN or infinity, and no number given as text.

    The text below an attribute is its description in the JSON schema. It is read when a schema is asked for: reading the source of
    every section would double the time that ``tidegauge check`` takes to start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema, with a description of each setting."""
        schema = handler(core_schema)
        if not _described.get():
            return schema
        settings = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in _texts(cls).items():
            if name in settings:
                settings[name].setdefault("description", text)
        return schema


@lru_cache(maxsize=256)
def _texts(model: type[BaseModel]) -> dict[str, str]:
    """The text below each attribute of *model* and of its bases."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__[: model.__mro__.index(Strict)]):
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for before, after in pairwise(statements):
            if not (isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
                found[before.target.id] = inspect.cleandoc(after.value.value)
    return found


Seconds = Annotated[float, Field(gt=0, le=30 * 86_400)]
"""A positive duration in seconds, at most 30 days."""

Ratio = Annotated[float, Field(ge=0, le=1)]
"""A share between 0 and 1."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""A lower-case name: letters, digits and dashes; safe as a file name and as a Kubernetes name."""
