"""From an app to its processes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.app.config import DemoShop, OwnApp, ServiceConfig
from tasks.app.files import app_of
from tasks.app.model import App
from tasks.app.resolve import fill, fixed_ports, processes, scrape_urls
from tasks.base.errors import DocumentError, PreflightError

APP = app_of(DemoShop())
PORTS = {name: 9000 + number for number, name in enumerate(APP.names)}
PUBLIC = {name: 9100 + number for number, name in enumerate(APP.names)}


def _own(*services: ServiceConfig) -> App:
    return app_of(OwnApp(kind="own-app", services=services, entry=services[0].name))


def test_a_service_listens_on_its_own_port_and_calls_peers_at_their_public_ones():
    """Every call from one service to another goes through the callee's proxy."""
    found = {spec.name: spec for spec in processes(APP, PORTS, PUBLIC, Path("/state/data"), "/venv/python")}

    orders = found["orders"]
    assert orders.argv == ("/venv/python", "-m", "tasks.shop", "orders")
    assert orders.port == 9003
    assert orders.env == {
        "PORT": "9003",
        "DATA_DIR": "/state/data/orders",
        "CARTS_URL": "http://127.0.0.1:9102",
        "PAYMENT_URL": "http://127.0.0.1:9104",
        "SHIPPING_URL": "http://127.0.0.1:9105",
        "USER_URL": "http://127.0.0.1:9107",
    }
    assert (orders.ready_path, orders.memory_limit_bytes, orders.role) == ("/health", 192 * 2**20, "service")
    assert tuple(found) == APP.names


def test_no_service_is_told_the_own_port_of_another():
    """Whatever the ports, a peer's own port is in nobody's environment."""
    for spec in processes(APP, PORTS, PUBLIC, Path("/d"), "python"):
        others = {str(port) for name, port in PORTS.items() if name != spec.name}
        assert not [value for value in spec.env.values() if any(port in value for port in others)]


def test_scrapes_go_to_the_service_itself():
    """Past the proxy; a service without metrics is not scraped."""
    mute = _own(ServiceConfig(name="a", command=("x",), metrics_path=None), ServiceConfig(name="b", command=("x",), metrics_path="/m"))

    assert scrape_urls(APP, PORTS)["user"] == "http://127.0.0.1:9007/metrics"
    assert scrape_urls(mute, {"a": 1, "b": 2}) == {"b": "http://127.0.0.1:2/m"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{prot}", "unknown placeholder {prot} in '{prot}'; did you mean port?"),
        ("{peer:b}", "unknown placeholder {peer:b}"),
        ("{port", "a lone {"),
        ("port}", "a lone }"),
        ("{}", "unknown placeholder {}"),
        ("{port.__class__}", "unknown placeholder"),
        ("{0}", "unknown placeholder"),
    ],
)
def test_what_is_no_placeholder_is_an_error(text, said):
    """Nothing is left standing, nothing is evaluated, and the service and variable are named."""
    app = _own(ServiceConfig(name="a", command=("x",), env={"URL": text}), ServiceConfig(name="b", command=("x",)))

    with pytest.raises(DocumentError) as caught:
        processes(app, {"a": 1, "b": 2}, {"a": 3, "b": 4}, Path("/d"), "python")
    assert str(caught.value).startswith(f"service a of own-app, URL: {said}")


@given(st.text(max_size=40), st.text(max_size=40))
def test_values_are_never_looked_into(around, value):
    """Text without braces stays, and a value that looks like a placeholder is only text."""
    around = around.replace("{", "").replace("}", "")

    assert fill(f"{around}{{data}}{around}{{{{}}}}", {"data": value}, "here") == f"{around}{value}{around}{{}}"


def test_a_fixed_port_is_kept():
    """A service that insists on a port is told apart, and another port is an error."""
    app = _own(ServiceConfig(name="a", command=("x", "{port}"), port=8000))

    assert fixed_ports(app) == {"a": 8000}
    assert processes(app, {"a": 8000}, {}, Path("/d"), "python")[0].argv == ("x", "8000")
    with pytest.raises(PreflightError, match="listens on port 8000 only"):
        processes(app, {"a": 8001}, {}, Path("/d"), "python")


def test_a_missing_port_is_an_error():
    """Of the service itself, or of one that it calls."""
    with pytest.raises(PreflightError, match="no port is known for the service front-end"):
        processes(APP, {}, PUBLIC, Path("/d"), "python")
    with pytest.raises(PreflightError, match="no port is known for the service catalogue"):
        processes(APP, PORTS, {}, Path("/d"), "python")
