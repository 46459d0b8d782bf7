"""Which object is meant: API version, kind, namespace and name, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """The address of one object."""

    api_version: str
    """``v1``, ``apps/v1``."""
    kind: str
    """``Deployment``."""
    namespace: str | None
    """None for what belongs to the whole cluster."""
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Self:
        """
        What *manifest*, or an object as the API shows it, is about.

        Raises:
            ValueError: It lacks a kind, an API version or a name.
        """
        metadata = manifest.get("metadata") or {}
        words = (manifest.get("apiVersion"), manifest.get("kind"), metadata.get("name"))
        for what, word in zip(("apiVersion", "kind", "metadata.name"), words, strict=True):
            if not isinstance(word, str) or not word:
                raise ValueError(f"a manifest without {what}: {words[1] or 'object'} {words[2] or ''}".rstrip())
        return cls(str(words[0]), str(words[1]), metadata.get("namespace") or None, str(words[2]))

    @property
    def group(self) -> str:
        """``apps``; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        """``deployment/carts in shop``."""
        where = "" if self.namespace is None else f" in {self.namespace}"
        return f"{self.kind.lower()}/{self.name}{where}"
