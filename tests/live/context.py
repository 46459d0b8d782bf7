"""
On which cluster ``make live`` runs: one of its own, or the context that ``TIDEGAUGE_LIVE_CONTEXT`` names.

The tests make and break things, so that a name has to look like that of a cluster for trials, or ``TIDEGAUGE_LIVE_YES`` has to be set.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.base.errors import PreflightError

NAMED = "TIDEGAUGE_LIVE_CONTEXT"
YES = "TIDEGAUGE_LIVE_YES"
PREFIX = "TIDEGAUGE_LIVE_PREFIX"
FOR_TRIALS = re.compile(r"^(kind|k3d|minikube|tidegauge)(-|$)")


def refusal(name: str, yes: str) -> str | None:
    """Why the tests do not touch the context *name*; None: they may. *yes* is what ``TIDEGAUGE_LIVE_YES`` says."""
    if yes or FOR_TRIALS.search(name):
        return None
    return (
        f"{NAMED}={name} does not look like a cluster for trials (kind-..., k3d-..., minikube..., tidegauge-...), and these tests make and"
        f" break things in it; to run them there all the same, set {YES}=1"
    )


def chosen(environment: Mapping[str, str]) -> str | None:
    """
    The context that *environment* names; None: none, so that the tests bring up a cluster of their own.

    Raises:
        PreflightError: It is not to be touched.
    """
    name = environment.get(NAMED, "")
    if name and (why := refusal(name, environment.get(YES, ""))):
        raise PreflightError(why)
    return name or None


def absent(wanted: Collection[str], nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Those images of *wanted* that some node which takes pods does not have, in order."""
    taking = [node for node in nodes if not node.get("spec", {}).get("unschedulable")]
    there = [{name for image in node.get("status", {}).get("images") or () for name in image.get("names") or ()} for node in taking]
    return sorted(name for name in wanted if not all(_has(names, name) for names in there) or not there)


def _has(names: Collection[str], wanted: str) -> bool:
    """An image without a registry's name is Docker's, and may be told in full."""
    return bool({wanted, f"docker.io/{wanted}", f"docker.io/library/{wanted}"} & set(names))


@dataclass(frozen=True, slots=True)
class Names:
    """Namespaces that tests have made up: each is to be gone in the end."""

    prefix: str
    made: list[str]

    def new(self, word: str) -> str:
        """One that nobody has, beginning with *word*."""
        self.made.append(f"{self.prefix}{word}-{secrets.token_hex(4)}")
        return self.made[-1]

    def among(self, names: Iterable[str]) -> list[str]:
        """Those of *names* that tests have made up."""
        return sorted({*self.made} & {*names})


NAMES = Names(os.environ.get(PREFIX, ""), [])


@dataclass(frozen=True, slots=True)
class Foreign:
    """A cluster of somebody else, as far as the tests may use it."""

    context: str
    kubeconfig: Path
    """With this one context, which is its current one; private."""
    program: str
    """kubectl."""

    def ask(self, *arguments: str) -> dict[str, Any]:
        """
        What kubectl prints as JSON.

        Raises:
            PreflightError: It fails.
        """
        text = _printed([self.program, f"--kubeconfig={self.kubeconfig}", "--request-timeout=30s", *arguments, "--output=json"])
        found: dict[str, Any] = json.loads(text)
        return found

    def version(self) -> str:
        """Of the API server."""
        return str(self.ask("version")["serverVersion"]["gitVersion"])

    def nodes(self) -> list[dict[str, Any]]:
        """All of them."""
        return list(self.ask("get", "nodes")["items"])

    def left(self) -> list[str]:
        """Namespaces of tests that are there."""
        return NAMES.among(one["metadata"]["name"] for one in self.ask("get", "namespaces")["items"])


def joined(context: str, folder: Path) -> Foreign:
    """
    The cluster of *context* in ``$KUBECONFIG`` or ``~/.kube/config``, by a kubeconfig of its own in *folder*.

    Raises:
        PreflightError: There is no kubectl, or no such context.
    """
    program = shutil.which("kubectl")
    if program is None:
        raise PreflightError(f"{NAMED}={context}: there is no kubectl in PATH", next_step="install one")
    try:
        text = _printed([program, "config", "view", "--raw", "--flatten", "--minify", f"--context={context}"])
    except PreflightError as error:
        raise PreflightError(f"{NAMED}={context}: {error.message}", next_step="kubectl config get-contexts") from error
    path = folder / "kubeconfig"
    path.touch(0o600)
    path.write_text(text)
    return Foreign(context, path, program)


def _printed(argv: list[str]) -> str:
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise PreflightError(f"kubectl {' '.join(argv[1:])}: {ran.stderr.strip()}")
    return ran.stdout
