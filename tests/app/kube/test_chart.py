"""A Helm chart: how it is rendered, and what is made of the result. The Helm here is a small program that prints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tasks.app.config import OwnChart
from tasks.app.files import app_of, placed, started_by
from tasks.app.kube.chart import helm_argv, rendered_chart, templates
from tasks.app.kube.manifests import doubts_of, manifests_of
from tasks.app.kube.placement import Placement
from tasks.app.kube.rules import Place
from tasks.base.errors import DocumentError, PreflightError
from tests.app.kube.conftest import WEB

HERE = Placement("shop", "run-1")
HELM = """#!{python}
import pathlib, sys
chart = pathlib.Path(sys.argv[3])
if not (chart / "Chart.yaml").is_file():
    sys.exit("Error: Chart.yaml file is missing")
pathlib.Path({seen!r}).write_text("\\n".join(sys.argv[1:]))
for template in sorted((chart / "templates").iterdir()):
    for text in template.read_text().split("---\\n"):
        print(f"---\\n# Source: demo/templates/{{template.name}}\\n{{text}}", end="")
"""


@pytest.fixture
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the arguments of the last ``helm`` are."""
    seen, program = tmp_path / "seen", tmp_path / "bin" / "helm"
    program.parent.mkdir()
    program.write_text(HELM.format(python=sys.executable, seen=str(seen)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return seen


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart whose only template is an app."""
    folder = tmp_path / "demo"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("name: demo\n")
    (folder / "templates" / "web.yaml").write_text(WEB)
    (tmp_path / "values.yaml").write_text("a: 1\n")
    return folder


def config(**changes: object) -> OwnChart:
    """An app that is a chart."""
    return OwnChart(
        kind="own-app", entry="web", workloads=({"name": "web"},), **{"chart": {"path": "demo", "values": ("values.yaml",)}, **changes}
    )


def placed_app(folder: Path, settings: OwnChart):
    """The app, its paths found."""
    found, wrong = placed(settings, folder)
    assert wrong == []
    return app_of(found)


def test_helm_is_asked_for_text_and_nothing_else(tmp_path, chart):
    """Whole paths, this namespace, this cluster's version; neither hooks nor tests, which nobody would run."""
    found = placed(config(chart={"path": "demo", "values": ("values.yaml",), "release": "mine"}), tmp_path)[0]

    assert helm_argv(found.chart, "shop", "v1.36.3") == [
        *("helm", "template", "mine", str(chart), "--namespace=shop", "--skip-tests", "--no-hooks"),
        f"--values={tmp_path / 'values.yaml'}",
        "--kube-version=v1.36.3",
    ]
    assert started_by(found) == [helm_argv(found.chart, "NAMESPACE")]


def test_a_chart_becomes_this_runs_objects(helm, tmp_path, chart):
    """As manifests do."""
    service, deployment = manifests_of(placed_app(tmp_path, config()), HERE, kube_version="v1.36.3")

    assert (service["kind"], deployment["kind"]) == ("Service", "Deployment")
    assert deployment["metadata"]["namespace"] == "shop"
    assert "--kube-version=v1.36.3" in helm.read_text()


def test_mistakes_are_told_by_template(helm, tmp_path, chart):
    """Helm says from which file each object came."""
    (chart / "templates" / "web.yaml").write_text(WEB.replace("spec: {selector", "spec: {type: LoadBalancer, selector"))

    with pytest.raises(DocumentError, match=r"rendered demo/templates/web.yaml:4:8: spec.type: a LoadBalancer opens"):
        manifests_of(placed_app(tmp_path, config()), HERE)


def test_a_check_starts_no_helm(helm, tmp_path, chart):
    """Only a trusted document starts programs."""
    assert doubts_of(placed_app(tmp_path, config()), Place("shop")) == ()
    assert not helm.exists()


def test_what_helm_refuses_is_told_in_its_words(helm, tmp_path, chart):
    """With the command to try."""
    (chart / "Chart.yaml").unlink()

    with pytest.raises(DocumentError, match=r"helm refuses the chart:\nError: Chart.yaml file is missing") as caught:
        manifests_of(placed_app(tmp_path, config()), HERE)
    assert (caught.value.next_step or "").startswith("helm template app ")


def test_without_helm_it_says_so(monkeypatch, tmp_path):
    """And what to do instead."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PreflightError, match="helm is not installed") as caught:
        rendered_chart(["helm", "template"])
    assert "app.manifests" in (caught.value.next_step or "")


def test_a_chart_that_changed_is_not_deployed(helm, tmp_path, chart):
    """Any file of it, and its values."""
    app = placed_app(tmp_path, config())
    (tmp_path / "values.yaml").write_text("a: 2\n")

    with pytest.raises(PreflightError, match="changed since the experiment was read"):
        manifests_of(app, HERE)


def test_a_chart_that_is_not_there_is_told_at_its_setting(tmp_path):
    """Each path at its own."""
    found = placed(config(), tmp_path)[1]

    assert [loc for loc, _ in found] == [("app", "chart", "path"), ("app", "chart", "values", 0)]


def test_output_is_split_by_template():
    """What stands before the first mark is kept, too."""
    text = "a: 1\n---\n# Source: x/templates/a.yaml\nb: 2\n---\n# Source: x/templates/b.yaml\nc: 3\n"

    assert templates(text) == [
        ("rendered chart", b"a: 1\n"),
        ("rendered x/templates/a.yaml", b"b: 2\n"),
        ("rendered x/templates/b.yaml", b"c: 3\n"),
    ]
    assert templates("a: 1\n") == [("rendered chart", b"a: 1\n")]
    assert templates("\n") == []
