"""
From a kubeconfig to a :class:`Login`: the Kubernetes client's own reader, and our own words for what is wrong.

It merges files, finds relative paths, and knows token files, client certificates and the older auth providers. Credential
plugins are ours (:mod:`tasks.kube.plugin`): what a plugin gave is put in its place before the reader looks.
"""

from __future__ import annotations

import base64
import difflib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tasks.base.errors import CredentialsError, PreflightError
from tasks.kube.access import KubeAccess
from tasks.kube.login import Login
from tasks.kube.plugin import Credential, login_command, run_plugin
from tasks.kube.words import one_line

_READING = threading.Lock()
"""The client's reader remembers the files that it wrote, for the whole process."""
IN_CLUSTER = "in-cluster"
"""The context's name where the ServiceAccount of our own pod is used."""


def read_login(access: KubeAccess) -> Login:
    """
    Read the context that *access* names, and run its credential plugin.

    Raises:
        PreflightError: No such file or context, or it is broken, or does not check the server's certificate.
        CredentialsError: A credential is missing, or its plugin failed.
    """
    paths = _paths(access)
    if not paths:
        return _in_cluster()
    merged = _merged(paths)
    context = _context(merged, access.context, paths)
    cluster, user = _named(merged, "cluster", context, paths), _named(merged, "user", context, paths)
    _check(access, context["name"], cluster["value"])
    found = Credential()
    again = _again(context["name"], user["value"])
    if "exec" in user["value"] and not ({"token", "tokenFile"} & set(user["value"])):
        found = run_plugin(user["value"].pop("exec"), Path(user["path"]).parent, cluster["value"])
        user["value"].update(_as_user(found))
    return _login(merged, context["name"], again, found.expires_s)


def plugins_of(kubeconfig: str) -> list[list[str]]:
    """The argv of each program that gives a credential in the files that *kubeconfig* names; none where they cannot be read."""
    try:
        merged = _merged(_paths(KubeAccess(kubeconfig)))
    except PreflightError:
        return []
    return [argv for user in _entries(merged, "user").values() for argv in _started_by(user["value"])]


def _started_by(user: Any) -> Iterator[list[str]]:
    """By a plugin, and by the client's reader itself for the older auth provider of Google."""
    plugin, older = (_within(user, name) for name in ("exec", "auth-provider"))
    if plugin:
        args = plugin.get("args")
        yield [str(plugin.get("command") or ""), *map(str, args if isinstance(args, list) else ())]
    config = _within(older, "config")
    if "cmd-path" in config:
        yield [*str(config["cmd-path"]).split(), *str(config.get("cmd-args") or "").split()]


def _within(value: Any, name: str) -> dict[str, Any]:
    """The mapping *name* of *value*; empty where either is none: a broken kubeconfig is told by whoever logs in."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _paths(access: KubeAccess) -> list[str]:
    """The files to read; none where we are in a pod and nothing else is named."""
    told = access.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    paths = [str(Path(one).expanduser().absolute()) for one in told.split(os.pathsep) if one]
    found = [one for one in paths if Path(one).is_file()]
    if found:
        return found
    if not access.kubeconfig and not os.environ.get("KUBECONFIG") and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return []
    raise PreflightError(f"there is no kubeconfig at {told}", next_step="set `cluster.kubeconfig`, or KUBECONFIG, to the file of kubectl")


def _merged(paths: list[str]) -> Any:
    """The files as one, earlier ones first; relative paths in them are kept with the file they stand in."""
    from kubernetes.config.kube_config import KubeConfigMerger

    try:
        config = KubeConfigMerger(os.pathsep.join(paths)).config  # type: ignore[no-untyped-call]
        if not all(isinstance(config.value[part], list) for part in ("contexts", "clusters", "users")):
            raise TypeError("not lists")
    except Exception as error:  # the reader lets YAML's, the system's and its own errors through, and many more for a wrong shape
        mark = getattr(error, "problem_mark", None)  # never the error's text: it may quote the line, and a secret in it
        where = "" if mark is None else f" (line {mark.line + 1})"
        raise PreflightError(f"{', '.join(paths)} is not a kubeconfig{where}", next_step="try `kubectl config view`") from error
    return config


def _entries(merged: Any, part: str) -> dict[str, dict[str, Any]]:
    """Name -> section and the file it stands in."""
    found = {}
    for node in merged.value[f"{part}s"]:
        value = node.value if isinstance(node.value, dict) else {}
        if isinstance(value.get("name"), str):
            found[value["name"]] = {"name": value["name"], "path": node.path, "value": value.get(part) or {}}
    return found


def _context(merged: Any, wanted: str | None, paths: list[str]) -> dict[str, Any]:
    name = wanted or merged.value.get("current-context")
    known = _entries(merged, "context")
    if not name:
        there = ", ".join(sorted(known)) or "none there"
        raise PreflightError(f"{', '.join(paths)} has no current context", next_step=f"set `cluster.context` to one of: {there}")
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(known)) or 'none'}"
        raise PreflightError(f"there is no context {name} in {', '.join(paths)}", next_step=hint)
    return known[name]


def _named(merged: Any, part: str, context: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """The cluster or the user of a context; a context without a user is one without a login."""
    name = context["value"].get(part)
    known = _entries(merged, part)
    if name in known:
        return known[name]
    if part == "user" and not name:
        return {"name": "", "path": paths[0], "value": {}}
    raise PreflightError(
        f"context {context['name']} names the {part} {name}, which is not in {', '.join(paths)}",
        next_step=f"there are: {', '.join(sorted(known)) or 'none'}",
    )


def _check(access: KubeAccess, name: str, cluster: dict[str, Any]) -> None:
    """Refuse what would send a login to whoever answers."""
    server = str(cluster.get("server") or "")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise PreflightError(f"context {name} has no server of the form https://HOST[:PORT]", next_step="mend the kubeconfig")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise PreflightError(f"context {name} reaches {parts.hostname} over plain http", next_step="use https")
    if cluster.get("insecure-skip-tls-verify") and not access.insecure:
        raise PreflightError(
            f"context {name} does not check the server's certificate (insecure-skip-tls-verify)",
            next_step="put the authority into `certificate-authority-data`, or allow it with `cluster.insecure: true`",
        )


def _again(name: str, user: dict[str, Any]) -> str:
    """The command to log in, in words."""
    if "exec" in user:
        return login_command(user["exec"])
    return f"renew the login of context {name}, so that `kubectl --context {name} auth whoami` answers"


def _as_user(found: Credential) -> dict[str, str]:
    """What a plugin gave, as a kubeconfig would hold it."""
    if found.token:
        return {"token": found.token}
    pair = {"client-certificate-data": found.cert_pem, "client-key-data": found.key_pem}
    return {name: base64.b64encode(text.encode()).decode() for name, text in pair.items()}


def _login(merged: Any, context: str, again: str, expires_s: float | None) -> Login:
    from kubernetes.client import Configuration
    from kubernetes.config.kube_config import KubeConfigLoader

    configuration = Configuration()
    with _READING, tempfile.TemporaryDirectory(prefix="tidegauge-") as folder:  # what stands inline is written there, and read back
        try:
            KubeConfigLoader(merged, active_context=context, config_base_path=None, temp_file_path=folder).load_and_set(configuration)  # type: ignore[no-untyped-call]
            return _taken(configuration, context, again, expires_s)
        except PreflightError:
            raise
        except Exception as error:  # of its own, the system's, or of a wrong shape
            said = one_line(error) if type(error).__name__ == "ConfigException" else type(error).__name__
            raise CredentialsError(f"the login of context {context} cannot be read: {said}", next_step=again) from error


def _in_cluster() -> Login:
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, load_incluster_config

    configuration = Configuration()
    try:
        load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise PreflightError(
            f"this pod has no usable ServiceAccount: {one_line(error)}", next_step="let it have one, or set `cluster.kubeconfig`"
        ) from error
    return _taken(configuration, IN_CLUSTER, "give the pod a ServiceAccount token that is valid", None)


def _taken(configuration: Any, context: str, again: str, expires_s: float | None) -> Login:
    """What the client's reader found, as values; its files may go then."""
    from kubernetes.client.rest import should_bypass_proxies

    def content(path: str | None) -> bytes | None:
        return None if path is None else Path(path).read_bytes()

    proxy = configuration.proxy
    if proxy and should_bypass_proxies(configuration.host, configuration.no_proxy or ""):
        proxy = None
    kind = urlsplit(proxy or "http:").scheme
    if kind not in ("http", "https"):
        raise PreflightError(f"the proxy of context {context} is of kind {kind!r}", next_step="name an HTTP proxy in `proxy-url`")
    token = configuration.api_key.get("BearerToken")
    return Login(
        context=context,
        server=configuration.host.rstrip("/"),
        again=again,
        verify=configuration.verify_ssl,
        ca_pem=content(configuration.ssl_ca_cert),
        cert_pem=content(configuration.cert_file),
        key_pem=content(configuration.key_file),
        authorization=token.strip() if token else None,
        tls_server_name=configuration.tls_server_name,
        proxy=proxy,
        expires_s=expires_s,
    )
