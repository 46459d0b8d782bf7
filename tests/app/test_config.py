"""The section ``app`` and the app files: what is taken, what is refused."""

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.app.config import AppConfig, DemoShop, OwnApp, OwnChart, OwnManifests, SockShop
from tasks.app.files import app_of, read_app
from tasks.app.model import App
from tasks.base.errors import DocumentError, PreflightError

SERVICES = [
    {"name": "web", "command": ["run", "web"], "calls": ["api"]},
    {"name": "api", "command": ["run", "api"], "port": 9001, "calls": ["store"]},
    {"name": "store", "command": ["run", "store"], "metrics_path": None},
]


def _own(**changes):
    return {"kind": "own-app", "services": SERVICES, "entry": "web", **changes}


def _config(value):
    return TypeAdapter(AppConfig).validate_python(value)


def test_the_demo_shop_needs_nothing_but_its_name():
    """The whole section is ``{kind: demo-shop}``."""
    app = app_of(_config({"kind": "demo-shop"}))

    assert isinstance(_config({"kind": "demo-shop"}), DemoShop)
    assert app.name == "demo-shop"
    assert app.names == ("front-end", "catalogue", "carts", "orders", "payment", "shipping", "queue-master", "user")
    assert app.entry == "front-end"


def test_the_demo_shop_calls_like_the_sock_shop():
    """Its edges, and who is therefore hurt by whom."""
    app = app_of(DemoShop())

    assert app.edges == (
        ("front-end", "carts"),
        ("front-end", "catalogue"),
        ("front-end", "orders"),
        ("front-end", "user"),
        ("orders", "carts"),
        ("orders", "payment"),
        ("orders", "shipping"),
        ("orders", "user"),
        ("shipping", "queue-master"),
    )
    assert app.callers_of("user") == ("front-end", "orders")
    assert app.callers_of("front-end") == ()


def test_the_shop_program_and_its_app_file_agree_on_the_peers():
    """The peers a service insists on are those that the file lets it call."""
    from tasks.shop.settings import PEERS

    assert {service.name: service.calls for service in app_of(DemoShop()).services} == dict(PEERS)


def test_an_own_app_is_written_in_the_document():
    """Services, ports and edges; what is left out has a default."""
    app = app_of(_config(_own()))

    assert isinstance(app.settings, OwnApp)
    assert app.edges == (("api", "store"), ("web", "api"))
    assert [service.metrics_path for service in app.services] == ["/metrics", "/metrics", None]
    assert [step.path for step in app.smoke] == ["/"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"entry": "wep"}, "there is no service wep; did you mean web?"),
        ({"services": [*SERVICES, SERVICES[0]]}, "two services are called web"),
        (
            {"services": [{**SERVICES[0], "calls": ["apo"]}, SERVICES[1], SERVICES[2]]},
            "web calls apo, which is no service; did you mean api?",
        ),
        ({"services": [{**SERVICES[0], "calls": ["web"]}], "entry": "web"}, "web calls itself"),
        ({"services": [{**one, "port": 9000} for one in SERVICES]}, "two services listen on port 9000"),
        ({"endpoints": {"GET /": ["web"]}}, "reaches web, to which no calls lead"),
        ({"services": []}, "at least 1 item"),
        ({"services": [{"name": "web", "command": "run web; rm -rf /"}]}, "valid tuple"),
        ({"services": [{"name": "Web", "command": ["x"]}]}, "pattern"),
        ({"services": [{"name": "web", "command": ["x"], "env": {"A B": "x"}}]}, "pattern"),
        ({"services": [{"name": "web", "command": ["x"], "memory_limit_bytes": 1}]}, "greater than or equal to 16777216"),
        ({"services": [{"name": "web", "command": ["x"], "port": 0}]}, "greater than or equal to 1"),
        ({"smoke": [{"name": "x", "path": "no-slash"}]}, "pattern"),
        ({"shell": True}, "Extra inputs"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said):
    """Each mistake is named, with the nearest name where there is one."""
    with pytest.raises(ValidationError, match=said.replace("(", r"\(").replace("?", r"\?")):
        _config(_own(**changes))


WORKLOADS = [{"name": "web", "calls": ["api"]}, {"name": "api"}]


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"kind": "demo-shop", "image": "a.test/shop:1"}, DemoShop),
        ({"kind": "sock-shop", "images": {"carts": "a.test/carts:1"}}, SockShop),
        (_own(), OwnApp),
        ({"kind": "own-app", "entry": "web", "manifests": ["k8s"], "workloads": WORKLOADS}, OwnManifests),
        ({"kind": "own-app", "entry": "web", "chart": {"path": "chart"}, "workloads": WORKLOADS}, OwnChart),
    ],
)
def test_each_form_of_an_app_is_told_by_its_keys(value, form):
    """And survives being written down, as with every recording."""
    found = _config(value)

    assert type(found) is form
    assert TypeAdapter(AppConfig).validate_json(TypeAdapter(AppConfig).dump_json(found)) == found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"services": SERVICES}, "services and manifests are two ways to say what runs"),
        ({"chart": {"path": "x"}}, "manifests and chart are two ways"),
        ({"entry": "wep"}, r"there is no service wep; did you mean web\?"),
        ({"workloads": []}, "at least 1 item"),
        ({"manifests": []}, "at least 1 item"),
        ({"workloads": [{"name": "web", "calls": ["web"]}]}, "web calls itself"),
        ({"endpoints": {"GET /": ["wep"]}}, "reaches wep"),
        ({"images": {"web": "web"}}, "pattern"),
        ({"digest": "x"}, "pattern"),
    ],
)
def test_what_does_not_fit_manifests_is_refused(changes, said):
    """By the same words as for programs."""
    with pytest.raises(ValidationError, match=said):
        _config({"kind": "own-app", "entry": "web", "manifests": ["k8s"], "workloads": WORKLOADS, **changes})


def test_an_unknown_kind_of_app_is_refused():
    """The known kinds are told."""
    with pytest.raises(ValidationError, match="demo-shop"):
        _config({"kind": "sock-shop-2"})


def test_what_requests_reach():
    """Listed endpoints reach what is listed; others may reach everything; the entry is always reached."""
    app: App = app_of(DemoShop())

    assert app.reached([]) == {"front-end"}
    assert app.reached(["GET /detail.html?id=x"]) == {"front-end", "catalogue"}
    assert app.reached(["GET /catalogue", "DELETE /cart"]) == {"front-end", "catalogue", "carts"}
    assert app.reached(["POST /orders"]) == set(app.names) - {"catalogue"}
    assert app.reached(["PATCH /elsewhere"]) == set(app.names)
    assert app_of(_config(_own())).reached(["GET /"]) == {"web", "api", "store"}


def test_an_unknown_service_is_named_with_the_nearest():
    """The error says what there is."""
    with pytest.raises(PreflightError, match="no service order; did you mean orders"):
        app_of(DemoShop()).callers_of("order")


def test_an_app_file_tells_all_its_mistakes_with_their_lines(tmp_path):
    """Line and column, not a traceback."""
    path = tmp_path / "shop.yaml"
    path.write_text("version: 1\nname: shop\nentry: a\nservices:\n  - {name: A, command: [x]}\n  - name: b\n    comand: [x]\n")

    with pytest.raises(DocumentError) as caught:
        read_app(path)

    text = str(caught.value)
    assert f"{path}:5:6: services[0].name" in text
    assert f"{path}:7:5: services[1].comand" in text
    assert "services[1].command: Field required" in text
