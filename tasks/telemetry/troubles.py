"""From an error on the way to a server to the short word that a gap's cause has for it."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator

from tasks.telemetry.causes import NO_ANSWER
from tasks.telemetry.fetch import NotConnected, NotOk

_REFUSED = f"[Errno {errno.ECONNREFUSED}]"
_WORDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ssl.SSLCertVerificationError,), "untrusted"),
    ((ConnectionRefusedError,), "refused"),
    ((TimeoutError,), "timeout"),
    ((ConnectionError, EOFError), "cut"),
    ((NotConnected, OSError), "unreachable"),
)
"""Kinds of errors, the special ones before those that they are kinds of."""


def word_of(error: BaseException) -> str:
    """The word for *error*: its own, or that of the first of its causes that has one."""
    return next((word for one in _chain(error) if (word := _word(one)) is not None), NO_ANSWER)


def _word(error: BaseException) -> str | None:
    own = str(error.status) if isinstance(error, NotOk) else getattr(error, "word", None)
    if isinstance(own, str):
        return own
    known = next((word for kinds, word in _WORDS if isinstance(error, kinds)), None)
    if known != "unreachable":
        return known
    if _REFUSED in str(error):  # of several addresses of a name each says it in the text
        return "refused"
    return known if error.__cause__ is None else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """*error* and what it was raised from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__
