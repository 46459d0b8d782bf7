"""Whether a document may start programs of its own."""

from __future__ import annotations

import pytest

from flows.document import load_document
from flows.trust import SERVED_TRUST, require_served_trust
from tasks.base.errors import DocumentError
from tasks.base.shipped import shipped


def test_a_document_from_a_form_starts_programs_only_where_that_was_allowed(monkeypatch, tmp_path):
    """Refused with every command and what to type; with ``serve --trust`` it passes; the shipped shop needs no trust."""
    path = tmp_path / "experiment.yaml"
    path.write_text(shipped("templates/own-app.yaml").read_text().replace("{here}", str(tmp_path)))
    own = load_document(path)
    monkeypatch.delenv(SERVED_TRUST, raising=False)

    with pytest.raises(DocumentError, match="would start:") as told:
        require_served_trust(own)
    assert "serve --trust" in (told.value.next_step or "")
    require_served_trust(load_document(shipped("quick.yaml")))
    monkeypatch.setenv(SERVED_TRUST, "1")
    require_served_trust(own)
