"""The product's own images: their key follows the code, and they stand on the layers of others."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

import tidegauge
from tasks.artifacts.fingerprint import fingerprint
from tests.live import own_images
from tests.live.images import ARCHIVE, read_recipe
from tests.live.oci import Image, Layer, write_archive
from tests.live.own_images import OWN_ARCHIVE, built_own_images, own_images_name, own_names, read_own
from tests.structure.code import ROOT


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project with the same two programs."""
    files = {
        "tasks/__init__.py": "",
        "tasks/base/errors.py": "A = 1\n",
        "tasks/base/other.py": "B = 1\n",
        "tasks/shop/__init__.py": "",
        "tasks/shop/__main__.py": "from tasks.base.errors import A\n",
        "tasks/shop/data/socks.json": "[]\n",
        "tasks/load/journeys/locustfile.py": "import tasks.load.walk\n",
        "tasks/load/walk.py": "C = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(own_images, "ROOT", tmp_path)
    monkeypatch.setattr(own_images, "fingerprint", lambda places: fingerprint(places, tmp_path))
    return tmp_path


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an archive with the images below, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "images-1"
    made = []
    for short, image in read_recipe().images.items():
        parts = [tmp_path / "layers" / f"{short}-{number}" for number in range(len(image["layers"]))]
        for part in parts:
            part.mkdir(parents=True)
            (part / part.name).write_text(part.name)
        made.append(Image(read_recipe().names()[short], [Layer(part) for part in parts], {}))
    folder.mkdir()
    write_archive(folder / ARCHIVE, made)
    return folder


def test_the_key_follows_what_is_in_the_images(checkout, images):
    """A module, one that it imports, a data file: each makes another key; what nobody imports makes none."""
    keys = [own_images_name(images)]
    for name in ("tasks/base/other.py", "tasks/base/errors.py", "tasks/shop/data/socks.json", "tasks/load/walk.py"):
        (checkout / name).write_text("[1]\n")
        keys.append(own_images_name(images))

    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_the_key_follows_the_images_below(checkout, images):
    """Other layers make other images."""
    other = images.with_name("images-2")

    assert own_images_name(images) != own_images_name(other)


def test_the_archive_names_the_layers_below_and_holds_the_code(checkout, images):
    """What is below is in the other archive already; a second build makes nothing."""
    told: list[str] = []
    folder = built_own_images(images, told.append)
    assert built_own_images(images, told.append) == folder
    assert len(told) == 1

    with tarfile.open(folder / OWN_ARCHIVE) as archive, tarfile.open(images / ARCHIVE) as below:
        names = set(archive.getnames())
        manifests = json.load(archive.extractfile("index.json"))["manifests"]
        found = {one["annotations"]["io.containerd.image.name"]: one for one in manifests}
        assert (
            set(found)
            == set(own_names().values())
            == {f"tidegauge.local/{name}:{tidegauge.__version__}" for name in ("shop", "locust", "fault")}
        )
        for one in found.values():
            layers = json.load(archive.extractfile(f"blobs/sha256/{one['digest'][7:]}"))["layers"]
            paths = [f"blobs/sha256/{layer['digest'][7:]}" for layer in layers]
            assert all(path in below.getnames() for path in paths[:-1])
            if len(paths) == 1:
                assert paths[0] in below.getnames()
                continue
            assert paths[-1] in names
            with tarfile.open(fileobj=archive.extractfile(paths[-1])) as code:
                assert "app/tasks/__init__.py" in code.getnames()
                assert "app/tasks/base/other.py" not in code.getnames()


def test_old_archives_go(checkout, images):
    """A few are kept for other checkouts."""
    for number in range(6):
        (checkout / "tasks/load/walk.py").write_text(f"C = {number}\n")
        folder = built_own_images(images, lambda _: None)

    assert folder.is_dir()
    assert len(list(folder.parent.glob("own-*"))) == own_images.KEPT + 1


def test_paths_of_the_images_are_those_of_the_checkout():
    """A module that is renamed is renamed in the image, too: nothing is listed by hand."""
    _, found = read_own()

    assert "tasks/shop/templates/home.html" in found["shop"].modules()
    assert "tasks/load/journeys/locustfile.py" in found["locust"].modules()
    assert all((ROOT / name).is_file() for image in found.values() for name in image.modules())
