"""
Keys and certificates of one cluster, made by openssl, valid for a month; all of them go with the cluster.

Two authorities: one for the cluster, one for the API server when it speaks for a user (``requestheader``).
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tasks.base.errors import TidegaugeError
from tests.live.harness.layout import API_PORT, API_SERVICE_IP, NAME, NODE, NODE_IP, Layout

AUTHORITIES = ("ca", "front-proxy-ca")
DAYS = "30"
API_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost")
EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who it is for, and what for."""

    name: str
    common_name: str
    organization: str | None = None
    names: tuple[str, ...] = ()
    """DNS names and addresses of a server; empty: it is a client's."""
    authority: str = "ca"

    @property
    def subject(self) -> str:
        """As openssl takes it."""
        return (f"/O={self.organization}" if self.organization else "") + f"/CN={self.common_name}"


CERTIFICATES = (
    Certificate("apiserver", "kube-apiserver", names=(*API_NAMES, "127.0.0.1", API_SERVICE_IP, NODE_IP)),
    Certificate("kubelet-server", f"system:node:{NODE}", "system:nodes", names=(NODE, "127.0.0.1", NODE_IP)),
    Certificate("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters"),
    Certificate("front-proxy", "front-proxy-client", authority="front-proxy-ca"),
    Certificate("admin", f"{NAME}-admin", "system:masters"),
    Certificate("controllers", "system:kube-controller-manager"),
    Certificate("scheduler", "system:kube-scheduler"),
    Certificate("kubelet", f"system:node:{NODE}", "system:nodes"),
    Certificate("proxy", "system:kube-proxy"),
)
CLIENTS = ("admin", "controllers", "scheduler", "kubelet", "proxy")
"""Those that get a kubeconfig in the namespace."""


def make(layout: Layout) -> None:
    """Every key, certificate and kubeconfig."""
    for name in AUTHORITIES:
        _openssl(authority_command(layout, name))
    _openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", str(layout.pki("accounts.key"))])
    _openssl(["pkey", "-in", str(layout.pki("accounts.key")), "-pubout", "-out", str(layout.pki("accounts.pub"))])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda certificate: _openssl(certificate_command(layout, certificate)), CERTIFICATES))
    for name in CLIENTS:
        layout.config(f"{name}.kubeconfig").write_text(kubeconfig(layout, name, f"https://{NODE_IP}:{API_PORT}"))


def authority_command(layout: Layout, name: str) -> list[str]:
    """Arguments of openssl that make an authority."""
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature", "-addext", "basicConstraints=critical,CA:TRUE"]
    files = ["-keyout", str(layout.pki(f"{name}.key")), "-out", str(layout.pki(f"{name}.crt"))]
    return ["req", "-x509", *EC_KEY, "-subj", f"/CN={NAME}-{name}", "-days", DAYS, *usage, *files]


def certificate_command(layout: Layout, wanted: Certificate) -> list[str]:
    """Arguments of openssl that make a key and its certificate, signed by its authority."""
    signer = ["-CA", str(layout.pki(f"{wanted.authority}.crt")), "-CAkey", str(layout.pki(f"{wanted.authority}.key"))]
    extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
    extensions.append(f"extendedKeyUsage={'serverAuth' if wanted.names else 'clientAuth'}")
    if wanted.names:
        extensions.append(f"subjectAltName={','.join(_alternative(name) for name in wanted.names)}")
    options = [word for extension in extensions for word in ("-addext", extension)]
    files = ["-keyout", str(layout.pki(f"{wanted.name}.key")), "-out", str(layout.pki(f"{wanted.name}.crt"))]
    return ["req", "-x509", *signer, *EC_KEY, "-subj", wanted.subject, "-days", DAYS, *options, *files]


def kubeconfig(layout: Layout, name: str, server: str) -> str:
    """A kubeconfig of the client *name* for the API at *server*, with everything inside."""
    files = {part: base64.b64encode(layout.pki(part).read_bytes()).decode() for part in ("ca.crt", f"{name}.crt", f"{name}.key")}
    return f"""apiVersion: v1
kind: Config
clusters:
- name: {NAME}
  cluster: {{server: "{server}", certificate-authority-data: {files["ca.crt"]}}}
users:
- name: {name}
  user: {{client-certificate-data: {files[f"{name}.crt"]}, client-key-data: {files[f"{name}.key"]}}}
contexts:
- name: {NAME}
  context: {{cluster: {NAME}, user: {name}}}
current-context: {NAME}
"""


def _alternative(name: str) -> str:
    return f"IP:{name}" if name.replace(".", "").isdigit() else f"DNS:{name}"


def _openssl(arguments: Sequence[str]) -> None:
    ran = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise TidegaugeError(f"openssl {arguments[0]} failed: {ran.stderr.strip()[-500:]}")
