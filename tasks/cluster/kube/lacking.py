"""What is said of a login that lacks rights: the first few with what for, and everything that an administrator applies to mend it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from tasks.cluster.kube.finding import Finding
from tasks.cluster.kube.needs import Need
from tasks.kube.client import Kube
from tasks.kube.errors import KubeError
from tasks.kube.permission import Permission
from tasks.kube.rights import bindings, role_text, roles

SHOWN = 3
"""So many missing rights are named in a sentence; all are in the Role."""
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {"name": "who"}}
_ACCOUNT = "system:serviceaccount:"


def lacks(needed: Sequence[Need], subject: dict[str, str] | None = None) -> Finding:
    """
    What is said of a login that has none of *needed*.

    Args:
        needed: At least one right.
        subject: Whose login it is (:func:`subject_of`); None: nobody knows, so that the Role is bound by whoever grants it.
    """
    whys: dict[Permission, list[str]] = {}
    for need in needed:
        whys.setdefault(need.permission, []).append(need.why)
    told = ", ".join(f"{one} ({'; '.join(dict.fromkeys(why))})" for one, why in list(whys.items())[:SHOWN])
    told += f" and {len(whys) - SHOWN} more" if len(whys) > SHOWN else ""
    name = name_of(whys)
    bound = [] if subject is None else bindings(name, whys, subject)
    fix = "have this Role granted (kubectl apply -f), and bound to this login" if subject is None else "have this applied: kubectl apply -f"
    return Finding("rights", "fail", f"this login may not {told}", fix, role_text([*roles(name, whys), *bound]))


def name_of(permissions: Iterable[Permission]) -> str:
    """The name of the Roles with *permissions*; never that of others, which would lose what they grant when these are applied."""
    digest = hashlib.sha256("\n".join(sorted(map(str, permissions))).encode()).hexdigest()
    return f"tidegauge-more-{digest[:8]}"


def subject_of(kube: Kube) -> dict[str, str] | None:
    """Whose login it is, as a binding names it; None where the server does not say, as those before 1.28."""
    try:
        user = (kube.create(REVIEW).get("status") or {}).get("userInfo") or {}
    except KubeError:
        return None
    name = str(user.get("username") or "")
    if name.startswith(_ACCOUNT):
        namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
        return {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    return {"kind": "User", "name": name} if name else None
