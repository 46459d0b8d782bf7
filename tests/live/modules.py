"""
The Go module of the cluster's programs, as text, and the command that builds it.

``k8s.io/kubernetes`` requires its own parts (``k8s.io/api``, ``k8s.io/client-go`` ...) at v0.0.0 and replaces them by folders
that its module archive lacks. Each has been published under the release's number with a leading 0, so each is replaced by
that; which they are is read from the ``go.mod`` of the release.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "k8s.io/kubernetes"
_UNPUBLISHED = re.compile(r"^\s*(?:require\s+)?(k8s\.io/[\w./-]+)\s+v0\.0\.0(?:\s*//.*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What ``build.toml`` says."""

    oldest_go: str
    module: str
    packages: Sequence[str]
    tags: Sequence[str]
    gcflags: str
    ldflags: Sequence[str]
    environment: Mapping[str, str]
    modules: Mapping[str, str]
    excluded: Mapping[str, str]
    stamps: Mapping[str, str]
    links: Mapping[str, Sequence[str]]


def read_plan(path: Path) -> BuildPlan:
    """The plan in a TOML file."""
    return BuildPlan(**tomllib.loads(path.read_text()))


def go_mod(plan: BuildPlan, kubernetes_go_mod: str) -> str:
    """
    The text of ``go.mod``.

    Args:
        plan: What is built.
        kubernetes_go_mod: The ``go.mod`` of the Kubernetes release.
    """
    published = "v0." + plan.modules[KUBERNETES].removeprefix("v1.")
    parts = sorted(set(_UNPUBLISHED.findall(kubernetes_go_mod)))
    lines = [f"module {plan.module}", f"go {plan.oldest_go}"]
    lines += [f"require {name} {version}" for name, version in plan.modules.items()]
    lines += [f"replace {name} => {name} {published}" for name in parts]
    lines += [f"exclude {name} {version}" for name, version in plan.excluded.items()]
    return "\n".join(lines) + "\n"


def resolve_command(plan: BuildPlan) -> tuple[str, ...]:
    """Fetches every module that the build needs, and compiles nothing."""
    return ("go", "list", "-deps", "-tags", ",".join(plan.tags), "-f", "{{with .Error}}{{.}}{{end}}", *plan.packages)


def build_command(plan: BuildPlan, output: Path) -> tuple[str, ...]:
    """Builds every program into the folder *output*."""
    return (
        "go",
        "build",
        "-tags",
        ",".join(plan.tags),
        f"-gcflags={plan.gcflags}",
        "-ldflags",
        " ".join(_ldflags(plan)),
        "-o",
        f"{output}/",
        *plan.packages,
    )


def _ldflags(plan: BuildPlan) -> Iterator[str]:
    yield from plan.ldflags
    yield from (f"-X {variable}={value}" for variable, value in plan.stamps.items())
