"""``detectors list`` and ``detectors test``."""

from cyclopts import App

from flows.console import Common
from tasks.base.errors import TidegaugeError


def register(app: App) -> None:
    """Add the group to *app*."""
    group = App(name="detectors", help="Which detectors there are, and whether one keeps the contract.")
    group.command(list_, name="list")
    group.command(test)
    app.command(group)


def list_(*, common: Common = Common()) -> int:
    """List all detectors with their family and default settings."""
    from dataclasses import asdict

    from tasks.detectors.registry import descriptions

    found = descriptions()
    lines = [f"{one.name:17} {one.family:18} {one.sentence}" for one in found]
    common.show([asdict(one) for one in found], "\n".join(lines))
    return 0


def test(name: str, *, common: Common = Common()) -> int:
    """Run the contract suite on one detector.

    Parameters
    ----------
    name
        Its name, as `detectors list` prints it.
    """
    from tasks.detectors.contract import check
    from tasks.detectors.registry import make

    results = check(make(name))
    lines = [f"{'ok  ' if one.ok else 'FAIL'} {one.name}: {one.sentence}" for one in results]
    common.show([{"check": one.name, "ok": one.ok, "sentence": one.sentence} for one in results], "\n".join(lines))
    if all(one.ok for one in results):
        return 0
    raise TidegaugeError(f"{name} breaks the contract of detectors", next_step="mend the checks marked FAIL")
