"""
Text and numbers as a reader sees them: foreign text made harmless and short, numbers rounded with their unit, undefined as ``-``.

Escaping for HTML is the template's work and not done here.
"""

from __future__ import annotations

import hashlib
import unicodedata

LIMIT = 160
"""Characters of one foreign text that are shown; the rest is counted, not shown."""
UNDEFINED = "-"


def visible(text: str, *, multiline: bool = False) -> str:
    r"""
    *text* with every character that cannot be seen made visible.

    Control characters become their pictures (NUL is ``␀``); direction overrides, zero-width characters, lone surrogates and
    private ones become ``\uXXXX``. With *multiline* line feeds and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character, multiline) for character in text)


def _visible(character: str, multiline: bool) -> str:
    if multiline and character in "\n\t":
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return character


def shown(text: str, limit: int = LIMIT) -> str:
    """*text* on one line, visible, at most *limit* characters of it; a cut says how long the text was and its SHA-256."""
    if len(text) <= limit:
        return visible(text)
    return f"{visible(text[:limit])}… [{len(text):,} characters, sha256 {digest_of(text)[:12]}]"


def digest_of(text: str) -> str:
    """SHA-256 of any text in hex, lone surrogates included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def anchor(kind: str, *names: str) -> str:
    """An id for use in a page or in a file name: *kind*, and a hash of the *names*, whatever they hold."""
    return f"{kind}-{digest_of(chr(0).join(names))[:12]}"


def number(value: float | None) -> str:
    """Three significant digits, thousands in full; ``-`` for None."""
    if value is None:
        return UNDEFINED
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def seconds(value: float | None) -> str:
    """A duration: ``2.0 s``, ``3 min 20 s``, ``4 h 05 min``; ``-`` for None."""
    if value is None:
        return UNDEFINED
    if abs(value) < 60:
        return f"{value:.1f} s" if value else "0 s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min" if minutes else f"{hours:,} h"


def ratio(value: float | None) -> str:
    """A share as percent: ``12 %``, ``0.4 %``; ``-`` for None."""
    if value is None:
        return UNDEFINED
    percent = value * 100
    return f"{percent:.0f} %" if percent >= 10 or percent in {0.0, 100.0} else f"{percent:.1f} %"


def measure(value: float | None) -> str:
    """A figure between 0 and 1 with two decimals; ``-`` for None."""
    return UNDEFINED if value is None else f"{value:.2f}"


def share(part: float | None, whole: int | None) -> str:
    """``5 of 6``, ``1.35 of 6`` for a mean; ``-`` when either is None or there is nothing to share."""
    return UNDEFINED if part is None or not whole else f"{number(part)} of {whole:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 fault``, ``2 faults``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(words: tuple[str, ...] | list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
