"""``doctor``: what this machine and this document have, what they lack, and one command to mend each."""

from pathlib import Path

from cyclopts import App

from flows.console import Common
from flows.findings import Check
from tasks.base.errors import PreflightError

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def register(app: App) -> None:
    """Add the command to *app*."""
    app.command(doctor)


def doctor(file: Path | None = None, *, common: Common = Common()) -> int:
    """Check in a few seconds whether a run can work here: each line is ok, warn or FAIL, with what to type next.

    Parameters
    ----------
    file
        An experiment document; without one, the machine alone is looked at.
    """
    from flows.checks import checks

    found = checks(file, common.store_path())
    lines = [line for one in found for line in _lines(one)]
    common.show([one.to_json() for one in found], "\n".join(lines))
    failed = [one for one in found if one.state == "fail"]
    if failed:
        raise PreflightError(f"{len(failed)} checks failed; the first: {failed[0].text}", next_step=failed[0].fix or "tidegauge doctor")
    return 0


def _lines(one: Check) -> list[str]:
    """What is said of a check: how it is, what mends it, and what helps with that."""
    found = [f"{MARKS[one.state]} {one.name}: {one.text}"]
    if one.fix:
        found.append(f"       fix: {one.fix}")
    return [*found, *(f"         {line}" for line in one.more.splitlines())]
