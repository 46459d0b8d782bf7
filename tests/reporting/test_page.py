"""The page as text: structure, sameness, escaping, size."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Trial, Windows
from tasks.reporting.model import LoadHistory, MetricColumn, MetricHistory, RecordingView, ReportData, ScoreHistory
from tasks.reporting.page import render
from tests.reporting.structure import Page, parse
from tests.reporting.synthetic import report_data


@pytest.fixture(scope="module")
def html() -> str:
    return render(report_data())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return parse(html)


def test_every_element_is_closed_and_every_id_is_used_once(page: Page):
    """A browser need repair nothing."""
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]

    assert page.problems == []
    assert len(ids) == len(set(ids))


def test_every_link_and_label_on_the_page_leads_to_an_id_on_the_page(page: Page):
    """No link leads away, and none leads to nowhere."""
    ids = {element.attributes["id"] for element in page.elements if "id" in element.attributes}
    links = {element.attributes["href"] for element in page.all("a")}
    labels = {name for element in page.elements for name in (element.attributes.get("aria-labelledby") or "").split()}

    assert {f"#{name}" for name in ids} >= links
    assert labels <= ids


def test_the_page_reads_well_without_eyes(page: Page):
    """One main part, one first heading, no level skipped, a caption on each table, a name on each picture."""
    levels = [int(element.tag[1]) for element in page.elements if re.fullmatch(r"h[1-6]", element.tag)]
    pictures = page.all("svg", role="img")

    assert len(page.all("main")) == len(page.all("h1")) == len(page.all("header")) == len(page.all("nav")) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table")) >= 9
    assert len(pictures) > 40
    assert all(picture.text and picture.attributes["aria-labelledby"] for picture in pictures)
    assert page.all("html")[0].attributes["lang"] == "en"


def test_sections_come_in_the_order_of_a_readers_questions(page: Page):
    """First the verdict and the detectors, last the words."""
    assert [element.attributes["id"] for element in page.all("section")] == [
        *("verdict", "run", "trials", "scores", "cases", "cause", "metrics", "lineage", "again", "glossary")
    ]
    assert page.all("table")[0].attributes["id"] == "detectors"


def test_the_detector_table_says_what_the_run_object_says(page: Page):
    """Each cell that holds a number holds the run object's number."""
    text = page.all("table", id="detectors")[0].text
    rows = {str(row["name"]): row for row in report_data().run["detectors"]}

    assert all(name in text for name in rows)
    cells = [element for element in page.elements if "data-value" in element.attributes]
    rates = {float(element.attributes["data-value"] or "nan") for element in cells}
    assert {row["false_alarms_per_day"] for row in rows.values()} <= rates


def test_undefined_is_a_dash_with_the_reason(page: Page):
    """None is never 0 and never empty."""
    dashes = [element for element in page.elements if element.tag == "span" and element.text == "-"]

    assert len(dashes) > 10
    assert all((element.attributes.get("title") or "").startswith("undefined: ") for element in dashes if element.attributes.get("title"))
    assert sum("data-none" in element.attributes for element in page.elements) >= 10


def test_the_same_input_gives_the_same_bytes_in_another_process():
    """Neither the hash seed nor the clock gets into the page."""
    code = "from tests.reporting.synthetic import report_data; from tasks.reporting.page import render; import hashlib; print(hashlib.sha256(render(report_data()).encode()).hexdigest())"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(found) == 1
    assert len(found.pop().strip()) == 64


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(html: str, page: Page):
    """The hashes in the policy are those of what stands in the page; no element carries a style or a handler of its own."""
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0].attributes["content"] or ""
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in body]
        assert [f"{directive} 'sha256-{digest}'" in policy for digest in digests] == [True]

    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert not [element for element in page.elements if any(name == "style" or name.startswith("on") for name in element.attributes)]


def test_nothing_on_the_page_names_another_place(html: str):
    """No address to fetch from, in whatever attribute."""
    assert not re.search(r"(?:src|href|action|data|poster)=\"(?!#|data:,)", html)
    assert "http://" not in html
    assert "https://" not in html


def test_a_run_without_anything_has_a_page_too():
    """A failed run says what is missing instead of failing again."""
    page = parse(render(ReportData(run={"run": "r1", "status": "failed"}, name="x")))

    assert page.problems == []
    assert page.all("h1")[0].text == "No detector was evaluated."


def test_labels_are_text_whatever_they_hold():
    """Markup, template code and unseen characters in a name are shown as they are."""
    nasty = "<img src=x onerror=alert(1)>\x00{{7*7}}\u202e"
    data = report_data()
    trial = replace(data.recordings[2].trials[0], target=nasty, note=nasty)
    view = replace(data.recordings[2], name=nasty, trials=(trial,))
    html = render(replace(data, name=nasty, recordings=(view,)))
    page = parse(html)

    assert page.problems == []
    assert page.all("img") == []
    assert "&lt;img src=x onerror=alert(1)&gt;\u2400{{7*7}}\\u202e" in html
    assert "\x00" not in html
    assert "\u202e" not in html


def test_a_text_of_ten_megabytes_is_cut_and_counted():
    """Its length and its digest stand in its place."""
    text = "=cmd|' /C calc'!A0" + "x" * 10_000_000
    html = render(replace(report_data(), name=text, document=text, machine={text: text}))

    assert len(html) < 3_000_000
    assert "10,000,018 characters" in html


def test_a_weekend_with_hundreds_of_trials_stays_below_three_megabytes():
    """72 hours at one second a row, 200 trials, 30 metrics, 11 detectors."""
    rng, length, count = np.random.default_rng(1), 72 * 3600, 200
    time_s = np.arange(length, dtype=np.float64) + 1.79e9
    trials = tuple(
        Trial(
            f"t{n}",
            "latency",
            "orders",
            0.5,
            n % 5 == 0,
            60.0,
            Windows(at, at + 1, at + 3, at + 61, at + 62, at + 90),
            None if n % 5 == 0 else Outcome.IMPACT,
            "orders/m0",
        )
        for n, at in enumerate(time_s[600::1290][:count].tolist())
    )
    noise = rng.normal(5, 1, length)
    load = LoadHistory(time_s, *(noise for _ in range(8)))
    columns = tuple(MetricColumn(f"orders/m{n}", "orders", f"m{n}", "s") for n in range(30))
    metrics = MetricHistory(time_s, columns, np.repeat(noise.astype(np.float32)[:, None], 30, axis=1), np.ones((length, 30), bool))
    view = RecordingView("faults", "faults", Interval(time_s[0], time_s[-1]), trials, load, metrics)
    scores = tuple(ScoreHistory(f"d{n}", "faults", time_s, noise, 7.0) for n in range(11))

    html = render(ReportData(run={"run": "r1", "status": "complete"}, name="weekend", recordings=(view,), scores=scores))

    assert len(html.encode()) < 3_000_000
