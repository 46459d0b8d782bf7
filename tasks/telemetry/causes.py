"""Why there is a hole in the data: who failed, a short word that stays the same, and what was said first; nothing heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

API_SERVER, PROMETHEUS, COLLECTOR = "API server", "Prometheus", "collector"
SAID = 200
"""So much of a message is kept, in letters."""
NO_ANSWER = "no answer"
"""The word where nothing more is known than the message."""
PHRASES = {
    "refused": "did not answer (connection refused)",
    "timeout": "did not answer (timeout)",
    "cut": "did not answer (connection cut)",
    "unreachable": "did not answer (no connection)",
    "silent": "did not answer (nobody who was asked by way of it did)",
    "untrusted": "was not asked (its certificate is not trusted)",
    "login": "was not asked (no login)",
    "401": "did not let us in (401)",
    "403": "did not let us in (403)",
    "429": "had too much to do (429)",
    "late": "could not ask everybody (a round was longer than the interval)",
    "stood still": "stood still",
    "started anew": "was started anew",
}
"""The words, and what they say of who failed; beside them stand other statuses of HTTP."""


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """Why nobody was looked at."""

    who: str
    """:data:`API_SERVER`, :data:`PROMETHEUS` or :data:`COLLECTOR`."""
    word: str
    """One of :data:`PHRASES`, a status of HTTP, or :data:`NO_ANSWER`."""
    said: str
    """The first message, on a line; empty where there was none."""

    @classmethod
    def of(cls, who: str, word: str, said: str) -> Cause:
        """With *said* on one line, and no longer than :data:`SAID`."""
        return cls(who, word, " ".join(said.split())[:SAID])

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def cause_text(cause: Mapping[str, Any] | None) -> str:
    """``the API server did not answer (connection refused)``; empty for None."""
    if not cause:
        return ""
    word, said = str(cause["word"]), str(cause["said"])
    if word in PHRASES:
        return f"the {cause['who']} {PHRASES[word]}"
    if word.isdigit():
        return f"the {cause['who']} answered with an error ({word})"
    return f"the {cause['who']} did not answer ({said})" if said else f"the {cause['who']} did not answer"


def gap_note(gap: Mapping[str, Any]) -> str:
    """What is missing in a hole of the ledger, and why, if that is known; older ledgers have no causes."""
    why = cause_text(gap.get("cause"))
    return f"{gap['missing']} scrapes" + (f": {why}" if why else "")
