"""A Helm chart, rendered by the user's own ``helm template``: nothing of Helm comes into the cluster."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence

from tasks.app.config import Chart
from tasks.base.errors import DocumentError, PreflightError

TIMEOUT_S = 120
LIMIT_BYTES = 16 << 20
"""Of what a chart may render to."""
_HANDED_ON = ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "SSL_CERT_FILE")
_SOURCE = re.compile(r"^---\n# Source: (?P<name>[^\n]+)\n", re.MULTILINE)


def helm_argv(chart: Chart, namespace: str, kube_version: str | None = None) -> list[str]:
    """How *chart*, whose paths are whole ones, is rendered; hooks and tests are left out, since nobody would run them at their time."""
    argv = ["helm", "template", chart.release, chart.path, f"--namespace={namespace}", "--skip-tests", "--no-hooks"]
    argv += [f"--values={name}" for name in chart.values]
    return argv if kube_version is None else [*argv, f"--kube-version={kube_version}"]


def rendered_chart(argv: Sequence[str]) -> list[tuple[str, bytes]]:
    """
    What *argv* prints: for each template its name, and the text that it became.

    Raises:
        PreflightError: There is no Helm, or it takes too long.
        DocumentError: It refuses the chart, with its own words.
    """
    env = {name: value for name, value in os.environ.items() if name in _HANDED_ON or name.startswith("HELM_")}
    try:
        ran = subprocess.run(list(argv), stdin=subprocess.DEVNULL, capture_output=True, env=env, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise PreflightError(
            "helm is not installed", next_step="install it, or render the chart elsewhere and name the result in app.manifests"
        ) from None
    except subprocess.TimeoutExpired:
        raise PreflightError(f"helm did not end within {TIMEOUT_S} s", next_step=shlex.join(argv)) from None
    if ran.returncode != 0:
        said = ran.stderr.decode(errors="replace").strip()[-2000:]
        raise DocumentError(f"helm refuses the chart:\n{said}", next_step=shlex.join(argv))
    if len(ran.stdout) > LIMIT_BYTES:
        raise DocumentError(f"the chart became {len(ran.stdout):,} bytes; more than {LIMIT_BYTES:,} are not deployed")
    return templates(ran.stdout.decode(errors="replace"))


def templates(text: str) -> list[tuple[str, bytes]]:
    """The output of ``helm template``, split where it says from which template the next object is."""
    marks = list(_SOURCE.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    head = text[: marks[0].start()] if marks else text
    parts = [(f"rendered {mark['name']}", text[mark.end() : end].encode()) for mark, end in zip(marks, ends, strict=True)] if marks else []
    return [*([("rendered chart", head.encode())] if head.strip() else []), *parts]
