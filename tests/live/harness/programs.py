"""The cluster's programs: what each is started with. Nothing here starts anything."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

from tests.live.harness.layout import (
    API_PORT,
    CNI_PROGRAMS,
    CONTAINERD_SOCKET,
    DNS_SERVICE_IP,
    NODE,
    NODE_IP,
    POD_NET,
    SERVICE_NET,
    Layout,
)
from tests.live.harness.processes import Program

ETCD = "http://127.0.0.1:2379"
PEERS = "http://127.0.0.1:2380"
HOUSEKEEPING = "1s"
"""How often cAdvisor looks; the kubelet's 10 s would leave most windows of a short test empty."""


def answers(url: str) -> tuple[str, ...]:
    """Ends with 0 when *url* answers with success, whoever signed its certificate."""
    return ("curl", "-sfk", "--max-time", "5", "-o", "/dev/null", url)


def etcd(layout: Layout, binaries: Path) -> Program:
    """The store; it never syncs, since nothing of it is kept."""
    argv = (
        str(binaries / "etcd"),
        "--name=one",
        f"--data-dir={layout.data('etcd')}",
        "--unsafe-no-fsync",
        f"--initial-cluster=one={PEERS}",
    )
    clients = (f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}")
    peers = (f"--listen-peer-urls={PEERS}", f"--initial-advertise-peer-urls={PEERS}")
    return Program("etcd", (*argv, *clients, *peers), ready=answers(f"{ETCD}/health"))


def api_server(layout: Layout, binaries: Path) -> Program:
    """The API."""
    flags = {
        "advertise-address": NODE_IP,
        "bind-address": "0.0.0.0",
        "secure-port": str(API_PORT),
        "etcd-servers": ETCD,
        "service-cluster-ip-range": SERVICE_NET,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "cert-dir": str(layout.data("apiserver")),
        "client-ca-file": str(layout.pki("ca.crt")),
        "tls-cert-file": str(layout.pki("apiserver.crt")),
        "tls-private-key-file": str(layout.pki("apiserver.key")),
        "kubelet-client-certificate": str(layout.pki("apiserver-kubelet.crt")),
        "kubelet-client-key": str(layout.pki("apiserver-kubelet.key")),
        "kubelet-certificate-authority": str(layout.pki("ca.crt")),
        "kubelet-preferred-address-types": "InternalIP",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": str(layout.pki("accounts.pub")),
        "service-account-signing-key-file": str(layout.pki("accounts.key")),
        "requestheader-client-ca-file": str(layout.pki("front-proxy-ca.crt")),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": str(layout.pki("front-proxy.crt")),
        "proxy-client-key-file": str(layout.pki("front-proxy.key")),
    }
    return Program("apiserver", _argv(binaries / "kube-apiserver", flags), ready=answers(f"https://127.0.0.1:{API_PORT}/readyz"))


def controllers(layout: Layout, binaries: Path) -> Program:
    """The controllers; asked for more requests a second than by default, or the first account comes 4 s later."""
    config = str(layout.config("controllers.kubeconfig"))
    flags = {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": "127.0.0.1",
        "leader-elect": "false",
        "use-service-account-credentials": "true",
        "flex-volume-plugin-dir": str(layout.data("volume-plugins")),
        "kube-api-qps": "300",
        "kube-api-burst": "500",
        "allocate-node-cidrs": "false",
        "cluster-cidr": POD_NET,
        "service-cluster-ip-range": SERVICE_NET,
        "root-ca-file": str(layout.pki("ca.crt")),
        "service-account-private-key-file": str(layout.pki("accounts.key")),
        "cluster-signing-cert-file": str(layout.pki("ca.crt")),
        "cluster-signing-key-file": str(layout.pki("ca.key")),
        "requestheader-client-ca-file": str(layout.pki("front-proxy-ca.crt")),
    }
    return Program("controllers", _argv(binaries / "kube-controller-manager", flags))


def scheduler(layout: Layout, binaries: Path) -> Program:
    """The scheduler."""
    config = str(layout.config("scheduler.kubeconfig"))
    flags = {"kubeconfig": config, "authentication-kubeconfig": config, "authorization-kubeconfig": config}
    return Program("scheduler", _argv(binaries / "kube-scheduler", {**flags, "bind-address": "127.0.0.1", "leader-elect": "false"}))


def kubelet(layout: Layout, binaries: Path) -> Program:
    """The node's agent, for machines of either cgroup version on which root may not have every capability."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki("ca.crt"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki("kubelet-server.crt")),
        "tlsPrivateKeyFile": str(layout.pki("kubelet-server.key")),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "maxOpenFiles": min(1_000_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.config("resolv.conf")),
        "podLogsDir": str(layout.data("pod-logs")),
        "volumePluginDir": str(layout.data("volume-plugins")),
        # absolute, since disks whose free space is much less than their size would count as full
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "200Mi", "imagefs.available": "200Mi"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "5s",
        "enforceNodeAllocatable": ["pods"],
    }
    flags = {
        "config": str(layout.config("kubelet.json")),
        "kubeconfig": str(layout.config("kubelet.kubeconfig")),
        "hostname-override": NODE,
        "node-ip": NODE_IP,
        "root-dir": str(layout.data("kubelet")),
        "cert-dir": str(layout.data("kubelet-certificates")),
        "housekeeping-interval": HOUSEKEEPING,
    }
    files = {layout.config("kubelet.json"): json.dumps(config, indent=1)}
    return Program("kubelet", _argv(binaries / "kubelet", flags), files, answers("http://127.0.0.1:10248/healthz"))


def proxy(layout: Layout, binaries: Path) -> Program:
    """What makes services reachable. Limits of connection tracking are the whole machine's: left alone."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.config("proxy.kubeconfig"))},
        "mode": "nftables",
        "clusterCIDR": POD_NET,
        "hostnameOverride": NODE,
        "oomScoreAdj": 0,
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": "127.0.0.1:10256",
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    files = {layout.config("proxy.json"): json.dumps(config, indent=1)}
    flags = {"config": str(layout.config("proxy.json"))}
    return Program("proxy", _argv(binaries / "kube-proxy", flags), files, answers("http://127.0.0.1:10256/healthz"))


def containerd(layout: Layout, pause_image: str) -> Program:
    """The container runtime of the system's packages, with every folder of its own in the state folder."""
    config = CONTAINERD.format(
        root=layout.data("containerd"),
        state=layout.data("containerd-state"),
        socket=CONTAINERD_SOCKET,
        optional=layout.data("containerd-optional"),
        pause_image=pause_image,
        cni_programs=CNI_PROGRAMS,
        cni_config=layout.config("cni"),
    )
    path = layout.config("containerd.toml")
    return Program("containerd", ("containerd", "--config", str(path)), {path: config}, ("ctr", "-a", str(CONTAINERD_SOCKET), "version"))


CONTAINERD = """version = 2
root = "{root}"
state = "{state}"

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{optional}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true  # root without CAP_SYS_RESOURCE may not lower it
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_programs}"
    conf_dir = "{cni_config}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def _argv(program: Path, flags: dict[str, str]) -> tuple[str, ...]:
    return (str(program), *(f"--{name}={value}" for name, value in flags.items()))
