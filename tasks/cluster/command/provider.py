"""A Kubernetes that commands make: made when it is not there, removed by whoever made it, and never when it was there before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import DocumentError, LeftBehindError, PreflightError, TidegaugeError
from tasks.base.files import write_atomically
from tasks.base.stopping import sheltered
from tasks.cluster.command.file import CommandFile, Commands, Which, command_path, digest_of, is_shipped, read_commands
from tasks.cluster.command.inventory import Made, Place, places
from tasks.cluster.command.program import Ended, absent, run
from tasks.cluster.config import CommandCluster
from tasks.cluster.provider import Leftover


@dataclass(frozen=True, slots=True)
class CommandProvider:
    """The cluster of *settings* in the store at *root*."""

    root: Path
    settings: CommandCluster
    folder: Path | None = None
    """Of the document: relative paths of command files begin there; None: the working directory."""
    clock: Clock = field(default_factory=SystemClock)
    say: Callable[[str], None] = lambda _: None

    @property
    def place(self) -> Place:
        """Its folder in the store."""
        return Place.of(self.root, self.settings.name)

    @property
    def path(self) -> Path:
        """The file of commands."""
        return command_path(self.settings.commands, self.folder)

    def commands(self) -> Commands:
        """
        What would be run.

        Raises:
            DocumentError: The file is not valid.
        """
        return Commands(self.settings.name, self.place.kubeconfig, read_commands(self.path))

    def there(self) -> bool:
        """
        Whether the cluster is there.

        Raises:
            PreflightError: It cannot be told: a program is missing, or says something else than yes or no.
        """
        commands = self._usable()
        with self.place.alone(self.settings.ask_timeout_s):
            return self._there(commands)

    def found(self) -> Path | None:
        """
        The kubeconfig of the cluster as it stands; nothing is made. None: it is not there, or was left half made, with nothing in it.

        Raises:
            PreflightError: It cannot be told whether it is there, or it gives no kubeconfig.
        """
        commands = self._usable()
        with self.place.alone(self.settings.ask_timeout_s):
            made = self.place.read()
            half_made = made is not None and made.state == "making"
            return None if half_made or not self._there(commands) else self._kubeconfig(commands)

    def ensure(self, run_id: str) -> Path:
        """
        The kubeconfig of the cluster, which is made when it is not there; one that a killed run left half made is made anew.

        Raises:
            PreflightError: It cannot be told whether it is there, or it could not be made; nothing of it is left.
            LeftBehindError: It could not be made, and what was made of it could not be removed.
        """
        commands = self._usable()
        with self.place.alone(self.settings.create_timeout_s):
            made = self.place.read()
            if made is not None and made.state != "made":
                self.say(f"the cluster {made.name} was left half {'made' if made.state == 'making' else 'removed'} by run {made.run}")
                self._removed(commands, made)
            if not self._there(commands):
                self._make(commands, run_id)
            return self._kubeconfig(commands)

    def release(self, run_id: str) -> tuple[Leftover, ...]:
        """Remove the cluster if *run_id* has made it and it is not to be kept; what is still there of it."""
        made = self.place.read()
        if made is None or made.run != run_id or self.settings.keep:
            return ()
        return remove(self.root, made, self.settings, say=self.say)

    # -- inside --------------------------------------------------------------------------------------------------------------

    def _usable(self) -> Commands:
        commands = self.commands()
        missing = absent(commands.file.needs, commands.file.needs_variables)
        if missing:
            raise PreflightError(f"the commands of {commands.file.name} need {', '.join(missing)}", next_step=f"see {self.path}")
        return commands

    def _run(self, commands: Commands, which: Which) -> Ended:
        return run_command(commands, which, self.place, self.settings)

    def _there(self, commands: Commands) -> bool:
        return is_there(commands, self._run(commands, "check"))

    def _make(self, commands: Commands, run_id: str) -> None:
        made = Made(
            self.settings.name,
            self.settings.commands if is_shipped(self.settings.commands) else str(self.path.resolve()),
            digest_of(self.path),
            run_id,
            "making",
            self.clock.wall_s(),
        )
        self.place.write(made)
        self.say(f"making the cluster {made.name} with {commands.file.name}")
        try:
            self._done(commands, "create")
            if commands.file.ready is not None:
                self._kubeconfig(commands)  # by which it is waited for
                self._done(commands, "ready")
        except BaseException:
            with sheltered():
                self._removed(commands, made)
            raise
        self.place.write(made.at("made"))

    def _done(self, commands: Commands, which: Which) -> None:
        ended = self._run(commands, which)
        if ended.status != 0:
            raise PreflightError(
                f"the cluster {commands.cluster} could not be made: {ended.told}", next_step=f"see {self.place.log(which)}"
            )

    def _removed(self, commands: Commands, made: Made) -> None:
        left = _remove(commands, self.place, made, self.settings)
        if left:
            raise LeftBehindError(f"the cluster {made.name}: {left[0].why}", next_step="mend that, then: tidegauge down --all")

    def _kubeconfig(self, commands: Commands) -> Path:
        ended = self._run(commands, "kubeconfig")
        if ended.status != 0:
            raise PreflightError(f"there is no kubeconfig: {ended.told}", next_step=f"see {self.place.log('kubeconfig')}")
        gives = commands.file.kubeconfig_gives
        if gives == "content":
            write_atomically(self.place.kubeconfig, ended.output)
        path = Path(ended.output.strip()) if gives == "path" else self.place.kubeconfig
        if not path.is_file():
            raise PreflightError(f"the command kubeconfig of {commands.file.name} gave no file: {path}", next_step=f"mend {self.path}")
        if path == self.place.kubeconfig:
            path.chmod(0o600)
        return path


def run_command(commands: Commands, which: Which, place: Place, settings: CommandCluster) -> Ended:
    """Run one of them; see :func:`tasks.cluster.command.program.run`."""
    create_s, delete_s, ask_s = settings.create_timeout_s, settings.delete_timeout_s, settings.ask_timeout_s
    limits: Mapping[Which, float] = {"create": create_s, "ready": create_s, "delete": delete_s, "kubeconfig": ask_s, "check": ask_s}
    return run(
        commands.argv(which),
        log=place.log(which),
        timeout_s=limits[which],
        variables={"KUBECONFIG": str(commands.kubeconfig)},
        private=which == "kubeconfig",
    )


def is_there(commands: Commands, ended: Ended) -> bool:
    """
    What the command ``check`` has said.

    Raises:
        PreflightError: Neither yes nor no.
    """
    there, missing = commands.pattern("check_there"), commands.pattern("check_absent")
    if ended.status == 0:
        return there is None or there.search(ended.output) is not None
    if (ended.status == 1 and there is None) if missing is None else (missing.search(ended.output) is not None):
        return False
    raise PreflightError(
        f"whether the cluster {commands.cluster} is there cannot be told: {ended.told}",
        next_step=f"try it: {' '.join(commands.argv('check'))}",
    )


# -- removing, also where the document is gone -----------------------------------------------------------------------------------


def remove(
    root: Path, made: Made, settings: CommandCluster | None = None, *, say: Callable[[str], None] = lambda _: None
) -> tuple[Leftover, ...]:
    """
    Remove a cluster of the inventory by the commands that made it; what is still there of it. Does nothing the second time.

    Args:
        root: The store.
        made: What the inventory says.
        settings: For the time limits; None: the usual ones.
        say: Told what is done.

    Raises:
        LockedError: Another process is just making or removing it.
    """
    place = Place.of(root, made.name)
    limits = settings or CommandCluster(provider="command", namespace="tidegauge", commands=made.commands, name=made.name)
    with place.alone(limits.ask_timeout_s):
        present = place.read()
        if present is None:
            return ()
        try:
            commands = Commands(made.name, place.kubeconfig, _agreed(place, present))
        except TidegaugeError as error:
            return (Leftover(f"cluster {made.name}", present.commands, error.message),)
        say(f"removing the cluster {made.name} that run {present.run} has made")
        return _remove(commands, place, present, limits)


def _agreed(place: Place, made: Made) -> CommandFile:
    """The commands that made it, if they are what they were: an inventory alone must not start programs."""
    path = command_path(made.commands)
    if path.resolve().is_relative_to(place.folder.parent.parent):
        raise DocumentError(f"the file of commands {path} lies in the store itself; it is not run")
    if not path.is_file() or (digest_of(path) != made.digest and not is_shipped(made.commands)):
        raise DocumentError(f"{path} is not what it was when the cluster was made; remove the cluster by hand, or put it back")
    return read_commands(path)


def _remove(commands: Commands, place: Place, made: Made, settings: CommandCluster) -> tuple[Leftover, ...]:
    name = f"cluster {made.name}"
    place.write(made.at("removing"))
    try:
        ended = run_command(commands, "delete", place, settings)
        if is_there(commands, run_command(commands, "check", place, settings)):
            return (Leftover(name, commands.file.name, f"is still there after its removal: {ended.told}"),)
    except PreflightError as error:
        return (Leftover(name, commands.file.name, error.message),)
    place.clear()
    return ()


def inventory(root: Path) -> tuple[Made, ...]:
    """Clusters that runs of the store at *root* have made and that were not removed, by name."""
    found = (place.read() for place in places(root))
    return tuple(made for made in found if made is not None)
