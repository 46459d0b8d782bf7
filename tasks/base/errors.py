"""
Every error a user can meet, and the exit code each one ends with.

```text
TidegaugeError            1  unexpected
|- DocumentError          2  usage or document
|- PreflightError         3  refused before anything was started
|- CredentialsError       4  the login expired or is missing
|- FaultActiveError       5  a fault may still be active
|- StorageError           6  disk full, or bytes that are not what was written
|- LockedError            7  another run holds it
|- IncompleteError        8  finished, but data are missing
|- RequirementError       9  ``evaluation.require`` was not met
|- LeftBehindError       10  something is still there after a teardown
`- Cancelled         130/143/129  a signal ended it
```

A message says what happened and ends with what to type next. Only the command line prints one.
"""

from __future__ import annotations

import signal
from typing import Any


class TidegaugeError(Exception):
    """Base of all errors that are told to the user without a traceback."""

    exit_code: int = 1

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.details: dict[str, Any] = {}
        """What ``--json`` adds to the error, as values: the mistakes of a document, one by one."""

    def __str__(self) -> str:
        return self.message if self.next_step is None else f"{self.message}\n  next: {self.next_step}"


class DocumentError(TidegaugeError):
    """The command line or the experiment document is wrong."""

    exit_code = 2


class PreflightError(TidegaugeError):
    """Something that the plan needs is not there."""

    exit_code = 3


class CredentialsError(TidegaugeError):
    """The login expired or is missing."""

    exit_code = 4


class FaultActiveError(TidegaugeError):
    """A revert could not be verified: THE FAULT MAY STILL BE ACTIVE."""

    exit_code = 5


class StorageError(TidegaugeError):
    """The disk is full, or an artifact is not what was written."""

    exit_code = 6


class LockedError(TidegaugeError):
    """Another run holds the cluster or the folder."""

    exit_code = 7


class IncompleteError(TidegaugeError):
    """It finished, but data are missing."""

    exit_code = 8


class RequirementError(TidegaugeError):
    """``evaluation.require`` was not met."""

    exit_code = 9


class LeftBehindError(TidegaugeError):
    """Something is still there after a teardown."""

    exit_code = 10


class Cancelled(TidegaugeError):
    """A signal ended the run; what it had started was reverted and taken down."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"cancelled by {signal.Signals(signum).name}", next_step="tidegauge runs list")
        self.exit_code = 128 + signum  # as a shell reports it
