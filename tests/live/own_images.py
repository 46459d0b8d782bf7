"""
The product's own images, out of this checkout: the demo shop, the load generator, and what acts on a node for faults.

Each is the lower layers of an image of ``images.tar`` and a few files on them. ``own.tar`` holds those files alone and names the
layers: it is imported after ``images.tar``. Its key follows every module that the images hold, so that a changed line makes it
anew, in a second and without a network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import tidegauge
from tasks.artifacts.fingerprint import fingerprint
from tasks.base.files import sha256_file
from tests.live import oci
from tests.live.cache import RECIPE, cache_root, digest_of, kept
from tests.live.images import ARCHIVE, python_of, read_recipe
from tests.live.oci import Blobs, Layer

ROOT = Path(__file__).resolve().parents[2]
OWN_ARCHIVE = "own.tar"
PACKING = (Path(__file__), Path(oci.__file__))
KEPT = 3
"""Archives of former states of the code that stay in the cache."""


@dataclass(frozen=True, slots=True)
class OwnImage:
    """What ``own.toml`` says of one image."""

    base: str
    """Short name of the image below it."""
    layers: int
    """So many of its layers are taken."""
    places: Sequence[str]
    """Dotted names of what is in it, with everything of the project that is imported."""
    config: Mapping[str, Any]

    def modules(self) -> Mapping[str, str]:
        """Its files, by path below the checkout, with their digests; packages above them included."""
        found = dict(fingerprint(self.places).modules)
        folders = {parent for name in found for parent in Path(name).parents}
        packages = [f"{folder.as_posix()}/__init__.py" for folder in sorted(folders)]
        return {**found, **{name: sha256_file(ROOT / name) for name in packages if (ROOT / name).is_file()}}


def read_own() -> tuple[str, dict[str, OwnImage]]:
    """The domain, and each image by its short name."""
    recipe = tomllib.loads((RECIPE / "own" / "own.toml").read_text())
    return recipe["domain"], {short: OwnImage(**image) for short, image in recipe["images"].items()}


def own_names() -> dict[str, str]:
    """Full name, with the product's version as its tag, of each image."""
    domain, images = read_own()
    return {short: f"{domain}/{short}:{tidegauge.__version__}" for short in images}


def own_images_name(images: Path) -> str:
    """Name of the cache's folder for own images on those in the folder *images*, as the code is now."""
    _, own = read_own()
    code = json.dumps({short: image.modules() for short, image in own.items()}, sort_keys=True)
    packing = [path.read_text() for path in PACKING]
    return f"own-{digest_of('own', images.name, tidegauge.__version__, code, *packing)}"


def own_images(images: Path) -> Path | None:
    """The folder with ``own.tar`` for the code as it is now; None when ``make cluster`` has not made it."""
    folder = cache_root() / own_images_name(images)
    return folder if folder.is_dir() else None


def built_own_images(images: Path, say: Callable[[str], None]) -> Path:
    """The folder with ``own.tar``, made if it is not there; older ones go."""
    folder = kept(own_images_name(images), lambda output: _build(images, output, say))
    others = sorted((one for one in cache_root().glob("own-*") if one != folder and not one.name.endswith(".part")), key=_changed_s)
    for old in others[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def _build(images: Path, output: Path, say: Callable[[str], None]) -> None:
    begun_s, (_, own), names = time.monotonic(), read_own(), own_names()
    with tempfile.TemporaryDirectory(prefix="tidegauge-own-") as name, tarfile.open(images / ARCHIVE) as below:
        blobs = Blobs()
        described = []
        for short, image in own.items():
            code = [blobs.add_layer(Layer(_copied(image, Path(name) / short), "/app"))] if image.places else []
            described.append(_described(names[short], image, _base(below, image), code, blobs))
        _write(output / OWN_ARCHIVE, described, blobs)
    size_kb = (output / OWN_ARCHIVE).stat().st_size / 1e3
    say(f"made {', '.join(names.values())} ({size_kb:.0f} kB) in {time.monotonic() - begun_s:.1f} s")


def _copied(image: OwnImage, folder: Path) -> Path:
    """The files of *image*, with bytecode that is valid whatever their times."""
    for name in image.modules():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    argv = [
        python_of(read_recipe().python),
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        str(folder),
        str(folder),
    ]
    subprocess.run(argv, check=True)
    return folder


def _base(below: tarfile.TarFile, image: OwnImage) -> tuple[list[dict[str, Any]], list[str]]:
    """The lower layers, as descriptors, and the digests of what is in them."""
    full = read_recipe().names()[image.base]
    index = _json(below, "index.json")
    wanted = next(one for one in index["manifests"] if one["annotations"]["io.containerd.image.name"] == full)
    manifest = _blob(below, wanted["digest"])
    return manifest["layers"][: image.layers], _blob(below, manifest["config"]["digest"])["rootfs"]["diff_ids"][: image.layers]


def _described(
    name: str, image: OwnImage, base: tuple[list[dict[str, Any]], list[str]], code: Sequence[oci.Blob], blobs: Blobs
) -> dict[str, Any]:
    lower, lower_ids = base
    here = {"architecture": oci.ARCHITECTURES.get(os.uname().machine, os.uname().machine), "os": "linux"}
    rootfs = {"type": "layers", "diff_ids": [*lower_ids, *(f"sha256:{layer.digest}" for layer in code)]}
    config = blobs.add_json({**here, "config": dict(image.config), "rootfs": rootfs})
    parts = [*lower, *(layer.described(oci.LAYER) for layer in code)]
    manifest = blobs.add_json({"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": config.described(oci.CONFIG), "layers": parts})
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    return {**manifest.described(oci.MANIFEST), "platform": here, "annotations": names}


def _write(path: Path, described: Sequence[Mapping[str, Any]], blobs: Blobs) -> None:
    index = {"schemaVersion": 2, "manifests": list(described)}
    with tarfile.open(path, "w") as archive:
        files: dict[str, oci.Bytes] = {
            "oci-layout": BytesIO(json.dumps({"imageLayoutVersion": "1.0.0"}).encode()),
            "index.json": BytesIO(json.dumps(index, sort_keys=True).encode()),
            **{f"blobs/sha256/{digest}": blob.file for digest, blob in sorted(blobs.by_digest.items())},
        }
        for name, file in files.items():
            member = tarfile.TarInfo(name)
            member.size = file.seek(0, os.SEEK_END)
            file.seek(0)
            archive.addfile(member, file)


def _json(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    assert file is not None
    return json.load(file)


def _blob(archive: tarfile.TarFile, digest: str) -> Any:
    return _json(archive, f"blobs/sha256/{digest.removeprefix('sha256:')}")


def _changed_s(path: Path) -> float:
    return path.stat().st_mtime
