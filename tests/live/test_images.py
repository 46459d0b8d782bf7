"""What is in the images does what it is there for."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.live.conftest import Cluster, eventually
from tests.live.context import NAMES as MADE_UP
from tests.live.images import read_recipe

NAMES = read_recipe().names()
TRIED = ("prometheus", "locust", "fault", "demo")
pytestmark = [pytest.mark.live, pytest.mark.images(*(NAMES[short] for short in TRIED)), pytest.mark.timeout(300)]
HELD_MS = 100
HOLDING = f"""
import socket, subprocess, threading, time

def accept(listener):
    while True:
        listener.accept()[0].close()

threading.Thread(target=accept, args=[socket.create_server(("127.0.0.1", 8000))], daemon=True).start()
subprocess.run("iptables -I INPUT -p tcp --dport 8000 -j NFQUEUE --queue-num 5 --queue-bypass".split(), check=True)

def fastest_ms():
    times = []
    for _ in range(5):
        begun_s = time.monotonic()
        socket.create_connection(("127.0.0.1", 8000)).close()
        times.append((time.monotonic() - begun_s) * 1000)
    return min(times)

holder = subprocess.Popen("python3 /app/hold_packets.py --queue 5 --delay-ms {HELD_MS} --seconds 600".split())
while (during := fastest_ms()) < {HELD_MS} and holder.poll() is None:  # until it has bound its queue
    pass
holder.kill()
holder.wait()
print(during, fastest_ms())
"""


@pytest.fixture
def run(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test's own."""
    name = MADE_UP.new(f"images-{request.node.originalname.rpartition('_')[2]}")
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def pod(image: str, **container: object) -> str:
    """A pod that runs once, named like its image."""
    only = {"name": image, "image": NAMES[image], "imagePullPolicy": "Never", **container}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [only]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": image}, "spec": spec})


def printed(cluster: Cluster, namespace: str, image: str, **container: object) -> str:
    """What a pod printed that has ended well."""
    cluster.kubectl(f"--namespace={namespace}", "apply", "-f", "-", given=pod(image, **container))
    phase = [f"--namespace={namespace}", "get", "pod", image, "-o=jsonpath={.status.phase}"]
    eventually(lambda: cluster.kubectl(*phase) in ("Succeeded", "Failed"))
    text = cluster.kubectl(f"--namespace={namespace}", "logs", image)
    assert cluster.kubectl(*phase) == "Succeeded", text
    return text


def test_prometheus(cluster, run):
    """It answers through the API server, as a user without a way into the network reaches it."""
    ready = {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1}
    given = pod("prometheus", args=["--config.file=/dev/null", "--storage.tsdb.path=/prometheus"], readinessProbe=ready)
    cluster.kubectl(f"--namespace={run}", "apply", "-f", "-", given=given)
    cluster.kubectl(f"--namespace={run}", "wait", "pod/prometheus", "--for=condition=Ready", "--timeout=60s")

    told = cluster.kubectl("get", "--raw", f"/api/v1/namespaces/{run}/pods/prometheus:9090/proxy/api/v1/status/buildinfo")

    assert json.loads(told)["data"]["version"] == "3.16.0"


def test_locust(cluster, run):
    """It starts, and finds its users."""
    text = printed(cluster, run, "locust", args=["--locustfile=/app/locustfile.py", "--list"])

    assert "Visitor" in text


def test_fault(cluster, run):
    """Packets are held for the time that was asked for, and flow as before once nobody holds them."""
    rights = {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}
    text = printed(cluster, run, "fault", command=["python3", "-c", HOLDING], securityContext=rights)

    during_ms, after_ms = map(float, text.split()[-2:])
    assert during_ms >= HELD_MS > after_ms


def test_demo(cluster, run):
    """It has what the demo shop imports."""
    modules = "import jinja2, prometheus_client, sqlite3, ssl, starlette, uvicorn; print('all')"

    assert printed(cluster, run, "demo", command=["python3", "-c", modules]).strip() == "all"
