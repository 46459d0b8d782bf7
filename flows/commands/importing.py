"""``import``: what others have recorded, as recordings of this store; no shop, no cluster and no Prefect is touched."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from flows.console import Common
from tasks.base.errors import DocumentError

Role = Literal["training", "calibration", "faults", "hold-out"]
"""As in the section ``recordings`` of a document, whose models would take longer to load than the rest of the command."""


def register(app: App) -> None:
    """Add the commands to *app*."""
    imports = App(name="import", help="Make recordings of what others have recorded.")
    imports.command(prometheus)
    app.command(imports)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Connection:
    """How the server is reached."""

    header: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """NAME=VALUE, sent with each request; nothing secret; may be repeated."""
    header_env: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """NAME=VARIABLE, a header whose value is secret and stands in that environment variable; may be repeated."""
    ca_file: str | None = None
    """Authority that signed the server's certificate; without it, those that the system trusts."""
    cert_file: str | None = None
    """Client certificate."""
    key_file: str | None = None
    """Its key."""
    token_env: str | None = None
    """Name of the environment variable that holds a bearer token."""
    token_file: str | None = None
    """File that holds a bearer token."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Content:
    """What is taken, and what it becomes."""

    match: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """Selector of series, as '{namespace="sock-shop"}'; may be repeated; without any, all series."""
    name: str = "imported"
    """Name of the recording."""
    role: Role = "training"
    """What it may be used for."""
    labels: Path | None = None
    """CSV file of the faults in it: kind,target,start,end and, if known, fault_id,intensity,placebo,benign,outcome."""
    labels_clock: Literal["server", "client"] = "server"
    """Whose clock the times in it are."""
    service_label: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """Label that names a series' service; may be repeated, the first that is there counts."""
    way: Literal["auto", "remote-read", "range-json"] = "auto"
    """How samples are read; `auto` finds the fastest way that the server offers."""
    refresh: Annotated[bool, Parameter(negative="")] = False
    """Import anew though it is there."""


def prometheus(
    url: str,
    *,
    start: str,
    end: str = "now",
    content: Content = Content(),
    connection: Connection = Connection(),
    common: Common = Common(),
) -> int:
    """Make a recording of a past window of a Prometheus: raw samples, every hole listed, nothing filled in.

    Stopped on the way, the same command goes on where it stopped.

    Parameters
    ----------
    url
        Address of the server, as http://127.0.0.1:9090.
    start
        First moment: ISO 8601 with a zone, seconds since 1970, or how long before now, as 6h.
    end
        Last moment.
    """
    from tasks.base.memory import copying_arrays, imported

    copying_arrays()
    from flows.importing import PrometheusImport, Telling, import_prometheus
    from tasks.base.clock import iso
    from tasks.base.errors import Cancelled
    from tasks.base.intervals import Interval
    from tasks.telemetry.prometheus.access import Access
    from tasks.telemetry.prometheus.identity import SERVICE_LABELS

    imported()
    now_s = time.time()
    start_s, end_s = _moment(start, "--start", now_s), _moment(end, "--end", now_s)
    if not start_s < end_s <= now_s + 1:
        raise DocumentError("--start must lie before --end, and --end not in the future", next_step="tidegauge import prometheus --help")
    how = connection
    wanted = PrometheusImport(
        access=Access(
            url,
            _headers("--header", how.header),
            how.ca_file,
            how.cert_file,
            how.key_file,
            how.token_env,
            how.token_file,
            header_env=_headers("--header-env", how.header_env),
        ),
        span=Interval(start_s, end_s),
        match=content.match or (EVERYTHING,),
        name=_name(content.name),
        role=content.role,
        way=content.way,
        service_labels=content.service_label or SERVICE_LABELS,
        labels=content.labels,
        labels_clock=content.labels_clock,
    )
    try:
        record = import_prometheus(wanted, common.open_store(), Telling(common.progress(), common.say), refresh=content.refresh)
    except Cancelled as error:
        same = f"--start {iso(start_s)} --end {iso(end_s)}"
        error.next_step = f"the same command with {same} goes on where it stopped"
        raise
    _show(record, common)
    return int(record["exit_code"])


EVERYTHING = '{__name__!=""}'
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _moment(text: str, option: str, now_s: float) -> float:
    """Seconds since 1970, to a millisecond."""
    from tasks.base.clock import from_iso, iso

    try:
        if text == "now":
            moment_s = now_s
        elif text[-1:] in UNITS_S:
            moment_s = now_s - abs(float(text[:-1])) * UNITS_S[text[-1]]
        else:
            moment_s = float(text) if text.replace(".", "", 1).isdigit() else from_iso(text)
        iso(moment_s)  # it must be a moment that can be written down
        return round(moment_s, 3)
    except (ValueError, OverflowError, OSError) as error:
        raise DocumentError(
            f"{option} {text!r} is no time", next_step=f"{option} 2026-11-24T12:00:00Z, {option} 6h, or {option} now"
        ) from error


def _headers(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:  # what stands behind a colon or a space may be secret
            told = text.replace(":", " ").split(" ")[0]
            raise DocumentError(f"{option} {told!r} is not NAME={'VARIABLE' if option == '--header-env' else 'VALUE'}")
        found[name] = value
    return found


def _name(text: str) -> str:
    import re

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", text):
        raise DocumentError(f"--name {text!r}: lower-case letters, digits and dashes, at most 63", next_step="--name imported")
    return text


def _show(record: dict[str, object], common: Common) -> None:
    from flows.records import public

    stages = record["stages"]
    recordings = record["recordings"]
    lines = []
    if isinstance(stages, list) and isinstance(recordings, list):
        lines = [f"{one['name']} {one['outcome']} in {one['seconds']:.1f} s: {one['why']}" for one in stages]
        lines += [
            f"{one['name']} ({one['role']}): {one['samples']:,} samples of {one['series']:,} series, {one['gaps']} gaps"
            for one in recordings
        ]
    if record["error"]:
        lines.append(f"{record['status']}: {record['error']}")
    lines.append(f"run     {record['run']}  ({record['status']})")
    common.show(public(record), "\n".join(lines))
