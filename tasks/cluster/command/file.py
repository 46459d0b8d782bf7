"""Files that say by which commands a cluster is made, found and removed: those in ``configs/clusters/``, and ones of a user's own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from tasks.base.errors import DocumentError
from tasks.base.files import sha256_file
from tasks.base.model import Name, Strict
from tasks.base.shipped import shipped, shipped_root
from tasks.base.yaml_source import Mistake, dotted, read_source, refuse

Argv = Annotated[tuple[Annotated[str, Field(max_length=2000)], ...], Field(min_length=1, max_length=200, strict=False)]
"""A program and its arguments; no shell is involved."""
Pattern = Annotated[str, Field(min_length=1, max_length=500)]
"""A regular expression, looked for in every line."""
FILLED = ("name", "kubeconfig", "python")
_PLACE = re.compile(r"\{([a-z_]+|env:[A-Za-z_][A-Za-z0-9_]*)\}")
OF_COMMANDS = ("create", "ready", "delete", "kubeconfig", "check")
Which = Literal["create", "ready", "delete", "kubeconfig", "check"]
SHIPPED = "clusters"


class CommandFile(Strict):
    """
    How a tool makes and removes a cluster.

    ``{name}``, ``{kubeconfig}``, ``{python}``, and ``{env:VARIABLE}`` of ``needs_variables`` are filled in everywhere. Every command
    runs with ``KUBECONFIG`` set to ``{kubeconfig}``, a private file of the store, so that the user's own is never changed.
    """

    version: Literal[1]
    """Version of this format."""
    name: Name
    """Of the tool; a shipped file is called the same."""
    needs: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$")], ...], Field(strict=False)] = ()
    """Programs that have to be in ``PATH``."""
    needs_variables: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")], ...], Field(strict=False)] = ()
    """Environment variables that have to be set; ``{env:VARIABLE}`` is filled in with the value, so name no secret there."""
    create: Argv
    """Makes the cluster; ends when its API answers, unless ``ready`` waits for that."""
    ready: Argv | None = None
    """Waits until the API of a new cluster answers, when its kubeconfig is there already; null: ``create`` has waited."""
    delete: Argv
    """Removes it with everything in it."""
    kubeconfig: Argv
    """Gives the kubeconfig of it, as ``kubeconfig_gives`` says."""
    kubeconfig_gives: Literal["content", "path", "file"] = "content"
    """``content``: prints the kubeconfig; ``path``: prints the path of it; ``file``: writes it to ``{kubeconfig}``."""
    check: Argv
    """Says whether the cluster is there."""
    check_there: Pattern | None = None
    """It is there when the command ends with 0 and this is found in what it prints; null: ending with 0 is enough."""
    check_absent: Pattern | None = None
    """
    It is not there when the command does not end with 0 and this is found; null: when it ends with 1, or never if there is a
    ``check_there``. Whatever else it says is neither yes nor no, and nothing is done.
    """
    notes: Annotated[str, Field(max_length=4000)] = ""
    """What a user should know of it."""

    @field_validator(*OF_COMMANDS)
    @classmethod
    def _startable(cls, argv: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if argv is not None and (not argv[0] or any("\0" in text for text in argv)):
            raise ValueError("there is no program to start, or a NUL character in it")
        return argv

    @field_validator("check_there", "check_absent")
    @classmethod
    def _pattern(cls, text: str | None) -> str | None:
        try:
            re.compile(_PLACE.sub("x", text or ""))
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return text

    @model_validator(mode="after")
    def _places(self) -> Self:
        known = [*FILLED, *(f"env:{name}" for name in self.needs_variables)]
        texts = [text for which in OF_COMMANDS for text in getattr(self, which) or ()]
        texts += [text for text in (self.check_there, self.check_absent) if text is not None]
        unknown = sorted({place for text in texts for place in _PLACE.findall(text)} - set(known))
        if unknown:
            raise ValueError(f"{{{unknown[0]}}} is not filled in; there are {', '.join(f'{{{name}}}' for name in known)}")
        return self


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of one cluster, everything filled in."""

    cluster: str
    """Name of the cluster."""
    kubeconfig: Path
    """Where its kubeconfig is kept."""
    file: CommandFile

    def argv(self, which: Which) -> tuple[str, ...]:
        """Program and arguments; empty where there is nothing to do."""
        given: tuple[str, ...] | None = getattr(self.file, which)
        values = self._values()
        return tuple(_PLACE.sub(lambda place: values[place[1]], text) for text in given or ())

    def pattern(self, which: Literal["check_there", "check_absent"]) -> re.Pattern[str] | None:
        """What to look for in the output of ``check``; values are taken literally."""
        text: str | None = getattr(self.file, which)
        values = {name: re.escape(value) for name, value in self._values().items()}
        return None if text is None else re.compile(_PLACE.sub(lambda place: values[place[1]], text), re.MULTILINE)

    def _values(self) -> Mapping[str, str]:
        variables = {f"env:{name}": os.environ.get(name, "") for name in self.file.needs_variables}
        return {"name": self.cluster, "kubeconfig": str(self.kubeconfig), "python": sys.executable, **variables}

    def listed(self) -> Iterator[tuple[str, ...]]:
        """Every argv, for whoever has to say yes to it."""
        yield from filter(None, (self.argv(which) for which in ("create", "ready", "delete", "kubeconfig", "check")))


def is_shipped(commands: str) -> bool:
    """Whether ``cluster.commands`` is the name of a shipped file; anything else is a path."""
    return re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", commands) is not None


def command_path(commands: str, folder: Path | None = None) -> Path:
    """
    The file that ``cluster.commands`` means; a path is relative to *folder*, or to the working directory.

    Raises:
        DocumentError: There is no such shipped file.
    """
    if not is_shipped(commands):
        return (folder or Path()) / commands
    names = sorted(path.stem for path in (shipped_root() / SHIPPED).glob("*.yaml"))
    if commands not in names:
        raise DocumentError(f"there are no shipped commands for {commands!r}", next_step=f"use one of {', '.join(names)}, or a path")
    return shipped(f"{SHIPPED}/{commands}.yaml")


def read_commands(path: Path) -> CommandFile:
    """
    The commands in the file at *path*.

    Raises:
        DocumentError: It is not a valid file of commands; all mistakes are listed with their lines.
    """
    source = read_source(path, what="file of cluster commands")
    try:
        return CommandFile.model_validate(_frozen(source.value))
    except ValidationError as error:
        mistakes = [Mistake(*source.mark(item["loc"]), dotted(item["loc"]), _plain(item["msg"])) for item in error.errors()]
        raise refuse(source.name, mistakes, "file of cluster commands") from error


def digest_of(path: Path) -> str:
    """SHA-256 of the file: the commands that were agreed to are the ones that are run later."""
    return sha256_file(path)


def _frozen(value: Any) -> Any:
    return {name: tuple(one) if isinstance(one, list) else one for name, one in value.items()} if isinstance(value, dict) else value


def _plain(message: Any) -> str:
    return str(message).removeprefix("Value error, ").replace("Input should be", "must be")
