"""What is told on the way is a courtesy: what is under way does not depend on whether anybody listens."""

from __future__ import annotations

import io

import pytest

from flows.console import Common, LiveLine, MinuteLines, fail
from tasks.base.errors import LockedError
from tasks.base.progress import Progress


class Gone(io.StringIO):
    """Standard error whose reader has gone."""

    def write(self, _: str) -> int:
        """To nobody."""
        raise BrokenPipeError(32, "Broken pipe")

    def fileno(self) -> int:
        """Of a terminal that was closed."""
        raise OSError(5, "Input/output error")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after ``2>&1 | head``, or when the terminal was closed."""
    monkeypatch.setattr("sys.stderr", Gone())


def test_progress_that_nobody_reads_ends_nothing(nobody: None):
    """Neither the lines of a log nor that of a terminal, nor a sentence."""
    for report in (MinuteLines(), LiveLine()):
        report(Progress("close", "verifying what was written", 1, 1))
    Common().say("a sentence")


def test_the_exit_code_is_that_of_the_error_though_nobody_reads_why(nobody: None):
    """Seven, not that of a broken pipe."""
    assert fail(LockedError("the shop is in use"), json=False) == 7


@pytest.mark.parametrize("kind", [MinuteLines, LiveLine])
def test_what_somebody_has_to_do_stays_in_sight(capsys: pytest.CaptureFixture[str], kind: type[MinuteLines] | type[LiveLine]):
    """Whole, on a line of its own, however soon it comes after others of its stage, and whatever comes next."""
    report, text = kind(), f"the login is not valid any more: {'x' * 200}"
    for step in (Progress("cluster", "a"), Progress("cluster", text, lasting=True), Progress("recording", "normal", 1, 60)):
        report(step)

    assert f"cluster: {text}\n" in capsys.readouterr().err
