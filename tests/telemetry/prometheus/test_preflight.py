"""What is refused before and after a server was read, and whether a series fits a selector as the server itself sees it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tasks.base.errors import CredentialsError, PreflightError
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.client import Client
from tasks.telemetry.prometheus.preflight import fitting, looked_over, require_matches, require_room
from tasks.telemetry.prometheus.selectors import parse_selector
from tasks.telemetry.series import Series
from tests.prometheus.cutting_proxy import Answer, Cut, CuttingProxy, always, busy, by_request
from tests.prometheus.history import START_MS, Course, generations, odd_labels, resets, write_blocks
from tests.prometheus.servers import EACH_MAJOR, Prometheus


def looked(url, way="auto"):
    return looked_over(Client(DirectAdapter(Access(url))), way)


def test_nobody_there_is_told_with_the_address():
    """And what to look at."""
    with CuttingProxy(1) as gone:
        url = gone.url
    with pytest.raises(PreflightError, match="no Prometheus answers") as refused:
        looked(url)

    assert url in refused.value.message
    assert url in str(refused.value.next_step)


@pytest.mark.parametrize(
    "act", [Answer(200, b"<html>"), Answer(404, b"404 page not found"), Answer(200, b'{"status": "error", "errorType": "x", "error": "y"}')]
)
def test_something_else_is_told(act):
    """A page, nothing, an error: no traceback."""
    with CuttingProxy(1, always(act)) as other, pytest.raises(PreflightError, match=f"{other.url} is no Prometheus"):
        looked(other.url)


def test_a_connection_that_is_closed_just_then_is_no_refusal(tmp_path):
    """Whichever of the first questions it hits; one that is always closed is."""
    with Prometheus(tmp_path) as server:
        for number in range(6):
            with CuttingProxy(server.port, by_request({number: Cut(0)})) as proxy:
                assert looked(proxy.url).version == looked(server.url).version
        with CuttingProxy(server.port, always(Cut(0))) as proxy, pytest.raises(PreflightError, match="no Prometheus answers"):
            looked(proxy.url)


def test_a_busy_server_and_a_closed_one_are_told_apart():
    """The one may answer later, the other wants a token."""
    with CuttingProxy(1, always(busy())) as server, pytest.raises(PreflightError, match="answers 503"):
        looked(server.url)
    with CuttingProxy(1, always(Answer(401))) as server, pytest.raises(CredentialsError):
        looked(server.url)


@dataclass
class Usage:
    """Of a disk."""

    free: int


@pytest.mark.parametrize("samples", [None, 0, 10**6, 10**9])
def test_room_is_wanted_for_what_is_expected(tmp_path, samples):
    """1.6 bytes a sample, and half as much again; what nobody knows is not refused."""
    needed = int((samples or 0) * 2.4)
    require_room(tmp_path, samples, lambda _: Usage(needed + 1))
    if needed:
        with pytest.raises(PreflightError, match=f"{samples:,} samples need") as refused:
            require_room(tmp_path, samples, lambda _: Usage(needed - 1))
        assert str(tmp_path) in refused.value.message


def test_a_selector_that_found_nothing_is_named():
    """Each of them, and only those."""
    texts = ("up", "nothing", 'up{job="a"}', 'up{job="b"}')
    series = (Series(0, "up", "s", "service", {"job": "a"}),)
    selectors = [parse_selector(text) for text in texts]
    require_matches("h", texts[::2], selectors[::2], series)

    with pytest.raises(PreflightError) as refused:
        require_matches("h", texts, selectors, series)
    assert refused.value.message == 'h has no sample for nothing and up{job="b"} in that time'


SELECTORS = (
    "odd",
    '{__name__!=""}',
    'odd{place="3"}',
    'odd{place!="3"}',
    'odd{place=~"1|2"}',
    'odd{place=~"1"}',
    'odd{place!~"1.*"}',
    'odd{nolabel=""}',
    'odd{nolabel!=""}',
    'odd{nolabel=~".*"}',
    'odd{nolabel=~".+"}',
    'odd{nolabel!~".+"}',
    'odd{text=~".*\\n.*"}',
    'odd{text=~"(?i)A .QUOTED. WORD"}',
    'odd{text=~"two.lines"}',
    'odd{text=~"x+"}',
    'odd{text=~"x{1000}"}',
    'odd{text=~"x{,9}.*"}',
    'odd{text=~"[^a-z]+"}',
    'odd{text=~"[[:alpha:]]+"}',
    'odd{text=~"[^[:digit:]]+"}',
    'odd{text=~"\\\\\\\\n"}',
    'odd{text=~"e."}',
    'odd{text=~"^tab"}',
    'odd{text=~"^tab.*$"}',
    'odd{text=~"tab|a=b,c.d."}',
    'odd{text=~"\\\\pS"}',
    'odd{text=~"\\\\d*"}',
    '{__name__=~"resetting_.*",how!="by_one"}',
    '{__name__=~"container.*",pod=~"orders-7c9d-.*"}',
    '{job="cadvisor",__name__!~".*bytes"}',
    '{instance=~"10\\\\.0\\\\.0\\\\.[12]:8080"}',
    "nothing",
    '{__name__=~"resetting.*",how=~"to_zero|"}',
)


KNOWN: tuple[Course, ...] = (*odd_labels(), *resets(), *generations())
SERIES = [
    Series(number, course.name, "s", "service", {name: value for name, value in course.labels if name != "__name__"})
    for number, course in enumerate(KNOWN)
]
WIDER = 'odd{text=~"two.lines"}'
"""A dot is no line end to 2.x, and is one to 3.x and to us."""


@pytest.fixture(scope="module", params=EACH_MAJOR)
def server(request, tmp_path_factory):
    """A real server that knows some odd series."""
    folder = tmp_path_factory.mktemp("server")
    write_blocks(KNOWN, folder / "data")
    with Prometheus(folder, binary=request.param, flags=("--storage.tsdb.retention.time=100y",)) as started:
        yield started


@pytest.mark.parametrize("text", SELECTORS)
def test_a_series_fits_a_selector_as_the_server_sees_it(server, text):
    """Every operator, labels that are not there, expressions that are matched whole."""
    found = {
        tuple(sorted(one.items()))
        for one in server.api("series", **{"match[]": text, "start": START_MS / 1000, "end": START_MS / 1000 + 7200})
    }
    ours = {course.labels for course, fits in zip(KNOWN, fitting(parse_selector(text), SERIES), strict=True) if fits}

    assert (found <= ours) if text == WIDER else (ours == found)


@pytest.mark.parametrize("pattern", ["(.*)*b", "([a-z0-9]+-?)+_", "(x|xx)*y"])
def test_no_expression_takes_for_ever(pattern):
    """What a reader that goes back would try in as many ways as there are, is read once by RE2."""
    many = [Series(number, "m", "s", "service", {"pod": f"{'x' * 200}.{number}"}) for number in range(1000)]

    assert not fitting(parse_selector(f'm{{pod=~"{pattern}"}}'), many).any()


def test_an_expression_that_only_the_server_can_read_is_not_judged():
    """It took it, and answered."""
    assert fitting(parse_selector('m{a=~"("}'), [Series(0, "m", "s", "service", {})]).all()
