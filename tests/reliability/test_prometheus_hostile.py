"""Imported recordings that were damaged, addresses that lead elsewhere, and replies that are almost right: rows 14, 15, 36 and 40."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from flows.commands.runs import verify
from flows.console import Common
from tasks.artifacts.store import Store
from tasks.base.errors import DocumentError, PreflightError
from tasks.telemetry.config import PrometheusSource
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.client import STREAMED, Client, Way
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused
from tasks.telemetry.prometheus.frames import frames
from tasks.telemetry.prometheus.selectors import parse_selector
from tasks.telemetry.prometheus.writer import WindowWriter
from tests.prometheus.cutting_proxy import CuttingProxy, Rewrite, always, by_path, redirect
from tests.prometheus.history import HISTORIES, Course, differing, span_ms
from tests.prometheus.recorded import EVERYTHING, Recording, asked, fingerprint, held, imported, serving
from tests.prometheus.servers import Prometheus

FLIPS = 40
MUTATIONS = 500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A server with the hand-made histories."""
    with serving(tmp_path_factory.mktemp("prometheus"), courses()) as running:
        yield running


def courses() -> list[Course]:
    return [course for made in HISTORIES.values() for course in made()]


# -- row 14: bit rot ------------------------------------------------------------------------------------------------------


def test_one_flipped_byte_of_any_file_of_an_import_is_named(ledger: Any, rng: random.Random, server: Prometheus, tmp_path: Path, capsys):
    """``runs verify --read-data`` names the file and ends with 6, whichever file it is; mended, all is well again."""
    made = imported(asked(server.url, *span_ms(courses())), tmp_path / "store")
    common = Common(store=tmp_path / "store", quiet=True)
    assert verify(made.record["run"], read_data=True, common=common) == 0
    files = sorted(path for path in made.folder.rglob("*") if path.is_file() and path.stat().st_size)
    chosen = [*files, *rng.choices(files, k=max(0, FLIPS - len(files)))]
    caught = 0
    for path in chosen:
        good = path.read_bytes()
        path.write_bytes(flipped_byte(good, path.name == "manifest.json", rng))
        capsys.readouterr()
        code = verify(made.record["run"], read_data=True, common=common)
        named = str(path) in (said := capsys.readouterr().out) or (path.name == "manifest.json" and "manifest" in said)
        path.write_bytes(good)
        caught += code == 6 and named
        figure = f"caught {caught}/{len(chosen)} in {len(files)} files of an import"
        ledger.count(row=14, fault="one byte of an imported recording flipped", survived=code == 6 and named, figure=figure)
        assert code == 6, path
        assert named, (path, said)
    assert verify(made.record["run"], read_data=True, common=common) == 0
    assert len(files) >= 6


def flipped_byte(good: bytes, manifest: bool, rng: random.Random) -> bytes:
    """*good* with another byte somewhere; in a manifest one that matters: a blank may be another blank there."""
    while True:
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= rng.randrange(1, 256)
        try:
            if not manifest or json.loads(bad) != json.loads(good):
                return bytes(bad)
        except ValueError:
            return bytes(bad)


# -- row 15: edited, deleted ----------------------------------------------------------------------------------------------


def edited(found: Recording) -> None:
    """A chunk of the same size and time, with other content."""
    path = next((found.folder / "samples").iterdir())
    before, raw = path.stat(), bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def chunk_deleted(found: Recording) -> None:
    """A chunk is missing."""
    next((found.folder / "samples").iterdir()).unlink()


def facts_edited(found: Recording) -> None:
    """It says that it is complete."""
    path = found.folder / "recording.json"
    path.write_text(path.read_text().replace('"gaps": ', '"gaps":  '))


def all_deleted(found: Recording) -> None:
    """The index says it is there, and it is not."""
    shutil.rmtree(found.folder)


def labels_planted(found: Recording) -> None:
    """A file more."""
    (found.folder / "more.csv").write_text("kind,target\n")


@pytest.mark.parametrize("touch", [edited, chunk_deleted, facts_edited, all_deleted, labels_planted], ids=lambda touch: touch.__name__)
def test_a_touched_import_is_brought_anew(ledger: Any, server: Prometheus, tmp_path: Path, touch: Callable[[Recording], None]) -> None:
    """Untouched it is found without a question to the server; touched it is not used, and what comes is whole."""
    wanted, root = asked(server.url, *span_ms(courses())), tmp_path / "store"
    first = imported(wanted, root)
    again = imported(wanted, root)
    touch(first)

    anew = imported(wanted, root)

    whole = differing(held(anew.folder), courses()) == [] and not Store(root).problems(anew.ref)
    survived = (
        (first.outcome, again.outcome, anew.outcome) == ("ran", "cached", "ran") and whole and imported(wanted, root).outcome == "cached"
    )
    ledger.count(row=15, fault=f"an imported recording {touch.__name__.replace('_', ' ')}", survived=survived, figure="stale reuse 0")
    assert survived, (first.outcome, again.outcome, anew.outcome)


def test_another_question_is_not_answered_from_what_is_there(ledger: Any, server: Prometheus, tmp_path: Path) -> None:
    """One millisecond, another selector, way, name or label file more: it is asked for anew."""
    first_ms, last_ms = span_ms(courses())
    labels = tmp_path / "labels.csv"
    labels.write_text("kind,target,start,end\n")
    root = tmp_path / "store"
    imported(asked(server.url, first_ms, last_ms), root)
    others: list[dict[str, Any]] = [
        {"match": ("jittered",)},
        {"way": "range-json"},
        {"name": "other"},
        {"role": "calibration"},
        {"service_labels": ("how",)},
        {"labels": labels},
        {"labels": labels, "labels_clock": "client"},
    ]
    wanted = [asked(server.url, first_ms, last_ms - 1), *(asked(server.url, first_ms, last_ms, **other) for other in others)]
    for one in wanted:
        survived = imported(one, root).outcome == "ran"
        ledger.count(row=15, fault="an import that differs from the one that is there", survived=survived, figure="stale reuse 0")
        assert survived, one
    labels.write_text("kind,target,start,end\n\n")
    survived = imported(wanted[-1], root).outcome == "ran"
    ledger.count(row=15, fault="a label file was edited", survived=survived, figure="stale reuse 0")
    assert survived


# -- row 36: addresses ----------------------------------------------------------------------------------------------------

METADATA = (
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xA9FEA9FE",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[fd00:ec2::254]",
    "[FD00:0EC2:0:0:0:0:0:254]",
    "100.100.100.200",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata",
)
ELSEWHERE = ("[fe80::1]", "[fe80::1%25eth0]", "169.254.0.7", "0.0.0.0", "0", "[::]", "224.0.0.1", "[ff02::1]")
REFUSED = (
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "gopher://127.0.0.1:{port}/_GET",
    "ftp://127.0.0.1:{port}/",
    "dict://127.0.0.1:{port}/",
    "unix:///run/x.sock",
    "data:application/json,1",
    "//127.0.0.1:{port}",
    "127.0.0.1:{port}",
    "http:///api",
    "http://user:secret@127.0.0.1:{port}",
    "http://user@127.0.0.1:{port}",
    "http://:secret@127.0.0.1:{port}",
    "http://127.0.0.1:{port}@example.com",
    "http://127.0.0.1:{port}/?token=secret",
    "http://127.0.0.1:{port}/#secret",
    "http://127.0.0.1:{port}/\r\nHost: example.com",
    "http://127.0.0.1:{port}/ HTTP/1.1",
    "http://127.0.0.1:{port}/\x00",
    "http://127.0.0.1:99999",
    "http://[::1",
    *(f"http://{host}" for host in (*METADATA, *ELSEWHERE)),
    *(f"https://{host}:443/prometheus" for host in METADATA[:6]),
)


@pytest.mark.parametrize("address", REFUSED)
def test_no_address_leads_elsewhere(ledger: Any, server: Prometheus, tmp_path: Path, address: str) -> None:
    """Refused in a document and by the import, before any request, and without a word of what is secret in it."""
    with CuttingProxy(server.port) as other:
        url = address.replace("{port}", str(other.port))
        with pytest.raises(ValueError, match=r"address|form|link-local"):
            PrometheusSource(kind="prometheus", url=url)
        with pytest.raises(DocumentError) as refused:
            imported(asked(url, *span_ms(courses())), tmp_path / "store")
        survived = other.requests == other.connections == 0 and "secret" not in str(refused.value) and refused.value.exit_code == 2
    ledger.count(row=36, fault="address of another kind or host", survived=survived, figure="0 requests went elsewhere, 0 tokens leaked")
    assert survived, refused.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["/api/v1/status/buildinfo", "/api/v1/query?query=time", "/api/v1/read", "/api/v1/query?query=sum"])
def test_a_redirect_never_takes_the_token_along(
    ledger: Any, server: Prometheus, tmp_path: Path, monkeypatch, status: int, path: str
) -> None:
    """Wherever on the way a server sends us to another one, with a token in hand: exit 3, and the other one never hears of it."""
    token = f"canary-{status}-7f3c9b21"
    monkeypatch.setenv("PROMETHEUS_TOKEN", token)
    with (
        CuttingProxy(server.port) as other,
        CuttingProxy(server.port, by_path({path: redirect(f"{other.url}{path}", status=status)})) as first,
    ):
        access = Access(first.url, token_env="PROMETHEUS_TOKEN")  # noqa: S106 -- its name
        with pytest.raises(PreflightError, match="redirects are not followed") as refused:
            imported(asked(first.url, *span_ms(courses()), access=access), tmp_path / "store")
        leaked = other.mentioned(token)
        survived = other.connections == 0 and not leaked and first.mentioned(token) and refused.value.exit_code == 3
    told = token in str(refused.value) or any(token.encode() in one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    ledger.count(
        row=36, fault="redirect to another host, with a token", survived=survived and not told, figure=f"tokens leaked {int(leaked)}"
    )
    assert survived, (other.connections, leaked)
    assert not told


# -- row 40: replies that are almost right ----------------------------------------------------------------------------------


@contextmanager
def answering() -> Iterator[tuple[str, Callable[[Way, bytes], None]]]:
    """A server that answers whatever it is told; its address, and how it is told."""
    told: dict[str, tuple[bytes, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind, body = told["now"]
            head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
            self.wfile.write(head + body)

        do_GET = do_POST = answer  # noqa: N815 -- the names in the library

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the name in the library
            """Say nothing."""

    def tell(way: Way, body: bytes) -> None:
        kind = STREAMED if way == "remote-read" else "application/json"
        told["now"] = kind.encode(), body

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}", tell
        listening.shutdown()


def spoiled(raw: bytes, rng: random.Random) -> bytes:
    """*raw* with a few bytes of it changed, moved, left out or added."""
    bad = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 3, 20))):
        if not bad:
            break
        place, kind = rng.randrange(len(bad)), rng.random()
        if kind < 0.5:
            bad[place] ^= 1 << rng.randrange(8)
        elif kind < 0.65:
            bad[place : place + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(9))
        elif kind < 0.8:
            bad[place:place] = bad[place : place + rng.randrange(1, 200)]
        elif kind < 0.9:
            bad[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x80\x80\x80\x80", b"\x7f\xff\xff\xff"))
        elif len(bad) > 1:
            del bad[place or 1 :]
    return bytes(bad)


def framed(data: bytes) -> bytes:
    """*data* as a frame whose checksum is right."""
    size, head = len(data), bytearray()
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes([*head, size]) + struct.pack(">I", google_crc32c.value(data)) + data


def borders(stream: bytes) -> set[int]:
    """Where a frame of *stream* ends: cut there, with a length that is right, it is a whole reply."""
    places, at = {0}, 0
    for data in frames([stream]):
        at += len(framed(data))
        places.add(at)
    return places


def recorded_body(server: Prometheus, way: Way, first_ms: int, last_ms: int) -> bytes:
    """What a real server answers to a remote read, or to a raw range selector."""
    bodies: list[bytes] = []
    with CuttingProxy(server.port, always(Rewrite(lambda body: bodies.append(body) or body))) as proxy:
        list(Client(DirectAdapter(Access(proxy.url))).samples(way, parse_selector(EVERYTHING), first_ms, last_ms))
    (body,) = bodies
    return body


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["remote-read", "remote-read, checksum right", "range-json"])
def test_a_mutilated_reply_ends_in_a_clean_error(ledger: Any, rng: random.Random, server: Prometheus, tmp_path: Path, kind: str) -> None:
    """Hundreds of replies that are almost right: the one error that is meant for it, or samples; what a checksum covers is right or refused."""
    first_ms, last_ms = span_ms(courses())
    way: Way = "range-json" if kind == "range-json" else "remote-read"
    good = recorded_body(server, way, first_ms, last_ms)
    ends = borders(good) if way == "remote-read" else set()
    datas = list(frames([good])) if way == "remote-read" else []
    refused = 0
    with answering() as (url, tell):
        client = Client(DirectAdapter(Access(url)), timeout_s=5)
        tell(way, good)
        whole = brought(client, way, tmp_path / "whole", first_ms, last_ms)
        assert size_of(tmp_path / "whole") > 1000
        for number in range(MUTATIONS):
            folder = tmp_path / str(number)
            if kind.endswith("right"):
                place = rng.randrange(len(datas))
                body = b"".join(framed(spoiled(data, rng) if at == place else data) for at, data in enumerate(datas))
            else:
                body = spoiled(good, rng)
                while body in (good, b"") or (good[: len(body)] == body and len(body) in ends):
                    body = spoiled(good, rng)
            tell(way, body)
            try:
                found, error = brought(client, way, folder, first_ms, last_ms), None
            except (MalformedReply, ServerRefused) as known:
                found, error = None, known
            except Exception as unknown:  # whatever else it is, it is what must not be
                found, error = "crash", unknown
            refused += found is None
            unseen = not (folder / "chunks.jsonl").exists() and not any((folder / "samples").iterdir()) if found is None else True
            right = found is None or kind != "remote-read" or found == whole
            survived = found != "crash" and unseen and right
            figure = f"crashes 0/{number + 1}, {refused} refused"
            ledger.count(row=40, fault=f"mutilated reply, {kind}", survived=survived, figure=figure)
            assert survived, (number, repr(error), unseen)
            shutil.rmtree(folder, ignore_errors=True)
    assert refused > MUTATIONS / 4


def brought(client: Client, way: Way, folder: Path, first_ms: int, last_ms: int) -> str:
    """Write what *client* gets into *folder*; the fingerprint of what can be read there."""
    writer = WindowWriter(folder)
    try:
        writer.write([client.samples(way, parse_selector(EVERYTHING), first_ms, last_ms)], last_ms)
    finally:
        writer.close()
    return fingerprint(folder)


def size_of(folder: Path) -> int:
    return sum(len(course.time_ms) for course in held(folder).values())


def test_a_reply_that_claims_a_huge_size_takes_no_memory(ledger: Any, server: Prometheus) -> None:
    """Frames of gigabytes, labels of gigabytes, chunks of 65,535 samples in ten bytes: refused before room is made for them."""
    import tracemalloc

    def field(number: int, content: bytes) -> bytes:
        head, size = bytearray([number << 3 | 2]), len(content)
        while size > 127:
            head.append(size & 127 | 128)
            size >>= 7
        return bytes([*head, size]) + content

    name = field(1, field(1, b"__name__") + field(2, b"up"))
    chunk = b"\x08\x01\x10\x02\x18\x01" + field(4, b"\xff\xff" + bytes(10))
    claims = {
        "a frame of 4 GB": b"\xff\xff\xff\xff\x0f" + bytes(64),
        "a frame of 2**63 bytes": b"\xff" * 9 + b"\x01" + bytes(64),
        "a label of 1 GB": framed(b"\x0a\x80\x80\x80\x80\x04" + bytes(32)),
        "65,535 samples in ten bytes": framed(field(1, name + field(2, chunk))),
        "a thousand such chunks": framed(field(1, name + field(2, chunk) * 1000)),
    }
    with answering() as (url, tell):
        client = Client(DirectAdapter(Access(url)), timeout_s=5)
        for what, body in claims.items():
            tell("remote-read", body)
            tracemalloc.start()
            with pytest.raises(MalformedReply):
                list(client.samples("remote-read", parse_selector(EVERYTHING), 0, 10**13))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            survived = peak < 20_000_000
            ledger.count(row=40, fault=f"a reply that claims {what}", survived=survived)
            assert survived, (what, peak)
