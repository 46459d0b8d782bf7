"""The pure parts: settings, back-off, the plan, requests and replies, pages."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from tasks.base.errors import PreflightError
from tasks.base.process import ProcessId, ProcessSpec
from tasks.cluster.config import LocalCluster, RestartConfig
from tasks.cluster.control import RefusedError, answer_with
from tasks.cluster.deployment import Deployment, RestartPolicy, checked
from tasks.cluster.exposition import Family, node, render
from tasks.cluster.provider import Change, Found, changes
from tasks.cluster.server import http_answer
from tasks.cluster.state import ProcessState, State

ORDERS = ProcessSpec("orders", ("orders",), port=8001)
CARTS = ProcessSpec("carts", ("carts",))


def test_back_off_is_a_kubelets():
    """At once, then 10 s doubling to 300 s; ten minutes of running start it anew."""
    policy = RestartPolicy()
    waits = [policy.wait_s(failures) for failures in range(1, 9)]

    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert policy.failures_after(5, ran_s=599) == 6
    assert policy.failures_after(5, ran_s=600) == 1


def test_settings_refuse_a_cap_below_the_first_wait():
    """A longest wait that is shorter than the second one is a mistake, said with both numbers."""
    with pytest.raises(ValidationError, match=r"max_delay_s \(5\) must be at least delay_s \(10\)"):
        RestartConfig(max_delay_s=5)

    assert LocalCluster.model_validate({"provider": "local", "ttl_s": 60}).ttl_s == 60
    with pytest.raises(ValidationError):
        LocalCluster.model_validate({"provider": "kubeconfig"})


def test_plan_leaves_what_already_fits():
    """Differences become changes in alphabetical order; what fits is left alone, and a fitting whole plans nothing."""
    found = [
        Found("carts", "running", CARTS, "pid 1"),
        Found("orders", "running", replace(ORDERS, port=9), "pid 2"),
        Found("user", "orphaned", None, "pid 3"),
    ]
    steps = changes([ORDERS, CARTS, ProcessSpec("a", ("a",))], found)

    assert [(step.name, step.action) for step in steps] == [("a", "create"), ("orders", "replace"), ("user", "remove")]
    assert changes([CARTS], [found[0]]) == ()
    assert changes([CARTS], [replace(found[0], state="orphaned")])[0] == Change("carts", "replace", CARTS, "nobody looks after it")


@pytest.mark.parametrize(
    "spec",
    [
        *(ProcessSpec(name, ("x",)) for name in ("../x", "a/b", "", "-a", "A", "a b", "a;b", "$(id)", "a\n", "x" * 64, "a.b", "é")),
        ProcessSpec("a", ()),
        ProcessSpec("a", ("",)),
        ProcessSpec("a", ("x", "y\0z")),
        ProcessSpec("a", ("x",), {"A=B": "c"}),
        ProcessSpec("a", ("x",), port=70_000),
    ],
    ids=repr,
)
def test_what_cannot_be_started_is_refused_by_name(spec: ProcessSpec):
    """Names that are no names, empty programs, NUL and impossible ports are refused before anything is started."""
    with pytest.raises(PreflightError, match=r".+") as refusal:
        checked([spec])

    assert repr(spec.name) in str(refusal.value)
    assert refusal.value.exit_code == 3


def test_two_processes_of_one_name_are_refused():
    """A name means one process."""
    with pytest.raises(PreflightError, match="two processes are called 'carts'"):
        checked([CARTS, CARTS])


def test_a_deployment_reads_back_as_it_was_written(tmp_path):
    """What the supervisor reads is what the provider wrote."""
    deployment = Deployment("t", (ORDERS, CARTS), "orders", {"orders": 9001}, RestartPolicy(delay_s=1.5), 2.5, "/", {"A": "b"})
    deployment.write(tmp_path)

    assert Deployment.read(tmp_path) == deployment
    assert deployment.with_process(replace(CARTS, port=7)).processes == (ORDERS, replace(CARTS, port=7))
    assert deployment.without("orders").processes == (CARTS,)


def test_a_state_reads_back_as_it_was_written(tmp_path):
    """Pids keep their start times."""
    process = ProcessState("orders", "service", "running", ProcessId(7, 8), 1, 2, None, 3, "Error", None)
    state = State("t", "b", ProcessId(1, 2), "http://127.0.0.1:1", "orders", True, 1.5, None, None, (process,))
    state.write(tmp_path)

    assert State.read(tmp_path) == state
    assert State.read(tmp_path / "absent") is None


@given(st.lists(st.sampled_from(["/a", "/none"]), min_size=1, max_size=5), st.data())
def test_http_requests_are_answered_however_they_are_cut(paths, data):
    """Where the stream is cut changes no reply."""
    stream = b"".join(f"GET {path}?x=1 HTTP/1.1\r\nHost: h\r\n\r\n".encode() for path in paths)
    answer, received, replies = http_answer({"/a": "page"}.get), bytearray(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        received += stream[:cut]
        stream = stream[cut:]
        while (reply := answer(received)) is not None:
            replies.append(reply)

    assert [reply.data[:12] for reply in replies] == [b"HTTP/1.1 200" if path == "/a" else b"HTTP/1.1 404" for path in paths]
    assert not any(reply.close for reply in replies)


@pytest.mark.parametrize("line", [b"POST /a HTTP/1.1", b"GET /a HTTP/1.1\r\nContent-Length: 5", b"GET /a HTTP/1.0", b"\x00\xff", b"GET"])
def test_other_requests_end_the_connection(line):
    """A body, another method, an old version or noise is answered once, and the connection closed."""
    reply = http_answer({"/a": "page"}.get)(bytearray(line + b"\r\n\r\n"))

    assert reply is not None
    assert reply.close


def test_a_head_without_end_is_refused():
    """A peer cannot make the supervisor keep what it sends."""
    reply = http_answer({}.get)(bytearray(b"x" * 9000))

    assert reply is not None
    assert reply.data.startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize("line", [b"{}", b"[]", b"nonsense", b'{"do": 1}', b'{"do": "other"}', b'{"do": "fail"}', b"[" * 100_000])
def test_bad_requests_get_an_error_not_silence(line):
    """Every line is answered, and a handler's refusal is its text."""

    def fail(_):
        raise RefusedError("no")

    reply = answer_with({"fail": fail})(bytearray(line + b"\n"))

    assert reply is not None
    assert json.loads(reply.data)["ok"] is False
    assert not reply.close


def test_pages_are_what_a_scraper_reads():
    """Label values are escaped, and the node's page has its modes."""
    text = render([Family("a_total", "counter", "A.", (({"container": 'x"\\\n'}, 1.5),)), Family("b", "gauge", "B.", ())])
    (family,) = text_string_to_metric_families(text)
    names = {family.name for family in text_string_to_metric_families(node())}

    assert family.samples[0].labels == {"container": 'x"\\\n'}
    assert family.samples[0].value == 1.5
    assert names == {"node_cpu_seconds", "node_load1", "node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"}


def test_the_supervisor_is_light():
    """It imports nothing third-party: a process for days beside the measured app."""
    import subprocess

    code = "import sys, tasks.cluster.supervisor; print([m for m in sys.modules if m.split('.')[0] in {'pydantic','psutil','httpx','numpy','pyarrow'}])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert shown.strip() == "[]"
