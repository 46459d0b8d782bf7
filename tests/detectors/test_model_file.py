"""Model files: what was saved comes back, and nothing else is let in."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from tasks.base.errors import StorageError
from tasks.detectors import model_file
from tasks.detectors.registry import NAMES, make


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)


def fitted(name, rows, seed=1):
    return make(name, profile="short").fit(rows, resolution=np.full(5, 0.1), seed=seed)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_training_gives_the_same_bytes(name, rows, tmp_path):
    """No address or moment gets into the file."""
    for file in ("a", "b"):
        model_file.save(fitted(name, rows), tmp_path / file)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_flipped_byte_is_refused_or_changes_nothing(rows, tmp_path):
    """Every byte is under a checksum, or is not looked at."""
    path = tmp_path / "model.skops"
    model_file.save(fitted("pca_spe", rows), path)
    raw = path.read_bytes()
    expected = model_file.load(path).score(rows)

    for at in range(0, len(raw), max(1, len(raw) // 100)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x40]) + raw[at + 1 :])
        try:
            again = model_file.load(path).score(rows)
        except StorageError:
            continue
        assert (again == expected).all()


def test_a_missing_file_is_a_sentence(tmp_path):
    """No traceback for a file that is not there."""
    with pytest.raises(StorageError, match="not a model"):
        model_file.load(tmp_path / "none.skops")


def rewritten(path, change):
    """The archive at *path* with its schema changed by *change*."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema, members)
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_a_tree_that_points_outside_itself_is_refused(rows, tmp_path):
    """scikit-learn would read memory that is not the tree's."""
    path = tmp_path / "model.skops"
    model_file.save(fitted("isolation_forest", rows), path)

    def point_outside(schema, members):
        for name, data in members.items():
            if name.endswith(".npy"):
                array = np.lib.format.read_array(io.BytesIO(data))
                if array.dtype.names and "left_child" in array.dtype.names and array.size > 1:
                    array["left_child"][0] = 10**6
                    buffer = io.BytesIO()
                    np.lib.format.write_array(buffer, array)
                    members[name] = buffer.getvalue()
                    return

    rewritten(path, point_outside)

    with pytest.raises(StorageError, match="points outside itself"):
        model_file.load(path)


def test_a_model_of_another_shape_is_refused(rows, tmp_path):
    """A part that is missing is a sentence, not an AttributeError later."""
    path = tmp_path / "model.skops"
    model_file.save(fitted("robust_z", rows), path)

    def rename(schema, members):
        text = json.dumps(schema).replace("robust_z", "pca_spe")
        schema.clear()
        schema.update(json.loads(text))

    rewritten(path, rename)

    with pytest.raises(StorageError):
        model_file.load(path)
