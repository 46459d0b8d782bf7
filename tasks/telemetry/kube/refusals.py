"""What refusals mean that come by way of the API server: its own, which tell nothing of whom it was to ask, or another's."""

from __future__ import annotations

import json
from typing import Any

from tasks.base.errors import CredentialsError, PreflightError, TidegaugeError
from tasks.telemetry.causes import NO_ANSWER
from tasks.telemetry.fetch import FetchError, NotOk, Reply

JSON = "application/json"
BEHIND = "error trying to reach service"
"""How the API server begins when it is well, and who it was to ask for us is not."""


class Trouble(Exception):
    """
    The API server did not answer, or not as one: nothing is known of what it was asked about.

    Args:
        message: What was said.
        word: The short word for it (:mod:`tasks.telemetry.causes`).
    """

    def __init__(self, message: str, word: str = NO_ANSWER) -> None:
        super().__init__(message)
        self.word = word


class NotLetIn(Trouble):
    """It does not know us (401), or we may not do that (403)."""

    def __init__(self, message: str, status: int = 401) -> None:
        super().__init__(message, str(status))
        self.status = status

    def refusal(self, what: str) -> TidegaugeError:
        """What to end with where nothing can be recorded without *what*."""
        if self.status == 401:
            return CredentialsError(f"the API server does not let us in: {self}", next_step="log in anew, then run the same command again")
        return PreflightError(f"{what} is not allowed: {self}", next_step="tidegauge doctor FILE prints the Role that would do")


class Doubtful(FetchError):
    """A refusal of which nobody can tell whether a pod says it or a balancer before the API server."""

    doubtful = True


class Gone(Trouble):
    """It does not remember that far back (410): list anew."""


def no_login(error: CredentialsError) -> NotLetIn:
    """What to come with cannot be read."""
    made = NotLetIn(error.message)
    made.word = "login"
    return made


def refused(error: NotOk) -> Exception:
    """What a reply of another status than 200 says: of the API server, or of who is behind it."""
    said = _status(error.reply)
    if error.status == 429:
        return Trouble("the API server has too much to do (429)", "429")
    if said is None:  # in the words of who is behind it, or of what stands before it
        return Doubtful(str(error)) if error.status in (502, 503, 504) else FetchError(str(error))
    message = str(said.get("message", ""))[:300] or str(error)
    if error.status in (401, 403):
        return NotLetIn(message, error.status)
    if error.status == 410 or said.get("reason") == "Expired":
        return Gone(message)
    if error.status == 404 or message.startswith(BEHIND):
        return FetchError(message)
    return Trouble(f"the API server answers {error.status}: {message}", str(error.status))


def _status(reply: Reply) -> dict[str, Any] | None:
    """The API server's own words about a failure; None where the reply is somebody else's."""
    if not reply.content_type.startswith(JSON):
        return None
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("kind") == "Status" and value.get("apiVersion") == "v1" else None
