"""
``python -m tests.live.build``: the cluster's programs out of Go modules and its images, once.

Ends with 0 and the names of three folders, with 3 and a sentence when Go, a tool or the network is missing, with 1 when the programs
do not compile. What was made before is not made again: programs that are there stay there when images fail.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tasks.base.errors import PreflightError, TidegaugeError
from tests.live.artifacts import PROGRAMS, binaries, binaries_name
from tests.live.cache import RECIPE, kept
from tests.live.images import built_images
from tests.live.modules import KUBERNETES, BuildPlan, build_command, go_mod, read_plan, resolve_command
from tests.live.own_images import built_own_images
from tests.live.toolchain import require_go, run_go


def built_binaries() -> Path:
    """
    The folder of programs, built if it is not there.

    Raises:
        PreflightError: Go is missing or too old, or modules cannot be fetched.
        TidegaugeError: The programs do not compile.
    """
    found = binaries()
    if found is not None:
        return found
    plan = read_plan(RECIPE / "binaries" / "build.toml")
    return kept(binaries_name(require_go(plan.oldest_go)), lambda folder: _build(plan, folder))


def _build(plan: BuildPlan, output: Path) -> None:
    say("building the cluster's programs from Go modules: about six minutes on two cores when Go's own cache is empty")
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "module"
        shutil.copytree(RECIPE / "binaries", folder)
        (folder / "go.mod").write_text(go_mod(plan, _kubernetes_go_mod(plan, Path(name))))
        _fetch(plan, folder)
        say(f"modules are here after {time.monotonic() - begun_s:.0f} s")
        _compile(plan, folder, output)
    for program, links in plan.links.items():
        for link in links:
            (output / link).symlink_to(program)
    say(f"built {', '.join(PROGRAMS)} in {time.monotonic() - begun_s:.0f} s")


def _kubernetes_go_mod(plan: BuildPlan, folder: Path) -> str:
    """The ``go.mod`` of the Kubernetes release, which names its parts."""
    argv = ("go", "mod", "download", "-json", f"{KUBERNETES}@{plan.modules[KUBERNETES]}")
    ran = run_go(argv, folder, plan.environment)
    if ran.returncode != 0:
        raise _unreachable(ran.stderr or ran.stdout)
    return Path(json.loads(ran.stdout)["GoMod"]).read_text()


def _fetch(plan: BuildPlan, folder: Path) -> None:
    ran = run_go(resolve_command(plan), folder, plan.environment)
    if ran.returncode != 0:
        raise _unreachable(ran.stderr)


def _compile(plan: BuildPlan, folder: Path, output: Path) -> None:
    ran = run_go(build_command(plan, output), folder, plan.environment)
    missing = [program for program in PROGRAMS if not (output / program).is_file()]
    if ran.returncode != 0 or missing:
        raise TidegaugeError(f"the cluster's programs do not compile (missing: {', '.join(missing)}):\n{ran.stderr[-4000:]}")


def _unreachable(text: str) -> PreflightError:
    return PreflightError(
        f"the Go modules of the cluster's programs cannot be fetched:\n{text.strip()[-2000:]}",
        next_step="check the network and what `go env GOPROXY` says, then: make cluster",
    )


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Build what is missing; the exit code."""
    try:
        programs = built_binaries()
        print(programs)
        archive = built_images(programs, say)
        print(archive)
        print(built_own_images(archive, say))
    except TidegaugeError as error:
        say(f"make cluster: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
