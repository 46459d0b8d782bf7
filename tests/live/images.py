"""
The cluster's images, from Debian packages, Python packages and the programs of ``make cluster``; no Docker, no registry.

What they are is data: ``recipe/images/images.toml``. They are kept as one archive, ``images.tar``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.base.errors import PreflightError
from tests.live import oci
from tests.live.cache import RECIPE, digest_of, kept
from tests.live.oci import Image, Layer, write_archive

FOLDER = RECIPE / "images"
ARCHIVE = "images.tar"
PACKING = (Path(__file__), Path(oci.__file__))
TOOLS = ("mmdebstrap", "gcc")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What ``images.toml`` says."""

    domain: str
    suite: str
    python: str
    dropped: Sequence[str]
    applets: str
    """Names of busybox's programs, with spaces between."""
    files: Mapping[str, str]
    roots: Mapping[str, Mapping[str, Any]]
    sites: Mapping[str, Sequence[str]]
    images: Mapping[str, Mapping[str, Any]]

    def names(self) -> dict[str, str]:
        """Full name, with its tag, of each image."""
        return {short: f"{self.domain}/{short}:{image['tag']}" for short, image in self.images.items()}


def read_recipe() -> Recipe:
    """The recipe of this checkout."""
    return Recipe(**tomllib.loads((FOLDER / "images.toml").read_text()))


def images_name(binaries: Path) -> str:
    """Name of the cache's folder for images with the programs of *binaries*, as the code that packs them is now."""
    return f"images-{digest_of('images', binaries.name, *(path.read_text() for path in PACKING))}"


def built_images(binaries: Path, say: Callable[[str], None]) -> Path:
    """
    The folder with ``images.tar``, made if it is not there.

    Raises:
        PreflightError: A tool is missing, or packages cannot be fetched.
    """
    return kept(images_name(binaries), lambda folder: _build(binaries, folder, say))


def _build(binaries: Path, output: Path, say: Callable[[str], None]) -> None:
    recipe = read_recipe()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise PreflightError(f"the images need {', '.join(missing)}", next_step=f"apt-get install {' '.join(missing)}, then: make cluster")
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tidegauge-images-") as name:
        workshop = Workshop(recipe, binaries, Path(name), python_of(recipe.python))
        images = [workshop.image(short) for short in recipe.images]
        write_archive(output / ARCHIVE, images)
    say(f"made {len(images)} images ({(output / ARCHIVE).stat().st_size / 1e6:.0f} MB) in {time.monotonic() - begun_s:.0f} s")


def python_of(version: str) -> str:
    """
    A Python of *version* (such as ``3.11``), whose pip makes what that version can load.

    Raises:
        PreflightError: There is none.
    """
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        raise PreflightError(f"the images need a python{version} with pip", next_step="install it, then: make cluster")
    return found


@dataclass(slots=True)
class Workshop:
    """A folder in which the parts of images are made, each once."""

    recipe: Recipe
    binaries: Path
    folder: Path
    python: str
    made: dict[tuple[str, str], Path] = field(default_factory=dict)

    def image(self, short: str) -> Image:
        """The image that the recipe calls *short*."""
        wanted = self.recipe.images[short]
        return Image(self.recipe.names()[short], [self._layer(layer) for layer in wanted["layers"]], wanted["config"])

    def _layer(self, wanted: Mapping[str, str]) -> Layer:
        (kind, what), *_ = ((key, value) for key, value in wanted.items() if key != "to")
        if (kind, what) not in self.made:
            part = self.folder / f"{kind}-{what.replace('/', '-')}"
            part.mkdir()
            getattr(self, f"_make_{kind}")(what, part)
            self.made[kind, what] = part
        return Layer(self.made[kind, what], wanted["to"])

    def _make_program(self, what: str, part: Path) -> None:
        shutil.copy2(self.binaries / what, part / what)

    def _make_folder(self, what: str, part: Path) -> None:
        shutil.copytree(FOLDER / what, part, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))

    def _make_open(self, what: str, part: Path) -> None:
        """An empty folder in which anybody may write."""
        (part / what).mkdir()
        (part / what).chmod(0o1777)

    def _make_compiled(self, what: str, part: Path) -> None:
        source = FOLDER / what
        _run(["gcc", "-Os", "-static", "-s", str(source), "-o", str(part / source.stem)], f"{what} does not compile")

    def _make_site(self, what: str, part: Path) -> None:
        argv = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--no-compile"]
        _run([*argv, "--target", str(part), *self.recipe.sites[what]], f"Python packages for {what} cannot be installed")
        self._compile(part, part)

    def _make_root(self, what: str, part: Path) -> None:
        root = self.recipe.roots[what]
        argv = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(root['packages'])}", self.recipe.suite, str(part)]
        _run(argv, f"Debian packages for {what} cannot be fetched")
        for pattern in self.recipe.dropped:
            for path in part.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self._finish_root(part, root["links"])
        self._compile(part, part / "usr" / "lib" / f"python{self.recipe.python}")

    def _compile(self, part: Path, folder: Path) -> None:
        """Bytecode that is valid whatever the files' times, which are 0 in an image: without it each start would compile again."""
        argv = [self.python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(part), str(folder)]
        _run(argv, "no bytecode")

    def _finish_root(self, root: Path, links: Mapping[str, str]) -> None:
        """What maintainer scripts and the running system would have added."""
        for name in ("app", "dev", "proc", "root", "run", "sys", "tmp"):
            (root / name).mkdir(exist_ok=True)
        (root / "tmp").chmod(0o1777)
        for name, text in self.recipe.files.items():
            (root / name).write_text(text)
        for name, target in links.items():
            (root / name).unlink(missing_ok=True)
            (root / name).symlink_to(target)
        for applet in self.recipe.applets.split():
            link = root / "bin" / applet
            if not link.exists() and not link.is_symlink():
                link.symlink_to("busybox")


def _run(argv: Sequence[str], failure: str) -> None:
    ran = subprocess.run(list(argv), capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise PreflightError(f"{failure}:\n{(ran.stderr or ran.stdout).strip()[-2000:]}", next_step="check the network, then: make cluster")
