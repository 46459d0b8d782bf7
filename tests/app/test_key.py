"""What of an app makes a recording another one."""

from __future__ import annotations

from pydantic import TypeAdapter

from tasks.app.config import AppConfig, DemoShop, OwnApp, OwnManifests
from tasks.app.files import app_of
from tasks.app.key import ONLY_IN_PODS, app_key

SERVICE = {"name": "web", "command": ("x",)}


def own(**service: object) -> OwnApp:
    """An app of one service."""
    return OwnApp(kind="own-app", entry="web", services=({**SERVICE, **service},))


def test_processes_know_nothing_of_images_and_limits():
    """So recordings that were made of them are found again, whatever is said for pods."""
    assert app_key(DemoShop(image="a.test/shop:1"), in_pods=False) == {"kind": "demo-shop"}
    assert app_key(own(image="a.test/web:1", cpu_limit_cores=2, stateless=True), in_pods=False) == app_key(own(), in_pods=False)
    assert app_key(own(memory_limit_bytes=64 << 20), in_pods=False) != app_key(own(), in_pods=False)
    assert set(app_key(own(), in_pods=False)["services"][0]) == {
        *("name", "command", "env", "port", "metrics_path", "ready_path", "memory_limit_bytes", "calls"),
    }


def test_in_pods_everything_counts():
    """Another image is another app."""
    for change in ({"image": "a.test/web:1"}, {"cpu_limit_cores": 2.0}, {"stateless": True}):
        assert app_key(own(**change), in_pods=True) != app_key(own(), in_pods=True)
    assert "image" in app_key(app_of(DemoShop()).settings, in_pods=True)


def test_manifests_count_by_their_content():
    """Their digest is among the settings."""
    one = OwnManifests(kind="own-app", entry="web", manifests=("x",), workloads=({"name": "web"},), digest="0" * 64)

    assert app_key(one, in_pods=True)["digest"] == "0" * 64


def test_what_is_left_is_still_a_section():
    """A job reads it back; what was left out is at its default."""
    for config in (DemoShop(image="a.test/shop:1"), own(image="a.test/web:1")):
        found = TypeAdapter(AppConfig).validate_json(TypeAdapter(dict).dump_json(app_key(config, in_pods=False)))
        assert type(found) is type(config)
        assert found.image is None
    assert set(ONLY_IN_PODS) <= {*OwnApp.model_fields, *type(own().services[0]).model_fields}
