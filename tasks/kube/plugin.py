"""
Credential plugins of a kubeconfig (``users[].user.exec``): a program that prints a token or a client certificate.

The Kubernetes client could run them too, but without a time limit, and it puts what goes wrong into a log and asks the API
server without any login. Here a plugin that fails or hangs is an error in its own words.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.base.errors import CredentialsError, PreflightError
from tasks.kube.words import one_line

PLUGIN_S = 120.0
_LOGINS = {
    "aws": "aws sso login",
    "aws-iam-authenticator": "aws sso login",
    "az": "az login",
    "doctl": "doctl auth init",
    "gke-gcloud-auth-plugin": "gcloud auth login",
    "kubelogin": "az login",
    "oci": "oci session authenticate",
    "tsh": "tsh login",
}


@dataclass(frozen=True, slots=True)
class Credential:
    """What a plugin gave."""

    token: str = field(default="", repr=False)
    cert_pem: str = field(default="", repr=False)
    key_pem: str = field(default="", repr=False)
    expires_s: float | None = None
    """Seconds since 1970; None: it does not say."""


def login_command(config: Mapping[str, Any]) -> str:
    """What a user types to log in for the plugin of *config*, in words."""
    name = Path(str(config.get("command", ""))).name
    return f"log in with `{_LOGINS[name]}`" if name in _LOGINS else f"log in as {name} (the credential plugin of this context) asks for"


def run_plugin(config: Mapping[str, Any], folder: Path, cluster: Mapping[str, Any]) -> Credential:
    """
    Run the plugin of *config*.

    Args:
        config: The ``exec`` section.
        folder: Where the kubeconfig is; a relative command is meant from there.
        cluster: The ``cluster`` section, told to the plugin where it asks for it.

    Raises:
        CredentialsError: It fails, takes longer than two minutes, or gives nothing of use.
        PreflightError: It is not there.
    """
    argv, again = _argv(config, folder), login_command(config)
    env = {**os.environ, **{one["name"]: one["value"] for one in config.get("env") or ()}}
    env["KUBERNETES_EXEC_INFO"] = json.dumps(_told(config, cluster))
    interactive = config.get("interactiveMode") != "Never" and sys.stdin is not None and sys.stdin.isatty()
    try:
        ran = subprocess.run(
            argv,
            env=env,
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if interactive else subprocess.PIPE,
            timeout=PLUGIN_S,
            check=False,
        )
    except FileNotFoundError as error:
        hint = one_line(config.get("installHint") or f"install {argv[0]}, or choose another context")
        raise PreflightError(f"the credential plugin {argv[0]} is not there", next_step=hint) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CredentialsError(f"the credential plugin {argv[0]} gave nothing: {type(error).__name__}", next_step=again) from error
    if ran.returncode != 0:
        said = one_line((ran.stderr or b"").decode("utf-8", "replace"))
        raise CredentialsError(f"the credential plugin {argv[0]} ended with {ran.returncode}: {said}", next_step=again)
    return _credential(ran.stdout, argv[0], again)


def _argv(config: Mapping[str, Any], folder: Path) -> list[str]:
    command = str(config.get("command") or "")
    if not command:
        raise CredentialsError("the context's credential plugin has no command", next_step="mend the kubeconfig")
    return [str(folder / command) if "/" in command else command, *map(str, config.get("args") or ())]


def _told(config: Mapping[str, Any], cluster: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {"interactive": False}
    if config.get("provideClusterInfo"):
        extensions = {one.get("name"): one.get("extension") for one in cluster.get("extensions") or ()}
        spec["cluster"] = {name: value for name, value in cluster.items() if name != "extensions"}
        spec["cluster"]["config"] = extensions.get("client.authentication.k8s.io/exec")
    return {"apiVersion": config.get("apiVersion"), "kind": "ExecCredential", "spec": spec}


def _credential(printed: bytes, name: str, again: str) -> Credential:
    """What stands in the plugin's answer; the answer itself is never shown, since secrets are in it."""
    try:
        status = json.loads(printed)["status"]
        ends = status.get("expirationTimestamp")
        expires_s = None if ends is None else datetime.fromisoformat(ends.replace("Z", "+00:00")).timestamp()
        token, cert_pem, key_pem = (str(status.get(name) or "") for name in ("token", "clientCertificateData", "clientKeyData"))
        found = Credential(token, cert_pem, key_pem, expires_s)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CredentialsError(f"the credential plugin {name} prints no ExecCredential", next_step=again) from error
    if not found.token and not (found.cert_pem and found.key_pem):
        raise CredentialsError(f"the credential plugin {name} gives neither a token nor a certificate with its key", next_step=again)
    return found
