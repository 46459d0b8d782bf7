"""Drawings of socks, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

_SOCK = "M64 14h62v92c0 12 8 19 20 25l20 10c22 11 22 46-8 49-11 1-21-3-30-8l-42-23c-15-8-22-20-22-37z"
_TILES = {
    "weave": (
        '<path d="M0 4h8M12 4h8M0 14h8M12 14h8" stroke="{c}" stroke-width="4"/><path d="M10 0v9M10 11v9" stroke="{a}" stroke-width="3"/>'
    ),
    "checks": '<path d="M0 10h20M10 0v20" stroke="{c}" stroke-width="1.2"/>',
    "crosses": '<path d="M5 5l10 10M15 5L5 15" stroke="{c}" stroke-width="2.4"/>',
    "stripes": '<path d="M0 3h20M0 9h20" stroke="{c}" stroke-width="2"/>',
    "holes": '<circle cx="10" cy="10" r="5" fill="{c}"/>',
    "triangles": '<path d="M6 5l10 5.5L6 16z" fill="{c}"/>',
    "diamonds": '<path d="M10 0l10 10-10 10L0 10z" fill="{c}"/><path d="M0 0l20 20M20 0L0 20" stroke="{a}" stroke-width=".8"/>',
    "ribs": '<path d="M3 0v20M10 0v20M17 0v20" stroke="{c}" stroke-width="1.6"/>',
    "dots": '<circle cx="5" cy="5" r="3.6" fill="{c}"/><circle cx="15" cy="15" r="3.6" fill="{a}"/>',
    "paws": (
        '<ellipse cx="10" cy="13" rx="4.4" ry="3.6" fill="{c}"/>'
        '<circle cx="4.6" cy="8" r="1.8" fill="{c}"/><circle cx="10" cy="5.6" r="1.8" fill="{c}"/>'
        '<circle cx="15.4" cy="8" r="1.8" fill="{c}"/>'
    ),
}
"""One 20 by 20 tile a pattern; ``{c}`` is the pattern's colour, ``{a}`` that of cuff, heel and toe."""


def sock_svg(pattern: str, colours: Sequence[str]) -> str:
    """
    The drawing of one sock, 210 by 210.

    Args:
        pattern: One of the ten known patterns.
        colours: Of the knit, of cuff, heel and toe, and of the pattern.
    """
    knit, accent, ink = colours
    tile = _TILES[pattern].format(c=ink, a=accent)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 210 210"><defs>'
        f'<pattern id="p" width="20" height="20" patternUnits="userSpaceOnUse">{tile}</pattern>'
        f'<clipPath id="s"><path d="{_SOCK}"/></clipPath></defs>'
        f'<path d="{_SOCK}" fill="{knit}"/><g clip-path="url(#s)"><path d="M0 0h210v210H0z" fill="url(#p)"/>'
        f'<path d="M60 10h70v28H60z" fill="{accent}"/><circle cx="72" cy="146" r="27" fill="{accent}"/>'
        f'<circle cx="178" cy="172" r="29" fill="{accent}"/>'
        '<path d="M66 12v27M74 12v27M82 12v27M90 12v27M98 12v27M106 12v27M114 12v27M122 12v27" stroke="#0002" stroke-width="2"/></g>'
        f'<path d="{_SOCK}" fill="none" stroke="#0003" stroke-width="2.5"/></svg>'
    )
