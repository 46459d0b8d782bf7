"""What of an app decides a measurement: the part of a recording's key that comes from the section ``app`` or an app file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

ONLY_IN_PODS = ("image", "cpu_limit_cores", "stateless")
"""Settings of an app and of its services that processes on one machine know nothing of."""


def app_key(settings: BaseModel, *, in_pods: bool) -> dict[str, Any]:
    """
    The values of *settings* as JSON.

    Args:
        settings: The section ``app``, or what it stands for.
        in_pods: Whether the app runs on Kubernetes. Otherwise what matters in pods alone is left out: a recording made by processes is not
            another one because an image got another name.
    """
    value = settings.model_dump(mode="json")
    if in_pods:
        return value
    services = [_without(one) if isinstance(one, dict) else one for one in value.get("services", ())]
    return _without(value) | ({"services": services} if "services" in value else {})


def _without(value: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in value.items() if name not in ONLY_IN_PODS}
