"""The report as a reader has it: in a browser, wide and narrow, light and dark, by keyboard, on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tasks.reporting.page import render
from tests.browser.chromium import chromium, opened
from tests.reporting.synthetic import report_data

CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => { for (let e = element; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255, 255]; };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("script, style, title, desc, .unseen, .skip")) continue;
    const style = getComputedStyle(element);
    const [one, two] = [light(rgba(element.closest("svg") ? style.fill : style.color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className}: ${ratio.toFixed(2)} ${element.textContent.trim().slice(0, 40)}`);
  }
  return poor;
}
"""
NAMELESS = """
() => [...document.querySelectorAll("a, button, summary, [role=img], [role=region], main, nav, section")]
  .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label")) && e.tagName !== "MAIN").map((e) => e.outerHTML.slice(0, 120))
"""
SORTED = (
    "(index) => [...document.querySelectorAll('#detectors tbody tr')].map((row) => row.cells[index].textContent.trim().split(/\\s/)[0])"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(report_data()), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_quiet_fits_and_can_be_read(browser: Browser, report: Path, width: int, scheme: str):
    """No request, no word on the console, no sideways scrolling, contrast of at least 4.5 everywhere, folded parts included."""
    with opened(browser, report, width=width, scheme=scheme) as (page, heard):
        page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")

        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(NAMELESS) == []
        assert (heard.requests, heard.console, heard.errors, heard.dialogs) == ([], [], [], [])


def test_light_and_dark_differ(browser: Browser, report: Path):
    """The page follows the reader's setting."""
    grounds = set()
    for scheme in ("light", "dark"):
        with opened(browser, report, scheme=scheme) as (page, _):
            grounds.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    assert len(grounds) == 2


def focus_heading(page: Page, label: str) -> None:
    """Walk with the tab key until the heading *label* of the detector table has the focus."""
    page.locator("#detectors").evaluate("table => table.closest('.scroll').focus()")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == label:
            return
    raise AssertionError(f"the tab key never reached {label}")


def test_a_table_is_sorted_by_keyboard_alone(browser: Browser, report: Path):
    """Tab to a heading, Enter sorts the largest first, Space turns the order; undefined stays last; the heading says which way."""
    with opened(browser, report) as (page, heard):
        focus_heading(page, "VUS-PR")
        page.keyboard.press("Enter")
        down = page.evaluate(SORTED, 8)
        said = page.locator("#detectors th[aria-sort=descending]").inner_text()
        page.keyboard.press("Space")
        up = page.evaluate(SORTED, 8)

        assert said.startswith("VUS-PR")
        assert page.locator("#announce").text_content() == "Sorted by VUS-PR, ascending"
        assert (down[-1], up[-1]) == ("-", "-")
        assert [float(value) for value in down[:-1]] == sorted((float(value) for value in down[:-1]), reverse=True)
        assert [float(value) for value in up[:-1]] == sorted(float(value) for value in up[:-1])
        assert down != up
        assert heard.console == heard.errors == []


def test_each_number_leads_to_the_artifact_it_was_read_from(browser: Browser, report: Path):
    """The digest beside a table opens that artifact's lineage."""
    with opened(browser, report) as (page, _):
        page.locator("#detectors caption a").click()
        page.wait_for_function("document.querySelector('details.stage[open]')")

        assert page.locator("details.stage[open] summary").inner_text().startswith("evaluation")


def test_fault_windows_are_drawn_where_the_faults_were(browser: Browser, report: Path):
    """On the time line of 250 s each of the eight trials has its band at its time, and a tooltip that names it."""
    trials = report_data().recordings[2].trials
    with opened(browser, report) as (page, _):
        bands = page.locator("#run article").nth(2).locator(".plot.bare > svg > rect[class=fault], .plot.bare > svg > rect[class=placebo]")
        places = bands.evaluate_all("all => all.map((r) => [parseFloat(r.getAttribute('x')), r.textContent])")

    start_s = report_data().recordings[2].span.start_s
    assert [round(place, 2) for place, _ in places] == [round((trial.windows.requested - start_s) / 250 * 100, 2) for trial in trials]
    assert all(trial.target in title for trial, (_, title) in zip(trials, places, strict=True))


def test_paper_shows_what_the_screen_folds_away(browser: Browser, report: Path):
    """Printing opens all parts, hides the navigation, is black on white even in the dark, and cuts no table off."""
    with opened(browser, report, scheme="dark") as (page, _):
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")

        assert page.locator("details:not([open])").count() == 0
        assert not page.locator("nav").is_visible()
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("[...document.querySelectorAll('.scroll')].every((box) => getComputedStyle(box).overflowX === 'visible')")
