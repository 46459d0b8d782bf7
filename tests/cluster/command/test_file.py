"""The shipped files of commands, and what is refused in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.base.errors import DocumentError
from tasks.base.shipped import shipped
from tasks.cluster.command.file import Commands, command_path, read_commands

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted(path.stem for path in shipped("clusters").glob("*.yaml"))
GOOD = """version: 1
name: x
create: [a, "{name}"]
delete: [b]
kubeconfig: [c]
check: [d]
"""


def test_four_are_shipped():
    """Those that the documentation names."""
    assert SHIPPED == ["k3d", "kind", "kops", "minikube"]


@pytest.mark.parametrize("name", SHIPPED)
def test_each_is_called_as_it_says_and_names_its_cluster_everywhere(name, monkeypatch):
    """A command that does not name the cluster would hit another one."""
    monkeypatch.setenv("KOPS_ZONES", "eu-west-1a")
    file = read_commands(command_path(name))
    commands = Commands("demo", Path("/k"), file)

    assert file.name == name
    assert name in file.needs
    assert file.notes
    for which in ("create", "delete", "kubeconfig"):
        assert any("demo" in word for word in commands.argv(which)), which
        assert not any("{" in word for word in commands.argv(which))


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("kind", "other\ndemo\n", "demo-2\nother\n"),
        ("k3d", "demo     1/1    0/0   true\n", "demo-2   1/1    0/0   true\n"),
        ("minikube", '{"invalid":[],"valid":[{"Name":"demo","Status":"Running"}]}', '{"invalid":[],"valid":[{"Name":"demo-2"}]}'),
        ("kops", "NAME\tCLOUD\tZONES\ndemo.k8s.local\taws\teu-west-1a\n", "NAME\tCLOUD\tZONES\ndemoxk8s.local\taws\teu-west-1a\n"),
    ],
)
def test_their_own_cluster_is_told_from_others(name, yes, no):
    """By what the tools print; a name that begins the same is another one."""
    pattern = Commands("demo", Path("/k"), read_commands(command_path(name))).pattern("check_there")

    assert pattern.search(yes)
    assert not pattern.search(no)


def test_the_cluster_of_the_tests_has_one_too():
    """Outside of what is shipped."""
    assert read_commands(ROOT / "tests" / "live" / "cluster.yaml").name == "tests-harness"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("version: 1", "version: 2"), ":1:1: version: must be 1"),
        (GOOD.replace("delete: [b]\n", ""), "delete: Field required"),
        (GOOD + "shell: true\n", "shell: Extra inputs are not permitted"),
        (GOOD.replace("[a,", "['',"), "create: there is no program to start"),
        (GOOD.replace("[d]", "d"), "check: "),
        (GOOD + "check_there: '('\n", "check_there: is not a regular expression"),
        (GOOD.replace("{name}", "{nmae}"), "{nmae} is not filled in; there are {name}, {kubeconfig}, {python}"),
        (GOOD.replace("{name}", "{env:HOME}"), "{env:HOME} is not filled in"),
        (GOOD + "needs: ['../x']\n", "needs[0]: "),
    ],
    ids=lambda value: value[:40] if not value.startswith("version") else "",
)
def test_a_wrong_file_is_refused_with_its_line(text, said, tmp_path):
    """All mistakes at once."""
    (tmp_path / "x.yaml").write_text(text)

    with pytest.raises(DocumentError) as refusal:
        read_commands(tmp_path / "x.yaml")

    assert said in refusal.value.message


def test_a_variable_is_filled_in_where_it_is_named(tmp_path, monkeypatch):
    """Only one that the file says it needs."""
    monkeypatch.setenv("ZONE", "a.b")
    (tmp_path / "x.yaml").write_text(GOOD.replace("{name}", "{env:ZONE}") + "needs_variables: [ZONE]\ncheck_there: '{env:ZONE}'\n")
    commands = Commands("demo", Path("/k"), read_commands(tmp_path / "x.yaml"))

    assert commands.argv("create") == ("a", "a.b")
    assert not commands.pattern("check_there").search("axb")
