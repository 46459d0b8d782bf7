"""Row 39: labels and notes that attack the reader's browser, spreadsheet or disk."""

from __future__ import annotations

import csv
import io
import random
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from tasks.base.trials import Trial
from tasks.reporting import markdown, tables
from tasks.reporting.model import (
    Command,
    Contribution,
    Degraded,
    EventResult,
    FalseAlarm,
    Gap,
    LineageStage,
    MetricColumn,
    Note,
    RecordingView,
    ReportData,
    ScoreHistory,
)
from tasks.reporting.page import render
from tests.browser.chromium import Heard, chromium, opened
from tests.reporting.structure import parse
from tests.reporting.synthetic import report_data

HOME = "http://127.0.0.1:9"
"""Where the attacks want to go; a test puts the address of a listening server in its place."""
FAULT = "HTML, script, formula, NUL, path and 10 MB in labels and notes"
ATTACKS = {
    "script": "<script>alert(1)</script>",
    "image": f"<img src={HOME}/x onerror=alert(1)>",
    "attribute": f'" onmouseover="alert(1)" autofocus onfocus="alert(1)" style="background:url({HOME}/x)',
    "end of style": f"</style><style>@import url({HOME}/x);</style>",
    "end of title": f"</title></desc></svg><svg onload=alert(1)><image href='{HOME}/x'/>",
    "link": f'<a href="javascript:alert(1)">x</a><link rel=stylesheet href={HOME}/x><base href={HOME}>',
    "frame": f"<iframe src={HOME}/x></iframe><meta http-equiv=refresh content='0;url={HOME}/x'>",
    "template": "{{ 7*7 }}{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "formula": f'=HYPERLINK("{HOME}/x","y")',
    "command": "@SUM(1+1)*cmd|' /C calc'!A0",
    "unseen": "a\x00b\x1b[31mc\u202ed\ud800e\u2028f",
    "path": "../../../../etc/passwd\x00.csv",
    "ten megabytes": "<b>" + "A" * 10_000_000,
}


def poisoned(text: str) -> ReportData:
    """The made-up run with *text* wherever a label, a name or a note can stand."""
    data = report_data()
    view = data.recordings[2]
    assert view.metrics is not None
    trials: tuple[Trial, ...] = tuple(replace(trial, kind=text, target=text, note=text, witness=f"{text}/m") for trial in view.trials[:2])
    columns = (MetricColumn(f"{text}/m", text, "m", text), *(replace(column, unit=text) for column in view.metrics.columns[1:8]))
    metrics = replace(view.metrics, columns=columns, values=view.metrics.values[:, :8], valid=view.metrics.valid[:, :8])
    name = f"{text} {text[:20]}"
    bad = RecordingView(
        name,
        text,
        view.span,
        trials,
        view.load,
        metrics,
        (Gap(text, view.span.start_s, view.span.start_s + 4, text),),
        (Degraded(view.span.start_s, view.span.start_s + 3, text),),
        text,
    )
    scores = (ScoreHistory(text, name, metrics.time_s, np.ones(metrics.time_s.size), 2.0),)
    rows = [
        {
            **data.run["detectors"][0],
            "name": text,
            "family": text,
            "recall_by": [{"kind": text, "intensity": 1.0, "impact_events": 1, "events_detected": 1}],
        },
        {"name": text + "2", "family": text, "status": text},
    ]
    run = {
        **dict.fromkeys(("run", "parent", "status", "profile", "report"), text),
        "recordings": [{"name": name, "role": text, "id": text, "samples": 1, "series": 1, "gaps": 1, "degraded_s": 1.0}],
        "detectors": rows,
        "faults": [{"id": text, "kind": text, "target": text, "intensity": 1.0, "placebo": False, "outcome": text}],
        "ranking": [{"method": text, "level": text, "onset": text, "ac_at_1": 0.5}],
        "stages": [{"name": text, "outcome": text, "why": text, "seconds": 1.0}],
    }
    return ReportData(
        run=run,
        name=text,
        recordings=(bad,),
        scores=scores,
        events=(EventResult(text, trials[0].id, "missed", reason=text), EventResult(text, trials[1].id, "detected", 1.0, text)),
        false_alarms=(FalseAlarm(text, name, view.span.start_s + 5, view.span.start_s + 9, (Contribution(text, 0.5),), text),),
        lineage=(LineageStage(text, text, text, (text,), text, {text: text}, {text: text}),),
        sources={"detectors": text, f"scores:{text}": text, text: text},
        notes=(Note(text, "warning"),),
        power=text,
        edges=((text, text),),
        versions={text: text},
        machine={text: text},
        commands=(Command(text, text),),
        document=text,
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@dataclass
class Listener:
    """A server that every attack wants to reach; *hits* are the paths that it was asked for."""

    address: str = ""
    hits: list[str] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A real server on a free port of the loopback."""
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.hits.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing goes to standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        heard.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield heard
        finally:
            server.shutdown()
            thread.join()


def open_and_wait(browser: Browser, path: Path) -> tuple[Heard, str, bool]:
    """Open the page and all its folded parts, move over it; what was heard, its first heading and names, and whether it fits 360 pixels."""
    with opened(browser, path, width=360) as (page, heard):
        page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        page.mouse.move(200, 200)
        page.wait_for_load_state("networkidle")
        fits = page.evaluate("document.documentElement.scrollWidth") <= 360
        return heard, page.locator("h1").first.inner_text() + page.locator(".meta").inner_text(), fits


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_label_is_text_in_the_browser(browser: Browser, listener: Listener, tmp_path: Path, ledger, attack: str):
    """No dialog, no request, no broken element, no word on the console; the text itself can be read."""
    path = tmp_path / "report.html"
    html = render(poisoned(ATTACKS[attack].replace(HOME, listener.address)))
    path.write_text(html, encoding="utf-8")
    heard, told, fits = open_and_wait(browser, path)
    start = re.sub(r"[\x00-\x1f]", lambda found: chr(0x2400 + ord(found[0])), ATTACKS[attack][:10]).replace("\u202e", "\\u202e")
    quiet = listener.hits == heard.requests == heard.dialogs == heard.console == heard.errors == []
    readable = fits and start in told and parse(html).problems == [] and len(html) < 3_000_000

    figure = f"alerts {len(heard.dialogs)}; requests {len(listener.hits)}"
    ledger.count(row=39, fault=FAULT, survived=quiet and readable, figure=figure)
    assert quiet, heard
    assert readable


def test_the_policy_holds_when_escaping_does_not(browser: Browser, listener: Listener, tmp_path: Path, ledger):
    """Raw markup put into the finished page runs nothing and reaches nobody: the second wall stands alone."""
    raw = "".join(ATTACKS[name] for name in ("script", "image", "link", "end of title")).replace(HOME, listener.address)
    path = tmp_path / "report.html"
    path.write_text(render(report_data()).replace("<h1 ", f"{raw}<h1 ", 1), encoding="utf-8")
    heard, _, _ = open_and_wait(browser, path)
    refused = [line for line in heard.console if "Content Security Policy" in line]

    figure = f"alerts {len(heard.dialogs)}; requests {len(listener.hits)}"
    ledger.count(row=39, fault=FAULT, survived=heard.dialogs == listener.hits == [] and bool(refused), figure=figure)
    assert heard.dialogs == []
    assert listener.hits == []
    assert len(refused) >= 3


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_label_is_text_in_a_spreadsheet_and_in_markdown_and_harmless_as_a_file_name(
    tmp_path: Path, ledger, rng: random.Random, attack: str
):
    """No formula, no control character, no HTML, no path; alone or behind random blanks."""
    text = rng.choice(["", " ", "\t", "\u00a0 "]) + ATTACKS[attack]
    run = poisoned(text).run
    cells = [
        cell
        for told in (tables.detectors_csv(run), tables.recall_csv(run), tables.ranking_csv(run))
        for line in csv.reader(io.StringIO(told, newline=""))
        for cell in line
    ]
    computed = [cell for cell in cells if cell.lstrip().startswith(tables.FORMULA) or "\x00" in cell or len(cell) > 32_767]
    told = "".join((markdown.summary(run), markdown.recordings(run), markdown.faults(run), markdown.detectors(run), markdown.ranking(run)))
    tags = re.findall(r"<[a-z/!]", told)
    path = tmp_path / tables.file_name(text, ".csv")
    path.write_text("x")

    survived = not computed and not tags and path.parent == tmp_path and [item.name for item in tmp_path.iterdir()] == [path.name]
    ledger.count(row=39, fault=FAULT, survived=survived)
    assert (computed, tags) == ([], [])
    assert path.resolve().parent == tmp_path.resolve()
