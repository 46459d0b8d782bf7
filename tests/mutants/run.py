"""
Break the code on purpose, one small breakage at a time, and want the test that guards it to fail.

``python -m tests.mutants.run [WORD ...]`` runs the mutants of ``tests/mutants/*.toml`` (only those that mention every
word). The tracked files are copied to a temporary folder, where the text ``find``, which must be there exactly once, is
replaced; the interpreter and the libraries are this one's. Ends with 1 when a test stays green, when it was not green
before, or when a mutant does not fit the code any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.base.process import identify

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PATIENCE_S = 600.0
SEED = "1"

Verdict = Literal["killed", "SURVIVED", "DOES NOT FIT", "NO TEST RAN", "TIME OUT"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One breakage: *find* becomes *replace* in *file*, and *test* has to notice."""

    source: str
    row: int
    file: str
    find: str
    replace: str
    test: str

    @property
    def place(self) -> str:
        """The file and, in one line, what is broken."""
        line = " ".join(self.find.split())
        return f"{self.file}: {line if len(line) <= 60 else line[:57] + '...'}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant, in how many seconds."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    words: str = ""


def listed(folder: Path = HERE) -> list[Mutant]:
    """All mutants, by file and in their order there."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        found += [Mutant(path.stem, **entry) for entry in tomllib.loads(path.read_text()).get("mutant", [])]
    return found


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the checkout's tracked files as they are now."""
    with tempfile.TemporaryDirectory(prefix="tidegauge-mutants-") as folder:
        target = Path(folder) / "checkout"
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.split(b"\0")
        for name in filter(None, map(os.fsdecode, names)):
            if (ROOT / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target / name)
        if (ROOT.parent / "shared").is_dir():
            (Path(folder) / "shared").symlink_to(ROOT.parent / "shared")
        yield target


def ran(checkout: Path, test: str) -> tuple[int, str]:
    """Exit code of pytest for *test* in *checkout*, and the end of what it said; everything it started is ended with it."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", "SEED": SEED}
    argv = [sys.executable, "-m", "pytest", test, "-q", "-x", "-p", "no:cacheprovider", "--rootdir", str(checkout)]
    child = subprocess.Popen(
        argv, cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        said, _ = child.communicate(timeout=PATIENCE_S)
        return child.returncode, said[-2000:]
    except subprocess.TimeoutExpired:
        return -1, "it took too long"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        end_all_in(checkout)


def end_all_in(checkout: Path) -> None:
    """End what a broken test left running: every process that works in the copy, which is this run's alone."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or (found := identify(int(entry.name))) is None:
            continue
        with suppress(OSError):  # gone, or somebody else's
            if (entry / "cwd").readlink().is_relative_to(checkout):
                found.signal(signal.SIGKILL)


def tried(checkout: Path, mutant: Mutant) -> Outcome:
    """Break *checkout*, run the test, and mend it again."""
    begun, path = time.monotonic(), checkout / mutant.file
    whole = path.read_text() if path.is_file() else ""
    if (count := whole.count(mutant.find)) != 1 or not mutant.find:
        return Outcome(mutant, "DOES NOT FIT", 0.0, f"the text is there {count} times")
    if not (checkout / mutant.test.partition("::")[0]).is_file():
        return Outcome(mutant, "NO TEST RAN", 0.0, f"there is no {mutant.test}")
    path.write_text(whole.replace(mutant.find, mutant.replace))
    try:
        code, said = ran(checkout, mutant.test)
    finally:
        path.write_text(whole)
    verdict: Verdict = {1: "killed", 0: "SURVIVED", -1: "TIME OUT"}.get(code, "NO TEST RAN")  # type: ignore[assignment]
    return Outcome(mutant, verdict, time.monotonic() - begun, "" if verdict == "killed" else said)


def green_before(checkout: Path, mutants: Sequence[Mutant]) -> list[str]:
    """Tests that fail without any mutant: they would prove nothing."""
    return [test for test in dict.fromkeys(mutant.test for mutant in mutants) if ran(checkout, test)[0] != 0]


def main() -> int:
    """Run the mutants, print a table, and say whether all were killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("words", nargs="*", help="only mutants that mention every word")
    parser.add_argument("--unbroken", action="store_true", help="first run every test without a mutant, which takes as long again")
    asked = parser.parse_args()
    mutants = [one for one in listed() if all(word in f"{one.source}.toml {one.row} {one.place} {one.test}" for word in asked.words)]
    with copied() as checkout:
        broken = green_before(checkout, mutants) if asked.unbroken else []
        for test in broken:
            print(f"fails without any mutant: {test}", flush=True)
        outcomes = []
        for number, mutant in enumerate(mutants, 1):
            found = tried(checkout, mutant)
            outcomes.append(found)
            print(f"{number:3}/{len(mutants)} {found.verdict:12} {found.seconds:6.1f} s  row {mutant.row:2}  {mutant.place}", flush=True)
            if found.words:
                print(
                    f"      {mutant.source}.toml, {mutant.test}\n      {found.words.strip()[-300:]}".replace("\n", "\n      "), flush=True
                )
    killed = sum(found.verdict == "killed" for found in outcomes)
    rows = sorted({mutant.row for mutant in mutants})
    print(f"{killed} of {len(mutants)} mutants were killed; rows {', '.join(map(str, rows)) or 'none'}")
    return 0 if mutants and killed == len(mutants) and not broken else 1


if __name__ == "__main__":
    sys.exit(main())
