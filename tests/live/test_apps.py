"""Apps as pods: the demo shop comes up and sells socks, soon; what cannot come up says why, soon."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator

import pytest

from tasks.app.config import DemoShop, SockShop
from tasks.app.files import app_of
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import Placement
from tasks.app.kube.reaching import containers_of, entrance, workloads_of
from tasks.app.rollout import Rollout
from tasks.base.errors import PreflightError
from tasks.cluster.kube.manifests import Bounds, Manifest
from tasks.cluster.kube.provider import KubeProvider
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.live.conftest import ROOT, Cluster
from tests.live.context import NAMES
from tests.live.own_images import own_names

pytestmark = [pytest.mark.live, pytest.mark.images(own_names()["shop"]), pytest.mark.timeout(300)]
SHOP = app_of(DemoShop())
SMOKE = """
import sys
from tasks.app.config import DemoShop
from tasks.app.files import app_of
from tasks.app.smoke import smoke
result = smoke(sys.argv[1], app_of(DemoShop()).smoke)
print(result.sentence)
sys.exit(0 if result.passed else 1)
"""


@pytest.fixture(scope="module")
def kube(standing) -> Kube:
    """The adapter, on the session's cluster."""
    return Kube.connect(KubeAccess(kubeconfig=str(standing().kubeconfig)))


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Placement]:
    """A namespace of this test's own."""
    name = NAMES.new("apps")
    cluster.kubectl("create", "namespace", name)
    yield Placement(name, "live-1")
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def put(kube: Kube, place: Placement, manifests: Iterable[Manifest]) -> None:
    """Make it so, as the product does."""
    provider = KubeProvider(kube, Bounds(place.run, (place.namespace,)))
    for change in provider.plan(manifests):
        provider.apply(change)


def ready(kube: Kube, place: Placement) -> None:
    """The shop is there, as the product does it."""
    manifests = manifests_of(SHOP, place)
    put(kube, place, manifests)
    Rollout(kube, place, manifests, timeout_s=120).wait()


def test_the_shop_sells_socks(cluster, kube, place):
    """Browsing, a basket, an order, a refusal: through the Service of its entry, as every user comes in."""
    ready(kube, place)
    way_in = entrance(SHOP, manifests_of(SHOP, place), place.namespace)
    address = cluster.kubectl(f"--namespace={place.namespace}", "get", "service", way_in.service, "--output=jsonpath={.spec.clusterIP}")
    inside = ["nsenter", f"--net={cluster.netns}", sys.executable, "-c", SMOKE, f"http://{address}:{way_in.port}"]

    ran = subprocess.run(inside, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"all {len(SHOP.smoke)} steps passed" in ran.stdout


def test_pods_have_what_the_app_file_says(cluster, kube, place):
    """The image by its digest, the limits, another user than root, a file system that nobody writes to."""
    ready(kube, place)
    (pod,) = json.loads(cluster.kubectl(f"--namespace={place.namespace}", "get", "pods", "--selector=app=carts", "--output=json"))["items"]

    (container,) = pod["status"]["containerStatuses"]
    assert "sha256:" in container["imageID"]
    assert container["resources"]["limits"] == {"cpu": "500m", "memory": "192Mi"}
    shell = "id -u; touch /x 2>/dev/null || echo read-only; touch /tmp/x && ls /data; ls /var/run/secrets 2>/dev/null | wc -l"
    told = cluster.kubectl(f"--namespace={place.namespace}", "exec", pod["metadata"]["name"], "--", "sh", "-c", shell).split()
    assert (told[0], told[1], told[-1]) == ("10001", "read-only", "0")
    assert "carts.sqlite" in told


def test_applied_again_nothing_starts_anew(cluster, kube, place):
    """The same objects are the same pods."""
    pods = [f"--namespace={place.namespace}", "get", "pods", "--output=jsonpath={.items[*].metadata.uid}"]
    ready(kube, place)
    before = cluster.kubectl(*pods)

    ready(kube, place)

    assert cluster.kubectl(*pods) == before


def test_the_sock_shops_manifests_are_taken(kube, place):
    """Every object passes a server that knows all the rules, though its images cannot be had here."""
    for manifest in manifests_of(app_of(SockShop(kind="sock-shop")), place):
        kube.apply(manifest, dry_run=True)


def test_an_image_that_cannot_be_had_is_told_within_seconds(kube, place):
    """In the node's own words, with what to do; not after a deadline of minutes."""
    manifests = manifests_of(app_of(SockShop(kind="sock-shop")), place)
    put(kube, place, manifests)
    begun_s = time.monotonic()

    with pytest.raises(PreflightError) as caught:
        Rollout(kube, place, manifests, timeout_s=240).wait()

    assert time.monotonic() - begun_s < 20
    assert caught.value.details["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert "failed to pull and unpack image" in caught.value.message
    assert "load-images.md" in (caught.value.next_step or "")


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"image": "tidegauge.local/shop:no-such"}, "ErrImagePull", "tidegauge.local/shop:no-such"),
        ({"image": "tidegauge.local/shop:no-such", "imagePullPolicy": "Never"}, "ErrImageNeverPull", "not present"),
        ({"image": "UPPER/case:1"}, "ErrImagePull", "invalid reference format"),
        ({"command": ["python3", "-c", "print('no database'); raise SystemExit(3)"]}, "CrashLoopBackOff", "    no database"),
        ({"command": ["no-such-program"]}, "StartError", "no-such-program"),
        ({"resources": {"requests": {"cpu": "1000"}}}, "Unschedulable", "Insufficient cpu"),
        ({"envFrom": [{"secretRef": {"name": "nobody-made-it"}}]}, "CreateContainerConfigError", "nobody-made-it"),
        ({"securityContext": {"runAsUser": 0}}, "CreateContainerConfigError", "non-root"),
    ],
)
def test_a_pod_that_will_not_start_is_told_by_its_own_reason(kube, place, change, reason, said):
    """Long before the time is up."""
    manifests = [one for one in manifests_of(SHOP, place) if one["metadata"]["name"] == "payment"]
    ((_, container),) = containers_of(workloads_of(manifests)["payment"])
    container.update(change)
    put(kube, place, manifests)

    with pytest.raises(PreflightError) as caught:
        Rollout(kube, place, manifests, timeout_s=120).wait()

    assert caught.value.details["reason"] == reason, caught.value.message
    assert said in caught.value.message
    assert caught.value.next_step


def test_a_quota_that_is_full_is_told(cluster, kube, place):
    """There is no pod that could tell it."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {"pods": "0"}}}
    cluster.kubectl(f"--namespace={place.namespace}", "apply", "--filename=-", given=json.dumps(quota))
    manifests = manifests_of(SHOP, place)
    put(kube, place, manifests)

    with pytest.raises(PreflightError, match="exceeded quota: small") as caught:
        Rollout(kube, place, manifests, timeout_s=120).wait()
    assert "ResourceQuota" in (caught.value.next_step or "")


@pytest.mark.images(own_names()["locust"])
def test_the_load_generators_image_has_what_it_imports(cluster, place):
    """Locust, and everything of the project that its users need."""
    code = "import locust, tasks.load.walk, tasks.load.script, tasks.load.tally; print('all')"
    only = {"name": "locust", "image": own_names()["locust"], "imagePullPolicy": "Never", "command": ["python3", "-c", code]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "locust"}, "spec": {"restartPolicy": "Never", "containers": [only]}}
    cluster.kubectl(f"--namespace={place.namespace}", "apply", "--filename=-", given=json.dumps(pod))

    cluster.kubectl(f"--namespace={place.namespace}", "wait", "pod/locust", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    assert cluster.kubectl(f"--namespace={place.namespace}", "logs", "locust").strip() == "all"
