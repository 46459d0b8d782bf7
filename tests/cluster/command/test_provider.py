"""Clusters that commands make: never two of a name, never one of somebody else's removed, none forgotten."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.base.errors import DocumentError, LeftBehindError, LockedError, PreflightError, StorageError
from tasks.base.files import read_json, write_json
from tasks.base.process import stat_of
from tasks.cluster.command.inventory import Made, Place
from tasks.cluster.command.provider import CommandProvider, inventory, remove
from tasks.cluster.config import CommandCluster
from tests.cluster.parts import eventually

RUN, OTHER = "20261126-150000-aaaa", "20261126-160000-bbbb"
ROOT = Path(__file__).resolve().parents[3]
COMMANDS = """version: 1
name: maker
create: ["{python}", -S, MAKER, create, "{name}"]
delete: ["{python}", -S, MAKER, delete, "{name}"]
kubeconfig: ["{python}", -S, MAKER, kubeconfig, "{name}"]
check: ["{python}", -S, MAKER, check, "{name}"]
""".replace("MAKER", str(Path(__file__).with_name("maker.py")))
ENSURE = """
import sys
from pathlib import Path
from tasks.cluster.command.provider import CommandProvider
from tasks.cluster.config import CommandCluster
settings = CommandCluster(provider="command", namespace="shop", commands=sys.argv[2], name="demo")
CommandProvider(Path(sys.argv[1]), settings).ensure(sys.argv[3])
"""


@pytest.fixture
def made(tmp_path, monkeypatch) -> Path:
    """Where the maker's clusters are."""
    folder = tmp_path / "clusters"
    folder.mkdir()
    monkeypatch.setenv("MAKER", str(folder))
    return folder


@pytest.fixture
def provider(tmp_path, made) -> CommandProvider:
    """A provider of the cluster ``demo``."""
    (tmp_path / "maker.yaml").write_text(COMMANDS)
    (tmp_path / "store").mkdir()
    settings = CommandCluster(provider="command", namespace="shop", commands="./maker.yaml", name="demo", ask_timeout_s=20)
    return CommandProvider(tmp_path / "store", settings, folder=tmp_path)


def test_a_cluster_is_made_used_and_removed(provider, made):
    """The kubeconfig is for its user alone, commands never see the user's own; the second time there is nothing to remove."""
    path = provider.ensure(RUN)

    assert path.read_text() == "s3cr3t of cluster-demo\n"
    assert path.stat().st_mode & 0o077 == 0
    assert (made / "cluster-demo" / "kubeconfig-seen").read_text() == str(path)
    assert [(one.name, one.run, one.state) for one in inventory(provider.root)] == [("demo", RUN, "made")]
    assert provider.there()
    assert provider.release(RUN) == ()
    assert not (made / "cluster-demo").exists()
    assert not path.exists()
    assert inventory(provider.root) == ()
    assert provider.release(RUN) == ()


def test_nothing_secret_is_in_the_logs(provider):
    """What ``kubeconfig`` prints is kept in its file, and nowhere else."""
    kept = provider.ensure(RUN)
    texts = [path.read_text() for path in provider.place.folder.iterdir() if path != kept]

    assert texts
    assert not any("s3cr3t" in text for text in texts)


def test_a_cluster_that_was_there_is_used_and_never_removed(provider, made):
    """Nobody has written down that we made it."""
    (made / "cluster-demo").mkdir()
    (made / "cluster-demo" / "config").write_text("theirs")

    assert provider.ensure(RUN).read_text() == "theirs\n"
    assert provider.release(RUN) == ()
    assert inventory(provider.root) == ()
    assert (made / "cluster-demo").exists()
    assert "create" not in (made / "calls").read_text()


def test_a_second_run_uses_it_and_leaves_it_to_the_first(provider, made):
    """Who made it removes it."""
    provider.ensure(RUN)
    provider.ensure(OTHER)

    assert provider.release(OTHER) == ()
    assert (made / "cluster-demo").exists()
    assert (made / "calls").read_text().split().count("create") == 1


def test_one_that_is_to_be_kept_stays(provider, made):
    """Until it is removed on purpose."""
    keeping = CommandProvider(provider.root, provider.settings.model_copy(update={"keep": True}), provider.folder)
    keeping.ensure(RUN)

    assert keeping.release(RUN) == ()
    assert (made / "cluster-demo").exists()
    (there,) = inventory(provider.root)
    assert remove(provider.root, there) == ()
    assert not (made / "cluster-demo").exists()


def test_what_could_not_be_made_leaves_nothing(provider, made):
    """Half of it is removed, and the last words of the command are told."""
    (made / "break-create").touch()

    with pytest.raises(PreflightError, match="ended with 3: no room for node 2 / was it the disk") as refusal:
        provider.ensure(RUN)

    assert "create.log" in str(refusal.value)
    assert not (made / "cluster-demo").exists()
    assert inventory(provider.root) == ()


def waiting(provider: CommandProvider) -> CommandProvider:
    """The same, of a tool whose ``create`` returns before its cluster answers."""
    ready = """ready: ["{python}", -S, MAKER, ready, "{name}"]\n""".replace("MAKER", str(Path(__file__).with_name("maker.py")))
    provider.path.write_text(COMMANDS + ready)
    return provider


def test_a_new_cluster_is_waited_for_and_one_that_was_there_is_not(provider, made):
    """Once, with its kubeconfig, before anybody gets to it."""
    slow = waiting(provider)

    slow.ensure(RUN)
    assert (made / "calls").read_text().split() == ["check", "create", "kubeconfig", "ready", "kubeconfig"]
    slow.ensure(OTHER)
    assert (made / "calls").read_text().split().count("ready") == 1


def test_one_that_does_not_get_ready_is_removed(provider, made):
    """It was made, but nobody could use it."""
    (made / "break-ready").touch()

    with pytest.raises(PreflightError, match=r"could not be made: .* ended with 2: node 2 has not joined") as refusal:
        waiting(provider).ensure(RUN)

    assert "ready.log" in str(refusal.value)
    assert not (made / "cluster-demo").exists()
    assert inventory(provider.root) == ()


def test_what_cannot_be_removed_is_told_and_not_forgotten(provider, made):
    """And removed later."""
    provider.ensure(RUN)
    (made / "break-delete").touch()
    (left,) = provider.release(RUN)

    assert "is still there after its removal" in left.why
    assert "a volume is in use" in left.why
    assert [one.state for one in inventory(provider.root)] == ["removing"]
    with pytest.raises(LeftBehindError, match="a volume is in use"):
        provider.ensure(OTHER)
    (made / "break-delete").unlink()
    assert provider.release(RUN) == ()
    assert not (made / "cluster-demo").exists()


def test_neither_yes_nor_no_stops_everything(provider, made):
    """An engine that does not answer is not an engine without clusters."""
    (made / "unclear-check").touch()

    with pytest.raises(PreflightError, match=r"cannot be told: .* ended with 7: cannot reach the engine"):
        provider.ensure(RUN)

    assert "create" not in (made / "calls").read_text()
    assert inventory(provider.root) == ()


def test_a_command_that_takes_too_long_is_ended_with_its_children(provider, made):
    """And what it had begun is removed."""
    (made / "slow-create").touch()
    hasty = CommandProvider(provider.root, provider.settings.model_copy(update={"create_timeout_s": 1.0}), provider.folder)

    with pytest.raises(PreflightError, match="did not end within 1 s"):
        hasty.ensure(RUN)

    eventually(lambda: group_of(int((made / "begun").read_text())) == [])
    assert not (made / "cluster-demo").exists()


def test_a_killed_run_s_cluster_is_found_and_removed(provider, made):
    """It was written down before it was begun; the command dies with us, and somebody else clears up."""
    (made / "slow-create").touch()
    path = str(provider.path)
    making = subprocess.Popen([sys.executable, "-c", ENSURE, str(provider.root), path, RUN], cwd=ROOT)
    eventually((made / "begun").exists)
    with pytest.raises(LockedError, match="just being made or removed"):
        remove(provider.root, inventory(provider.root)[0], provider.settings.model_copy(update={"ask_timeout_s": 0.1}))
    making.kill()
    making.wait()
    (found,) = inventory(provider.root)

    assert (found.run, found.state) == (RUN, "making")
    eventually(lambda: not Path(f"/proc/{(made / 'begun').read_text()}/stat").exists())
    assert remove(provider.root, found) == ()
    assert not (made / "cluster-demo").exists()
    assert remove(provider.root, found) == ()


def test_the_next_run_makes_a_half_made_one_anew(provider, made):
    """Without being told."""
    (made / "cluster-demo").mkdir()
    provider.place.make()
    provider.place.write(Made("demo", str(provider.path), "0" * 64, OTHER, "making", 0.0))

    assert provider.ensure(RUN).read_text() == "s3cr3t of cluster-demo\n"
    assert [one.run for one in inventory(provider.root)] == [RUN]


def test_a_signal_while_it_is_made_removes_it(provider, made):
    """As on a terminal: the command is ended, what it has begun is removed, and the signal is passed on."""
    (made / "slow-create").touch()
    code = f"import tasks.base.stopping as s\nwith s.stoppable():\n{ENSURE.strip().replace(chr(10), chr(10) + '  ').join(['  ', ''])}"
    making = subprocess.Popen([sys.executable, "-c", code, str(provider.root), str(provider.path), RUN], cwd=ROOT, stderr=subprocess.PIPE)
    eventually((made / "begun").exists)
    making.send_signal(signal.SIGTERM)
    _, said = making.communicate()

    assert b"cancelled by SIGTERM" in said
    assert not (made / "cluster-demo").exists()
    assert inventory(provider.root) == ()


def test_an_inventory_alone_starts_nothing(provider, made, tmp_path):
    """The file of commands has to be what it was, and may not come with the store."""
    provider.ensure(RUN)
    (there,) = inventory(provider.root)
    (tmp_path / "maker.yaml").write_text(COMMANDS + "notes: changed\n")
    (left,) = remove(provider.root, there)
    inside = provider.root / "evil.yaml"
    inside.write_text(COMMANDS)
    provider.place.write(Made("demo", str(inside), there.digest, RUN, "made", 0.0))
    (also,) = remove(provider.root, there)

    assert "is not what it was when the cluster was made" in left.why
    assert "lies in the store itself" in also.why
    assert (made / "cluster-demo").exists()


@pytest.mark.parametrize("change", [{"name": "../../escape"}, {"state": "gone"}, {"commands": 7}, {"at_s": "x"}, {"run": None}])
def test_an_inventory_that_was_not_written_by_us_is_refused(provider, change):
    """A name in it becomes a path."""
    provider.ensure(RUN)
    path = provider.place.folder / "inventory.json"
    write_json(path, read_json(path) | change)

    with pytest.raises(StorageError):
        inventory(provider.root)


def test_a_link_in_the_place_of_a_cluster_s_folder_is_refused(provider, tmp_path):
    """What is in it would be removed with the cluster."""
    (tmp_path / "mine").mkdir()
    (provider.root / "clusters").mkdir()
    (provider.root / "clusters" / "demo").symlink_to(tmp_path / "mine")

    with pytest.raises(StorageError, match="is a link"):
        Place(provider.root / "clusters" / "demo").make()


def test_a_missing_program_or_variable_is_told(provider, tmp_path, monkeypatch):
    """Before anything is run."""
    (tmp_path / "maker.yaml").write_text(COMMANDS + "needs: [no-such-program]\nneeds_variables: [NO_SUCH_VARIABLE]\n")

    with pytest.raises(PreflightError, match="the program no-such-program, the environment variable NO_SUCH_VARIABLE"):
        provider.ensure(RUN)


def test_shell_metacharacters_stay_arguments(provider, made, tmp_path):
    """Nobody reads them as a command."""
    hostile = f"$(touch {tmp_path}/canary); `touch {tmp_path}/canary`"
    (tmp_path / "maker.yaml").write_text(COMMANDS.replace('create, "{name}"', f'create, "{{name}}", {hostile!r}'))
    provider.ensure(RUN)

    assert not (tmp_path / "canary").exists()


def test_the_path_of_a_kubeconfig_may_be_printed_instead(provider, made, tmp_path):
    """And the file stays where it is."""
    (tmp_path / "theirs").write_text("x")
    text = COMMANDS.replace(
        'kubeconfig: ["{python}"', f'kubeconfig_gives: path\nkubeconfig: [echo, "{tmp_path}/theirs"]\nnotes: ["{{python}}"'
    )
    (tmp_path / "maker.yaml").write_text("\n".join(line for line in text.splitlines() if not line.startswith("notes")))

    assert provider.ensure(RUN) == tmp_path / "theirs"


def test_there_are_no_other_shipped_commands(provider):
    """A word that is no name of a shipped file is told with those that are."""
    with pytest.raises(DocumentError) as refusal:
        CommandProvider(provider.root, provider.settings.model_copy(update={"commands": "kindd"})).commands()

    assert "kind, kops, minikube" in str(refusal.value)


def group_of(leader: int) -> list[int]:
    """Living processes of the process group *leader*."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    found = {pid: stat_of(pid) for pid in pids}
    return [pid for pid, one in found.items() if one is not None and one.group == leader and one.state not in "ZX"]
