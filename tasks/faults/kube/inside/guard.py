"""
The program of a fault's guard: it undoes the fault from inside the cluster, whatever became of those who began it.

It begins by trying every step of the undoing without effect (a dry run), and says ``armed`` once all of them would be done: from
then on it counts. When its time is over, or it is told to end, it does them, again and again until each was accepted. A guard
that comes in place of another one, which nobody expected, undoes at once.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from calendar import timegm
from email.utils import parsedate_to_datetime
from typing import Any

from tasks.faults.kube.inside.words import Told, deaf, raise_when_told, say

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
LIMIT_S = 10.0
GONE = 404


class Api:
    """The API server, under the guard's own account."""

    def __init__(self, order: dict[str, Any]) -> None:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        self.server = order.get("server") or f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self.account = order.get("account") or ACCOUNT

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, bytes, str]:
        """Status, body and date of the reply; raises OSError when there is none."""
        with open(f"{self.account}/token") as file:  # noqa: PTH123 -- read each time: the kubelet renews it
            token = file.read().strip()
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data=data, method=method)  # noqa: S310 -- the cluster's own address
        request.add_header("Authorization", f"Bearer {token}")
        request.add_header("Content-Type", kind)
        context = ssl.create_default_context(cafile=f"{self.account}/ca.crt") if self.server.startswith("https") else None
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S, context=context) as reply:  # noqa: S310
                return int(reply.status), reply.read(), str(reply.headers.get("Date", ""))
        except urllib.error.HTTPError as error:
            return error.code, error.read(), ""


def do(api: Api, step: dict[str, Any], *, dry_run: bool) -> str:
    """Do one step; empty when it is done, or there is nothing to do it to, else why not."""
    path, body = step["path"], step["body"]
    if step["method"] == "DELETE":  # its options are in the body, and with a body the server does not look at the query
        body = {**body, "dryRun": ["All"]} if dry_run else body
    path += "?fieldManager=tidegauge" if step["method"] == "PATCH" else "?"
    path += "&dryRun=All" if dry_run else ""
    try:
        status, answer, _ = api.ask(step["method"], path, body, step["type"])
    except OSError as error:
        return f"{step['what']}: {error}"
    return "" if status < 300 or status == GONE else f"{step['what']}: {status} {answer[:300].decode('utf-8', 'replace')}"


def own_job(api: Api, order: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The guard's Job, and the server's date; raises OSError when it cannot be read."""
    status, body, date = api.ask("GET", order["job"])
    if status >= 300:
        raise OSError(f"its own Job: {status} {body[:300].decode('utf-8', 'replace')}")
    found: dict[str, Any] = json.loads(body)
    return found, date


def stood_down(api: Api, order: dict[str, Any]) -> bool:
    """Whether those who sent for the guard have sent it away: its Job is suspended."""
    try:
        return bool(own_job(api, order)[0]["spec"].get("suspend"))
    except (OSError, ValueError, KeyError):
        return False


def successor(api: Api, order: dict[str, Any]) -> bool:
    """Whether another guard of this fault was there before, or this one was waited for in vain."""
    found, date = own_job(api, order)
    said = found.get("status") or {}
    if said.get("failed") or (said.get("uncountedTerminatedPods") or {}).get("failed"):
        return True
    begun = said.get("startTime")
    if not begun or not date:
        return False
    waited_s = parsedate_to_datetime(date).timestamp() - timegm(time.strptime(begun, "%Y-%m-%dT%H:%M:%SZ"))
    return bool(waited_s > order["arming_s"])


def arm(api: Api, order: dict[str, Any]) -> bool:
    """Try everything without effect, for as long as somebody waits for us; whether the fault may begin."""
    last_s = time.monotonic() + order["arming_s"]
    while True:
        try:
            if successor(api, order):
                return False
            troubles = [trouble for step in order["steps"] if (trouble := do(api, step, dry_run=True))]
        except OSError as error:
            troubles = [str(error)]
        if not troubles:
            return True
        say("not armed", troubles=troubles)
        if time.monotonic() > last_s:
            return False
        time.sleep(order["again_s"])


def undo(api: Api, order: dict[str, Any], why: str) -> int:
    """Do every step until each was accepted; 0: all were."""
    deaf()
    say("reverting", why=why)
    last_s = time.monotonic() + order["last_try_s"]
    left = list(order["steps"])
    while True:
        troubles = {step["what"]: trouble for step in left if (trouble := do(api, step, dry_run=False))}
        left = [step for step in left if step["what"] in troubles]
        if not left:
            say("reverted")
            return 0
        say("not reverted", troubles=list(troubles.values()))
        if time.monotonic() > last_s:
            return 1
        time.sleep(order["again_s"])


def main(order: dict[str, Any]) -> int:
    """Guard one fault: 0 when it is undone."""
    raise_when_told()
    api = Api(order)
    try:
        armed = arm(api, order)
        until_s = time.monotonic() + order["seconds"]
        if armed:
            say("armed")
            time.sleep(max(0.0, until_s - time.monotonic()))
        why = "its stated end" if armed else "it came too late"
    except Told as error:
        if stood_down(api, order):
            say("stood down")
            return 0
        why = f"it was told to ({error})"
    return undo(api, order, why)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
