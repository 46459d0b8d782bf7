"""Row 34: no model file can run code, whatever is in it."""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import random
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io

from tasks.base.errors import StorageError
from tasks.detectors import model_file
from tasks.detectors.registry import NAMES, make

Members = dict[str, bytes]


class Payload:
    """Unpickled, it makes the file *canary*."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self):
        """The call that a careless reader makes."""
        return os.system, (f"touch {self.canary}",)


@pytest.fixture
def honest(tmp_path):
    """A model file of ours, as its members."""
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    path = tmp_path / "honest.skops"
    model_file.save(make("robust_z").fit(rows, resolution=np.ones(3), seed=0), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Members) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_node(members: Members, **node: object) -> bytes:
    """The archive with a node added to the schema's top dictionary."""
    schema = json.loads(members["schema.json"])
    schema["content"]["evil"] = {"__id__": 999_999, **node}
    return packed({**members, "schema.json": json.dumps(schema).encode()})


def operator_node(members: Members, command: str) -> bytes:
    return with_node(
        members,
        __class__="methodcaller",
        __module__="operator",
        __loader__="OperatorFuncNode",
        attrs={
            "__class__": "tuple",
            "__module__": "builtins",
            "__loader__": "TupleNode",
            "content": [
                {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(command), "is_json": True}
            ],
        },
    )


def claims(members: Members) -> bytes:
    """An array whose header claims a terabyte."""
    name = next(name for name in members if name.endswith(".npy"))
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (1 << 37,)})
    return packed({**members, name: buffer.getvalue() + b"\0" * 64})


def object_array(members: Members, canary: Path) -> bytes:
    """An array of objects: numpy would unpickle it if it were allowed to."""
    name = next(name for name in members if name.endswith(".npy"))
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(canary)], dtype=object), allow_pickle=True)
    return packed({**members, name: buffer.getvalue()})


def long_array() -> bytes:
    """A sound array of 64 MB that packs to almost nothing."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(8 << 20))
    return buffer.getvalue()


def trusted_by_skops() -> bytes:
    """A sound model with a passenger that skops would build without asking."""
    ones = np.ones(3, dtype=np.float32)
    content = {"format": model_file.FORMAT, "detector": "robust_z", "settings": '{"top":1}', "arrays": {"center": ones, "scale": ones}}
    return skops.io.dumps({**content, "estimators": {}, "passenger": np.random.RandomState(0)})


def joblib_file(canary: Path) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(Payload(canary), buffer)
    return buffer.getvalue()


def zoo(members: Members, canary: Path) -> dict[str, bytes]:
    """Malicious files by what they try."""
    plain = {
        "__loader__": "ObjectNode",
        "content": {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {}},
    }
    function = {"__loader__": "FunctionNode", "content": {"module_path": "os", "function": "system"}}
    first = next(iter(members))
    return {
        "pickle named skops": pickle.dumps(Payload(canary)),
        "pickle of every protocol, the oldest": pickle.dumps(Payload(canary), protocol=0),
        "optimised pickle": pickletools.optimize(pickle.dumps(Payload(canary))),
        "joblib": joblib_file(canary),
        "pickle behind the archive": packed(members)[:-22] + pickle.dumps(Payload(canary)),
        "object array": object_array(members, canary),
        "zip slip": packed({**members, "../../canary": b"x"}),
        "absolute member": packed({**members, str(canary): b"x"}),
        "member that is a folder": packed({**members, "a/": b""}),
        "pickle as a member": packed({**members, "model.pkl": pickle.dumps(Payload(canary))}),
        "zip bomb": packed({**members, "99.npy": long_array()}),
        "claimed terabyte": claims(members),
        "os.system as a type": with_node(members, __class__="system", __module__="posix", **plain),
        "subprocess": with_node(members, __class__="Popen", __module__="subprocess", **plain),
        "builtins.eval": with_node(members, __class__="eval", __module__="builtins", **function),
        "function os.system": with_node(members, __class__="function", __module__="builtins", **function),
        "partial": with_node(members, __class__="partial", __module__="functools", __loader__="PartialNode"),
        "method": with_node(members, __class__="method", __module__="builtins", __loader__="MethodNode"),
        "operator": operator_node(members, f"touch {canary}"),
        "trusted by skops, not by us": trusted_by_skops(),
        "type with our loader": with_node(members, __class__="system", __module__="os", __loader__="TreeNode"),
        "object array as JSON": with_node(
            members, __class__="ndarray", __module__="numpy", __loader__="NdArrayNode", type="json", content=[]
        ),
        "file outside the archive": with_node(
            members, __class__="ndarray", __module__="numpy", __loader__="NdArrayNode", type="numpy", file="../../../etc/passwd"
        ),
        "deep schema": packed({**members, "schema.json": b"[" * 200_000 + b"]" * 200_000}),
        "no schema": packed({name: data for name, data in members.items() if name != "schema.json"}),
        "schema that is a list": packed({**members, "schema.json": b"[]"}),
        "unknown protocol": packed({**members, "schema.json": members["schema.json"].replace(b'"protocol":', b'"protocol":9')}),
        "array cut short": packed({**members, first: members[first][:-8]}),
        "unknown detector": packed({**members, "schema.json": members["schema.json"].replace(b"robust_z", b"robust_q")}),
        "empty": b"",
        "text": b"not a model\n",
    }


def test_malicious_model_files_are_refused_and_nothing_runs(honest, tmp_path, ledger):
    """Every file of the zoo ends in a sentence, at once, and the canary never appears."""
    canary = tmp_path / "canary"
    path = tmp_path / "model.skops"
    for what, raw in zoo(honest, canary).items():
        path.write_bytes(raw)
        before = set(tmp_path.iterdir())
        started = time.monotonic()
        refused = refuses(path)
        took_s = time.monotonic() - started
        clean = not canary.exists() and set(tmp_path.iterdir()) == before

        ledger.count(row=34, fault="malicious model file", survived=refused and clean, figure=f"{took_s:.2f} s to refuse {what}")

        assert refused, what
        assert clean, what
        assert took_s < 5, what


def refuses(path: Path) -> bool:
    """Whether loading *path* ends in the sentence for it."""
    try:
        model_file.load(path)
    except StorageError as error:
        return error.exit_code == 6
    return False


def test_the_payloads_are_live(tmp_path):
    """What the zoo holds does run in a careless reader: the canary can appear."""
    canary = tmp_path / "canary"

    joblib.load(io.BytesIO(joblib_file(canary)))

    assert canary.exists()


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    lambda raw, rng: raw.__setitem__(rng.randrange(len(raw)), rng.randrange(256)),
    lambda raw, rng: raw.__delitem__(slice(rng.randrange(len(raw)), None)),
    lambda raw, rng: raw.__setitem__(slice((at := rng.randrange(len(raw))), at + 8), rng.randbytes(8)),
    lambda raw, rng: raw.extend(rng.randbytes(rng.randrange(1, 200))),
)


@pytest.mark.slow
def test_damaged_models_score_the_same_or_are_refused(tmp_path, ledger, rng):
    """Bytes changed at random: a model that still loads is the very same model; no crash, no other error."""
    rows = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    path = tmp_path / "model.skops"
    for name in NAMES:
        item = make(name, profile="short")
        fitted = item.fit(rows, resolution=np.ones(4), seed=0)
        model_file.save(fitted, path)
        original, expected = path.read_bytes(), fitted.score(rows)
        for _ in range(40 if name != "isolation_forest" else 12):
            raw = bytearray(original)
            rng.choice(MUTATIONS)(raw, rng)
            path.write_bytes(raw)
            try:
                same = bool((model_file.load(path).score(rows) == expected).all())
            except StorageError:
                same = True

            ledger.count(row=34, fault="damaged model file", survived=same)

            assert same, name
