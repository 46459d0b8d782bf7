"""
What the API server can say no with.

``KubeError`` -> ``NotFound`` (404), ``Forbidden`` (403, exit 3), ``Conflict`` (409), ``Invalid`` (400, 422), ``Gone`` (410),
``Unavailable`` (429, 5xx, or no usable reply, after the retries). A login that ended is a
:class:`tasks.base.errors.CredentialsError` (exit 4); what is wrong before the first request, a
:class:`tasks.base.errors.PreflightError`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tasks.base.errors import TidegaugeError

LONGEST = 1000
"""Characters of a server's message that are shown."""


class KubeError(TidegaugeError):
    """The API server refused a request; *message* is its own."""

    def __init__(self, message: str, *, status: int | None = None, reason: str = "", next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.status = status
        """HTTP status; None: there was no reply."""
        self.reason = reason
        """The API's own word: ``AlreadyExists``, ``NotFound``; empty where it has none."""
        self.done_before = False
        """Whether an earlier try, whose answer was lost, may have done what was asked."""


class NotFound(KubeError):
    """There is no such object, or no such kind."""


class Forbidden(KubeError):
    """The login may not do that, or a quota or an admission rule forbids it."""

    exit_code = 3


class Conflict(KubeError):
    """It exists already, or was changed by somebody else meanwhile."""


class Invalid(KubeError):
    """The object or the question is wrong."""


class Gone(KubeError):
    """What was asked for is too old to be continued: list anew."""


class Unavailable(KubeError):
    """No usable reply within the time that retries may take, or one without sense."""


_NEVER_RIGHT = "failed to create typed patch object"
"""A field that does not exist, in an apply: the server calls it its own failure (500), and it will be that every time."""
_KINDS: Mapping[int, type[KubeError]] = {400: Invalid, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone, 413: Invalid, 422: Invalid}


def status_of(body: bytes) -> dict[str, Any]:
    """The API's ``Status`` object in *body*; empty where the body is something else, as behind a proxy path."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) and value.get("kind") == "Status" and value.get("apiVersion") == "v1" else {}


def refusal(status: int, body: bytes, what: str) -> KubeError:
    """The error for a reply of *status* >= 400 to *what* (``GET /api/v1/pods``), in the server's words; an Unavailable may pass."""
    said = status_of(body)
    text = str(said.get("message") or body[:LONGEST].decode("utf-8", "replace").strip() or f"status {status}")[:LONGEST]
    reason = str(said.get("reason") or "")
    kind = Invalid if _NEVER_RIGHT in text else _KINDS.get(status, Unavailable if status == 429 or status >= 500 else KubeError)
    return kind(f"{what}: {text}", status=status, reason=reason, next_step=_next_step(status, text, said))


def _next_step(status: int, text: str, said: Mapping[str, Any]) -> str | None:
    """What to do about it, where that is known."""
    causes = {cause.get("reason") for cause in (said.get("details") or {}).get("causes") or () if isinstance(cause, dict)}
    if "NamespaceTerminating" in causes:
        return "wait until the namespace is gone: what keeps it is in `kubectl get namespace NAME -o yaml`, under status.conditions"
    if status == 403 and "exceeded quota" in text:
        return "ask for less, or for a larger ResourceQuota"
    if status == 403 and "system:anonymous" in text:
        return "the context holds no login: name a user in the kubeconfig"
    if status == 403 and " cannot " in text:
        return "have the right granted: `tidegauge doctor` prints the Role that would do"
    return None
