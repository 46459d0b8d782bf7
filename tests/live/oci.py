"""
Images as one OCI archive, which ``ctr images import`` reads, from folders.

The same folders give the same bytes: names are sorted, times are 0, everything belongs to root. A layer that several images
have is in the archive once.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""The kernel's name of a machine, and OCI's."""
Bytes: TypeAlias = io.BytesIO | io.BufferedRandom


@dataclass(frozen=True, slots=True)
class Layer:
    """The files below *source*, put at *to*."""

    source: Path
    to: str = "/"


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its full name with a tag, its layers from below, and the OCI ``config`` of its containers."""

    name: str
    layers: Sequence[Layer]
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes with their name in the archive."""

    digest: str
    size: int
    file: Bytes

    def described(self, media_type: str) -> dict[str, Any]:
        """As an OCI descriptor."""
        return {"mediaType": media_type, "digest": f"sha256:{self.digest}", "size": self.size}


@dataclass(slots=True)
class Blobs:
    """All blobs of an archive; a layer is made once, whoever has it."""

    by_digest: dict[str, Blob] = field(default_factory=dict)
    layers: dict[Layer, Blob] = field(default_factory=dict)

    def add(self, file: Bytes) -> Blob:
        """The blob of everything in *file*."""
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return self.by_digest.setdefault(digest, Blob(digest, file.seek(0, io.SEEK_END), file))

    def add_json(self, value: Any) -> Blob:
        """The blob of a JSON value."""
        return self.add(io.BytesIO(json.dumps(value, sort_keys=True).encode()))

    def add_layer(self, layer: Layer) -> Blob:
        """The blob of a layer."""
        if layer not in self.layers:
            self.layers[layer] = self.add(_packed(layer))
        return self.layers[layer]


def write_archive(path: Path, images: Iterable[Image]) -> None:
    """Write *images* to *path*, an OCI layout as a tar file."""
    blobs = Blobs()
    index = {"schemaVersion": 2, "manifests": [_described(image, blobs) for image in images]}
    with tarfile.open(path, "w") as archive:
        _put(archive, "oci-layout", io.BytesIO(json.dumps({"imageLayoutVersion": "1.0.0"}).encode()))
        _put(archive, "index.json", io.BytesIO(json.dumps(index, sort_keys=True).encode()))
        for digest, blob in sorted(blobs.by_digest.items()):
            _put(archive, f"blobs/sha256/{digest}", blob.file)
            blob.file.close()


def _described(image: Image, blobs: Blobs) -> dict[str, Any]:
    layers = [blobs.add_layer(layer) for layer in image.layers]
    here = {"architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux"}
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]}
    config = blobs.add_json({**here, "config": dict(image.config), "rootfs": rootfs})
    manifest = blobs.add_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.described(CONFIG),
            "layers": [layer.described(LAYER) for layer in layers],
        }
    )
    names = {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name.rpartition(":")[2]}
    return {**manifest.described(MANIFEST), "platform": here, "annotations": names}


def _packed(layer: Layer) -> Bytes:
    """The layer as a tar in a file that is gone when it is closed."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 -- closed when it is in the archive
    with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(layer.source.rglob("*")):
            _add(tar, path, f"{layer.to}/{path.relative_to(layer.source)}".strip("/"))
    return spool


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    member = tar.gettarinfo(path, name)
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    if member.isreg():
        with path.open("rb") as file:
            tar.addfile(member, file)
    else:
        tar.addfile(member)


def _put(archive: tarfile.TarFile, name: str, file: Bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = file.seek(0, io.SEEK_END)
    file.seek(0)
    archive.addfile(member, file)
