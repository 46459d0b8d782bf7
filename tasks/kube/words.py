"""Text of others in our messages: one line, bounded."""

from __future__ import annotations

LONGEST = 300


def one_line(text: object) -> str:
    """*text* without line breaks and control characters, cut to a length that fits a message."""
    words = " ".join(str(text).split())
    return "".join(letter for letter in words if letter.isprintable())[:LONGEST]
