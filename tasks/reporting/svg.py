"""
One drawing primitive: a plot over time as inline SVG that takes its colours from the page's style sheet.

Horizontal places are percentages and vertical ones pixels, so a plot fills whatever width it is given while its text keeps its size.
Lines stand in a stretched inner picture whose strokes do not scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from tasks.reporting.axis import Scale, outline, time_ticks
from tasks.reporting.model import Floats
from tasks.reporting.wording import anchor

FOOT = 18
"""Pixels under a plot for its time labels."""
SINGLE_BANDS = 80
"""Bands of one plot that have a rectangle and a tooltip each; more share one path a kind, which is a fifth of the size."""
FINE = 4
"""Vertical steps a pixel in a line's coordinates."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series: *x* in seconds, *y* in the axis' unit, *css* a class of the style sheet."""

    x: Floats
    y: Floats
    css: str = "one"


@dataclass(frozen=True, slots=True)
class Band:
    """A span of time drawn behind (or, with *lane*, under) the lines; *title* is its tooltip, *text* is written into it."""

    start_s: float
    end_s: float
    css: str
    title: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """
    A plot of *height* pixels from *start_s* to *end_s*; *origin_s* is the moment that the time labels count from.

    *key* makes its ids unique on the page; *title* and *description* are read aloud instead of the picture. *rule* is a value
    of the axis drawn as a dashed line; *lane* are bands in a strip of its own below the lines.
    """

    key: str
    title: str
    description: str
    start_s: float
    end_s: float
    height: int
    scale: Scale | None = None
    lines: tuple[Line, ...] = ()
    bands: tuple[Band, ...] = ()
    lane: tuple[Band, ...] | None = None
    rule: float | None = None
    origin_s: float | None = None
    buckets: int = 360
    ticks: int = 5


def draw(plot: Plot) -> Markup:
    """The plot as markup: a gutter with the axis' labels, and the picture."""
    total = plot.height + (10 if plot.lane is not None else 0) + FOOT
    names = Markup('<title id="{0}-t">{1}</title><desc id="{0}-d">{2}</desc>').format(
        anchor("plot", plot.key), plot.title, plot.description
    )
    body = Markup("").join((_grid(plot), *_bands(plot), _lines(plot), _rule(plot), *_lane(plot), *_times(plot)))
    return Markup(
        '<div class="plot{bare}">{gutter}'
        '<svg class="area" height="{total}" role="img" aria-labelledby="{id}-t {id}-d">{names}{body}</svg></div>'
    ).format(
        bare="" if plot.scale else " bare", gutter=_gutter(plot, total), total=total, id=anchor("plot", plot.key), names=names, body=body
    )


def _down(scale: Scale, height: int, value: float) -> float:
    share = float(scale.place(np.asarray([value]))[0])
    return round(height - share * height, 1)


def _across(plot: Plot, moment_s: float) -> float:
    share = (moment_s - plot.start_s) / (plot.end_s - plot.start_s)
    return round(100 * min(max(share, 0.0), 1.0), 2)


def _gutter(plot: Plot, total: int) -> Markup:
    if plot.scale is None:
        return Markup("")
    labels = Markup("").join(
        Markup('<text x="100%" y="{}" dy=".32em">{}</text>').format(_down(plot.scale, plot.height, value), words)
        for value, words in plot.scale.ticks
    )
    return Markup('<svg class="gutter" height="{}" aria-hidden="true">{}</svg>').format(total, labels)


def _grid(plot: Plot) -> Markup:
    levels = [_down(plot.scale, plot.height, value) for value, _ in plot.scale.ticks] if plot.scale else []
    levels = levels if plot.height in levels else [*levels, float(plot.height)]
    return Markup("").join(Markup('<line class="grid" x2="100%" y1="{0}" y2="{0}"/>').format(level) for level in levels)


def _bands(plot: Plot) -> list[Markup]:
    seen = [band for band in plot.bands if band.end_s > plot.start_s and band.start_s < plot.end_s]
    if len(seen) <= SINGLE_BANDS:
        return [_band(plot, band, 0, plot.height) for band in seen]
    paths = Markup("").join(
        Markup('<path class="{}" d="{}"/>').format(css, "".join(_box(plot, band) for band in seen if band.css == css))
        for css in dict.fromkeys(band.css for band in seen)
    )
    return [
        Markup('<svg width="100%" height="{0}" viewBox="0 0 10000 {0}" preserveAspectRatio="none">{1}</svg>').format(plot.height, paths)
    ]


def _box(plot: Plot, band: Band) -> str:
    left, right = round(100 * _across(plot, band.start_s)), round(100 * _across(plot, band.end_s))
    width = max(right - left, 10)
    return f"M{left} 0h{width}v{plot.height}h-{width}z"


def _lane(plot: Plot) -> list[Markup]:
    if plot.lane is None:
        return []
    strip = Markup('<rect class="strip" y="{}" width="100%" height="7"/>').format(plot.height + 3)
    return [strip, *(_band(plot, band, plot.height + 3, 7) for band in plot.lane)]


def _band(plot: Plot, band: Band, top: int, height: int) -> Markup:
    left, right = _across(plot, band.start_s), _across(plot, band.end_s)
    title = Markup("<title>{}</title>").format(band.title) if band.title else Markup("")
    mark = Markup('<rect class="{}" x="{}%" y="{}" width="{}%" height="{}">{}</rect>').format(
        band.css, left, top, round(max(right - left, 0.25), 2), height, title
    )
    if not band.text:
        return mark
    return mark + Markup('<text class="tag" x="{}%" y="{}">{}</text>').format(round((left + right) / 2, 2), top + 11, band.text)


def _lines(plot: Plot) -> Markup:
    if plot.scale is None or not plot.lines:
        return Markup("")
    paths = Markup("").join(Markup('<path class="{}" d="{}"/>').format(line.css, _path(plot, plot.scale, line)) for line in plot.lines)
    return Markup('<svg class="stretch" width="100%" height="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">{}</svg>').format(
        plot.height, plot.buckets * FINE, plot.height * FINE, paths
    )


def _path(plot: Plot, scale: Scale, line: Line) -> str:
    """Relative whole-number steps, which are a third of the size of absolute decimals."""
    points, lift = outline(line.x, line.y, plot.start_s, plot.end_s, plot.buckets)
    x = np.rint((line.x[points] - plot.start_s) / (plot.end_s - plot.start_s) * plot.buckets * FINE).astype(np.int64)
    y = np.rint((1 - scale.place(line.y[points])) * plot.height * FINE).astype(np.int64)
    steps, here = [], (0, 0)
    for across, down, up in zip(x.tolist(), y.tolist(), lift.tolist(), strict=True):
        steps.append(f"M{across} {down}h0" if up else f"l{across - here[0]} {down - here[1]}")
        here = (across, down)
    return "".join(steps)


def _rule(plot: Plot) -> Markup:
    if plot.rule is None or plot.scale is None or not np.isfinite(plot.rule):
        return Markup("")
    return Markup('<line class="rule" x2="100%" y1="{0}" y2="{0}"/>').format(_down(plot.scale, plot.height, plot.rule))


def _times(plot: Plot) -> list[Markup]:
    origin = plot.start_s if plot.origin_s is None else plot.origin_s
    base = plot.height + (10 if plot.lane is not None else 0)
    marks = []
    for moment, words in time_ticks(plot.start_s, plot.end_s, origin, plot.ticks):
        at = _across(plot, moment)
        marks.append(
            Markup('<line class="tick" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/><text class="{4}" x="{0}%" y="{3}">{5}</text>').format(
                at, base, base + 4, base + 15, "end" if at > 96 else "start" if at < 2 else "mid", words
            )
        )
    return marks
