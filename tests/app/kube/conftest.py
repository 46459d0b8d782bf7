"""Manifests in files, and apps that name them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.app.config import OwnManifests
from tasks.app.files import placed
from tasks.app.model import App

WEB = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {tier: web}, ports: [{port: 8000, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {tier: web}}
spec:
  selector: {matchLabels: {tier: web}}
  template:
    metadata: {labels: {tier: web, app: everything}}
    spec:
      containers:
        - name: web
          image: example.test/web:1
          ports: [{name: http, containerPort: 8080}, {containerPort: 9100}]
"""


@pytest.fixture
def app(tmp_path: Path) -> Callable[..., App]:
    """Writes ``app.yaml`` and gives the app that it makes; settings of the document by name."""

    def make(text: str = WEB, **settings: Any) -> App:
        (tmp_path / "app.yaml").write_text(text)
        config = OwnManifests(kind="own-app", **{"entry": "web", "manifests": ("app.yaml",), "workloads": ({"name": "web"},), **settings})
        found, wrong = placed(config, tmp_path)
        assert wrong == []
        assert isinstance(found, OwnManifests)
        return App("own-app", found)

    return make
