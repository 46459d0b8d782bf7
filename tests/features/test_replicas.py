"""What comes from a cluster by replica: the columns of one machine, from looks that each kubelet takes at its own pace."""

from __future__ import annotations

import numpy as np
import pytest

from tests.features.conftest import Tape

SETTINGS = {"grid_s": 5.0, "rate_window_s": 60.0}


def looks(first: float, last: float, *, step: float = 14.0, jitter: float = 4.0, seed: int = 1) -> list[float]:
    """Moments at which a kubelet looked: every ten to nineteen seconds."""
    rng = np.random.default_rng(seed)
    count = int((last - first) / (step - jitter)) + 1
    times = first + np.cumsum(rng.uniform(step - jitter, step + jitter + 1, count))
    return [float(time) for time in times.round(3) if time <= last]


def container(
    tape: Tape, replica: int, at: list[float], *, level: float = 100.0, cores: float = 0.2, name: str = "orders", born: float = 0.0
) -> None:
    """A replica's container as cAdvisor tells of it; its counters began at *born*."""
    place = {"job": "cadvisor", "replica": str(replica), "container": name}
    tape.add("container_memory_working_set_bytes", dict.fromkeys(at, level), role="container", **place)
    tape.add("container_cpu_usage_seconds_total", {t: cores * (t - born) for t in at}, role="container", cpu="total", **place)
    tape.add("container_cpu_cfs_periods_total", {t: 10.0 * (t - born) for t in at}, role="container", **place)
    tape.add("container_cpu_cfs_throttled_periods_total", {t: 2.5 * (t - born) for t in at}, role="container", **place)


def state(tape: Tape, replica: int, last: float, *, restarts: float = 0.0) -> None:
    """What is known of the pod at every tick."""
    at = np.arange(0.0, last, 5.0).tolist()
    tape.add(
        "kube_pod_container_status_restarts_total",
        dict.fromkeys(at, restarts),
        role="container",
        container="orders",
        job="state",
        replica=str(replica),
    )
    tape.add("up", dict.fromkeys(at, 1.0), job="pods", replica=str(replica))


def test_the_columns_are_those_of_one_machine():
    """No column comes or goes with a replica, a pod or a page."""
    tape = Tape()
    for replica in (0, 1):
        container(tape, replica, looks(0, 600, seed=replica))
        state(tape, replica, 600)
    tape.add(
        "container_network_receive_bytes_total",
        {t: 50.0 * t for t in looks(0, 600)},
        role="pod",
        interface="eth0",
        job="cadvisor",
        replica="0",
    )
    tape.add("node_cpu_usage_seconds_total", {t: 1.5 * t for t in looks(0, 600)}, service="node", role="node", job="resource", node="node1")
    names = tape.build(until=590, **SETTINGS).names

    assert names == (
        "node/cpu_cores",
        "orders/cpu_cores",
        "orders/memory_working_set_bytes",
        "orders/network_receive_bytes_per_s",
        "orders/restarts",
        "orders/throttled_ratio",
        "orders/up",
    )


def test_what_the_kubelet_tells_seldom_is_not_taken_for_missing():
    """Pods are looked at every five seconds, containers every fourteen: each is judged by its own rhythm."""
    tape = Tape()
    container(tape, 0, looks(0, 900))
    state(tape, 0, 900)
    matrix = tape.build(until=880, **SETTINGS)

    settled = slice(15, None)
    for name, value in (("memory_working_set_bytes", 100.0), ("cpu_cores", 0.2), ("throttled_ratio", 0.25), ("up", 1.0), ("restarts", 0.0)):
        column = matrix.column(f"orders/{name}")[settled]
        assert (~np.isnan(column)).mean() > 0.97, name
        assert column[~np.isnan(column)] == pytest.approx(value, rel=1e-3), name


def test_replicas_add_up():
    """Each at its own moments; and sidecars with them."""
    tape = Tape()
    container(tape, 0, looks(0, 900, seed=1))
    container(tape, 1, looks(0, 900, seed=2))
    container(tape, 1, looks(0, 900, seed=3), level=7.0, cores=0.05, name="mesh")
    matrix = tape.build(until=880, **SETTINGS)

    level, cores, throttled = (
        matrix.column(f"orders/{name}")[20:] for name in ("memory_working_set_bytes", "cpu_cores", "throttled_ratio")
    )
    known = ~np.isnan(level)
    assert known.mean() > 0.9
    assert set(level[known].tolist()) == {207.0}
    assert cores[~np.isnan(cores)] == pytest.approx(0.45, rel=1e-3)
    assert throttled[~np.isnan(throttled)] == pytest.approx(0.25, rel=1e-3)


def test_a_pod_that_is_replaced_goes_on_in_its_series():
    """Its counters begin anew; no rate is negative, none is missing for longer than the pod was away and a window."""
    tape = Tape()
    before, after = looks(0, 300, seed=1), looks(306, 900, seed=2)
    place = {"job": "cadvisor", "replica": "0", "container": "orders", "cpu": "total"}
    grown = {t: 0.2 * t for t in before} | {t: 0.2 * (t - 304) for t in after}
    tape.add("container_cpu_usage_seconds_total", grown, role="container", **place)
    matrix = tape.build(until=880, **SETTINGS)
    column = matrix.column("orders/cpu_cores")[15:]

    assert np.nanmin(column) >= 0
    assert np.isnan(column).sum() * 5 < 30
    assert int(matrix.resets[matrix.names.index("orders/cpu_cores")]) == 1
    assert column[-50:] == pytest.approx(0.2, rel=1e-3)


def test_a_quotient_of_what_stood_still_does_not_exist():
    """No period passed: the container was idle; the cell is masked, and counts as observed."""
    tape = Tape()
    for name in ("container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total"):
        tape.add(name, dict.fromkeys(range(0, 300, 10), 5.0), role="container", job="cadvisor", replica="0", container="orders")
    matrix = tape.build(until=280, **SETTINGS)

    place = matrix.names.index("orders/throttled_ratio")
    assert np.isnan(matrix.values[15:, place]).all()
    assert matrix.undefined[15:-2, place].all()
