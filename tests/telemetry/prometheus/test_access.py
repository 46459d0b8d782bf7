"""Addresses, headers and tokens: what is taken, what is refused and why, and that nothing secret is ever told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.addresses import forbidden
from tasks.base.errors import CredentialsError, DocumentError
from tasks.telemetry.prometheus.access import Access, address_problems, is_loopback

WIDE = {ord(digit): ord(digit) - ord("0") + ord("\N{FULLWIDTH DIGIT ZERO}") for digit in "0123456789"}
"""Digits that some programs take for those of ASCII."""
VARIABLE = "TOKEN_OF_A_TEST"
BY_NAME, BY_FILE = {"token_env": VARIABLE}, {"token_file": "~/token"}
TAKEN = (
    "http://127.0.0.1:9090",
    "http://localhost:9090/",
    "http://[::1]:9090",
    "https://prometheus.example.com",
    "https://prometheus.example.com/some/prefix/",
    "http://10.0.0.7:30090/prometheus",
    "http://192.168.1.1",
    "http://prometheus.monitoring.svc.cluster.local:9090",
    "HTTPS://PROMETHEUS.EXAMPLE.COM",
    "https://xn--fe-eka.example/",
    "http://172.16.254.169:80",
    "http://[fd12:3456::9]:9090",
    "http://metadata.example.com",
)
FORM, SPACE, USER, QUERY, CLOUD, LETTERS, NONE = (
    "is not of the form",
    "has a space or a control character",
    "carries a user or a password",
    "carries a query or a fragment",
    "where clouds keep their credentials, or link-local",
    "is not written in ASCII",
    "is not an address",
)
REFUSED = {
    "": FORM,
    "prometheus:9090": FORM,
    "127.0.0.1:9090": FORM,
    "//127.0.0.1:9090": FORM,
    "ftp://127.0.0.1/": FORM,
    "file:///etc/passwd": FORM,
    "http://": FORM,
    "http:///api/v1": FORM,
    "http://:9090": FORM,
    "http://127.0.0.1:9090 ": SPACE,
    "http://127.0.0.1:9090/a b": SPACE,
    "http://127.0.0.1\r\nX-Evil: 1": SPACE,
    "http://127.0.0.1/\x7f": SPACE,
    "http://a\tb/": SPACE,
    "http://root:hunter2@127.0.0.1": USER,
    "http://root@127.0.0.1": USER,
    "http://@127.0.0.1": USER,
    "http://127.0.0.1\\@169.254.169.254/": USER,
    "http://127.0.0.1/?token=hunter2": QUERY,
    "http://127.0.0.1/#graph": QUERY,
    "http://127.0.0.1:port": NONE,
    "http://127.0.0.1:70000": NONE,
    "http://[::1": NONE,
    "http://169.254.169.254/": CLOUD,
    "http://169.254.169.254./": CLOUD,
    "http://169.254.0.1/": CLOUD,
    "http://2852039166/": CLOUD,
    "http://0xA9FEA9FE/": CLOUD,
    "http://0xa9.0xfe.0xa9.0xfe/": CLOUD,
    "http://0251.0376.0251.0376/": CLOUD,
    "http://169.254.43518/": CLOUD,
    "http://169.16689662/": CLOUD,
    "http://[::ffff:169.254.169.254]/": CLOUD,
    "http://[::ffff:a9fe:a9fe]/": CLOUD,
    "http://[64:ff9b::a9fe:a9fe]/": CLOUD,
    "http://[2002:a9fe:a9fe::1]/": CLOUD,
    "http://[fe80::1%25eth0]/": CLOUD,
    "http://[fd00:ec2::254]/": CLOUD,
    "http://[::]/": CLOUD,
    "http://[ff02::1]/": CLOUD,
    "http://0.0.0.0:9090": CLOUD,
    "http://0": CLOUD,
    "http://224.0.0.1": CLOUD,
    "http://100.100.100.200/": CLOUD,
    "http://metadata.google.internal/": CLOUD,
    "http://METADATA.google.internal./": CLOUD,
    "http://metadata/": CLOUD,
    "http://instance-data": CLOUD,
    f"http://{'169.254.169.254'.translate(WIDE)}/": LETTERS,
    "http://169。254。169。254/": LETTERS,
    "http://prömetheus.example/": LETTERS,
}


@pytest.mark.parametrize("url", TAKEN)
def test_an_address_is_taken(url):
    """Of this machine, of another one, by name and by number."""
    assert address_problems(url) == ()
    assert Access(url).problems() == ()


@pytest.mark.parametrize(("url", "why"), REFUSED.items())
def test_an_address_is_refused_with_the_reason(url, why):
    """Whatever is no server's address, holds a secret, or leads to where clouds keep their credentials."""
    assert any(why in text for text in address_problems(url)), address_problems(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://root:hunter2@127.0.0.1:9090",
        "http://root:hunter2@127.0.0.1:port",
        "http://root:hunter2@127.0.0.1:9090/a b",
        "ftp://root:hunter2@127.0.0.1",
        "ftp://127.0.0.1/?token=hunter2",
        "http://127.0.0.1:port?token=hunter2",
        "http://127.0.0.1 #hunter2",
        "http://hunter2@[::1",
        "//root:hunter2@127.0.0.1",
        "http://root:hun@hunter2@127.0.0.1/ ",
        "http://root:\nhunter2@127.0.0.1",
    ],
)
def test_a_refusal_never_repeats_what_may_be_secret(url):
    """User, password and query are not in the sentences, whatever else is wrong with the address."""
    found = address_problems(url)

    assert found
    assert "hunter2" not in "\n".join(found)


@given(st.integers(0, 2**32 - 1))
def test_every_spelling_of_a_number_is_judged_alike(number):
    """Dotted, one number, hexadecimal, octal, or inside an IPv6 address."""
    dotted = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    octal = ".".join(f"0{number >> shift & 255:o}" for shift in (24, 16, 8, 0))
    low = f"{number >> 16:x}:{number & 0xFFFF:x}"
    spellings = (dotted, str(number), hex(number), octal, f"::ffff:{low}", f"64:ff9b::{low}", f"2002:{low}::1")
    link_local = number >> 16 == 0xA9FE
    special = number in (0, 0x646464C8, 0xC0000C0) or number >> 28 == 0xE

    assert {forbidden(host) for host in spellings} == {link_local or special}


HEADERS = {
    ("X-Scope-OrgID", "team"): None,
    ("THANOS-TENANT", "a b"): None,
    ("Host", "prometheus.internal"): None,
    ("Authorization", "Bearer hunter2"): "carries a secret",
    ("authorization", "Basic hunter2"): "carries a secret",
    ("Proxy-Authorization", "hunter2"): "carries a secret",
    ("COOKIE", "session=hunter2"): "carries a secret",
    ("X-Api-Key", "hunter2"): "carries a secret",
    ("X-Signature", "hunter2"): "carries a secret",
    ("X-Auth-User", "hunter2"): "carries a secret",
    ("PRIVATE-TOKEN", "hunter2"): "carries a secret",
    ("x-client-secret", "hunter2"): "carries a secret",
    ("X-Password", "hunter2"): "carries a secret",
    ("X-Amz-Credential", "hunter2"): "carries a secret",
    ("X-Session-Id", "hunter2"): "carries a secret",
    ("X Y", "hunter2"): "is not a header's name",
    ("X-Y:", "hunter2"): "is not a header's name",
    ("", "hunter2"): "is not a header's name",
    ("X\r\nEvil", "hunter2"): "is not a header's name",
    ("Füße", "hunter2"): "is not a header's name",
    ("X-Y", "hunter2\r\nEvil: 1"): "has a control character",
    ("X-Y", "hunter2\x00"): "has a control character",
    ("X-Y", "hunter2 \N{SNOWMAN}"): "beyond ASCII",
    ("Accept-Encoding", "gzip"): "is set by the reader itself",
    ("content-length", "5"): "is set by the reader itself",
    ("Transfer-Encoding", "chunked"): "is set by the reader itself",
}


@pytest.mark.parametrize(("header", "why"), HEADERS.items())
def test_headers_are_taken_or_refused(header, why):
    """A tenant's name is fine; a secret, a line end, and what frames a request are not. Values are not repeated."""
    found = Access("http://127.0.0.1", {header[0]: header[1]}).problems()

    assert [why in text for text in found] == ([] if why is None else [True])
    assert "hunter2" not in "\n".join(found)


SECRET_HEADERS = {
    ("X-Api-Key", "SHOP_KEY"): None,
    ("Authorization", "BASIC_LOGIN"): None,
    ("X-Anything", "_x1"): None,
    ("X Y", "SHOP_KEY"): "is not a header's name",
    ("Host\r\n", "SHOP_KEY"): "is not a header's name",
    ("Content-Type", "SHOP_KEY"): "is set by the reader itself",
    ("X-Api-Key", "hunter 2"): "should be the name of a variable",
    ("X-Api-Key", "2hunter"): "should be the name of a variable",
    ("X-Api-Key", ""): "should be the name of a variable",
    ("X-SCOPE-ORGID", "SHOP_KEY"): "is given twice",
}


@pytest.mark.parametrize(("header", "why"), SECRET_HEADERS.items())
def test_a_secret_header_is_named_by_its_variable(header, why):
    """Any header but those of the frame, once; what is no variable's name may be the secret itself, and is not repeated."""
    found = Access("http://127.0.0.1", {"X-Scope-OrgID": "a"}, header_env={header[0]: header[1]}).problems()

    assert [why in text for text in found] == ([] if why is None else [True])
    assert "hunter" not in "\n".join(found)


def test_a_login_is_given_once():
    """A bearer token and a header ``Authorization`` would both go out."""
    assert Access("http://127.0.0.1", header_env={"authorization": "LOGIN"}, **BY_NAME).problems() == (
        "header 'authorization' is given twice",
    )


def test_a_secret_header_never_goes_to_another_machine_in_the_open():
    """As a token; over https and on this machine it may."""
    secret = {"header_env": {"X-Api-Key": VARIABLE}}

    assert Access("http://10.0.0.1", **secret).problems() == ("header 'X-Api-Key' would go over plain http to another machine: use https",)
    assert [Access(url, **secret).problems() for url in ("https://10.0.0.1", "http://127.0.0.1")] == [(), ()]


def test_secret_headers_are_read_anew_for_each_request(monkeypatch, tmp_path):
    """With the token among them; nothing of it is in what is written down."""
    monkeypatch.setenv(VARIABLE, "hunter2")
    (tmp_path / "token").write_text("hunter3")
    access = Access("https://h", header_env={"X-Api-Key": VARIABLE}, token_file=str(tmp_path / "token"))
    first = access.secret_headers()
    monkeypatch.setenv(VARIABLE, "hunter4")
    told = json.dumps(access.to_json()) + repr(access)

    assert first == {"X-Api-Key": "hunter2", "Authorization": "Bearer hunter3"}
    assert access.secret_headers()["X-Api-Key"] == "hunter4"
    assert "hunter" not in told
    assert told.count(VARIABLE) == 2
    assert Access.from_json(json.loads(json.dumps(access.to_json()))) == access


@pytest.mark.parametrize("value", [None, "", "hunter2\r\nEvil: 1", "hunter2\x00", "hunter2\N{SNOWMAN}"])
def test_a_variable_without_a_value_for_a_header_is_refused(monkeypatch, value):
    """The variable and the header are named, the value is not."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if value and "\x00" not in value:
        monkeypatch.setenv(VARIABLE, value)

    with pytest.raises(CredentialsError, match=f"{VARIABLE} holds no value for the header X-Api-Key") as refused:
        Access("http://127.0.0.1", header_env={"X-Api-Key": VARIABLE}).secret_headers()

    assert "hunter2" not in str(refused.value)


def test_everything_wrong_is_told_at_once():
    """A sentence for each mistake."""
    found = Access("ftp://u@h", {"A B": "", "Cookie": "x"}, cert_file="c", header_env={"C D": "1"}, **BY_NAME, **BY_FILE).problems()

    assert len(found) == 8


@pytest.mark.parametrize("url", ["http://127.0.0.1:9090", "http://localhost", "http://[::1]:9090", "https://prometheus.example.com"])
@pytest.mark.parametrize("token", [BY_NAME, BY_FILE])
def test_a_token_may_go_to_this_machine_or_over_https(url, token):
    """Nobody between can read it."""
    assert Access(url, **token).problems() == ()


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "http://prometheus.example.com", "http://localhost.example.com", "http://127.0.0.1.nip.io"]
)
@pytest.mark.parametrize("token", [BY_NAME, BY_FILE])
def test_a_token_never_goes_to_another_machine_in_the_open(url, token):
    """Without a token the same address is fine."""
    assert Access(url, **token).problems() == ("a token would go over plain http to another machine: use https",)
    assert Access(url).problems() == ()


def test_a_name_is_this_machine_by_its_text_alone():
    """No name is looked up for it."""
    assert [is_loopback(host) for host in ("localhost", "127.9.9.9", "::1", "example.com", "10.0.0.1", "")] == [True] * 3 + [False] * 3


def test_a_token_of_the_environment(monkeypatch):
    """Read when it is needed, not before."""
    access = Access("http://127.0.0.1", **BY_NAME)
    monkeypatch.setenv(VARIABLE, "hunter2")

    assert access.token() == "hunter2"


def test_a_token_of_a_file_is_read_anew(tmp_path):
    """Clusters rotate it; a line end behind it does not count."""
    path = tmp_path / "token"
    access = Access("http://127.0.0.1", token_file=str(path))
    path.write_text("hunter2\n")
    first = access.token()
    path.write_text("hunter3")

    assert (first, access.token()) == ("hunter2", "hunter3")


def test_no_token_is_none():
    """None was named."""
    assert Access("http://127.0.0.1").token() is None


@pytest.mark.parametrize("content", [None, b"", b" \n", b"hunter2\nhunter2", b"hunter2\x00", "hunter2é".encode(), b"hunter2\xff", "folder"])
def test_a_token_file_without_a_token_is_refused(tmp_path, content):
    """Absent, empty, of two lines, not ASCII, not text, not a file: the message names the file, and nothing in it."""
    path = tmp_path / "token"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)

    with pytest.raises(CredentialsError) as refused:
        Access("http://127.0.0.1", token_file=str(path)).token()

    assert str(path) in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("value", [None, "", "hunter2\n"])
def test_an_environment_without_a_token_is_refused(monkeypatch, value):
    """The variable is named, its value is not."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)

    with pytest.raises(CredentialsError, match=f"{VARIABLE} holds no token") as refused:
        Access("http://127.0.0.1", **BY_NAME).token()

    assert "hunter2" not in str(refused.value)


def test_nothing_secret_is_in_what_is_written_down(monkeypatch, tmp_path):
    """Neither in the JSON, nor in the representation; both name where the token is."""
    monkeypatch.setenv(VARIABLE, "hunter2")
    (tmp_path / "token").write_text("hunter2")
    for named in (BY_NAME, {"token_file": str(tmp_path / "token")}):
        access = Access("https://h", {"X-Scope-OrgID": "a"}, ca_file="c", cert_file="d", key_file="e", **named)
        told = json.dumps(access.to_json()) + repr(access)

        assert access.token() == "hunter2"
        assert "hunter2" not in told
        assert told.count(next(iter(named.values()))) == 2
        assert Access.from_json(json.loads(json.dumps(access.to_json()))) == access


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"url": "http://127.0.0.1", "password": "x"},
        {"url": "ftp://127.0.0.1"},
        {"url": 5},
        {"url": None},
        {"url": "http://127.0.0.1", "headers": None},
        {"url": "http://127.0.0.1", "headers": {"X-Y": 5}},
        {"url": "http://127.0.0.1", "headers": {"Cookie": "x"}},
        {"url": "http://10.0.0.1", "token_env": "T"},
        {"url": "http://127.0.0.1", "header_env": {"X-Y": 5}},
        {"url": "http://127.0.0.1", "header_env": None},
    ],
)
def test_what_is_read_back_is_judged_too(value):
    """A file that somebody changed has no other way in."""
    with pytest.raises(DocumentError):
        Access.from_json(value)


def test_a_home_folder_may_be_written_short(monkeypatch, tmp_path):
    """``~`` as everywhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    Path(tmp_path / "token").write_text("hunter2")

    assert Access("http://127.0.0.1", **BY_FILE).token() == "hunter2"
