"""
Fitted detectors as files: skops archives of plain data, never pickle.

Before anything in a file is built, the archive's members, its claimed sizes and every type that its schema names are
held against fixed lists. Afterwards what was built is held against what a detector's parts may be: trees are read by
scikit-learn without checks of their indices, so they are checked here.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from tasks.base.errors import StorageError
from tasks.base.files import canonical_json, write_atomically
from tasks.detectors.base import FittedDetector, Parts
from tasks.detectors.registry import NAMES, restore

FORMAT = "tidegauge-model/1"
TRUSTED = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
)
"""What skops is told to trust beyond its own list; a file's schema may name still less, see :data:`NODES`."""
NODES = frozenset(
    {
        ("DictNode", "builtins.dict"),
        ("ListNode", "builtins.list"),
        ("TupleNode", "builtins.tuple"),
        ("TypeNode", "builtins.str"),
        ("JsonNode", "builtins.str"),
        ("CachedNode", "builtins.str"),
        ("NdArrayNode", "numpy.ndarray"),
        ("NdArrayNode", "numpy.float64"),
        ("NdArrayNode", "numpy.int64"),
        ("ObjectNode", "sklearn.ensemble._iforest.IsolationForest"),
        ("ObjectNode", "sklearn.tree._classes.ExtraTreeRegressor"),
        ("TreeNode", "sklearn.tree._tree.Tree"),
    }
)
"""Every (loader, type) that a model of ours can hold."""
MEMBER = re.compile(r"[0-9]{1,24}\.npy")
MAX_MEMBERS = 100_000
MAX_BYTES = 1 << 30
MAX_RATIO = 100
"""An archive may unpack to this many times its size (and 1 MiB); our own models stay below 40."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def save(fitted: FittedDetector, path: Path) -> None:
    """
    Write *fitted* to *path*; the same detector gives the same bytes.

    Raises:
        StorageError: No space is left.
    """
    import skops.io

    parts = fitted.parts()
    content = {
        "format": FORMAT,
        "detector": fitted.name,
        "settings": canonical_json(dict(parts.settings)),
        "arrays": {name: np.ascontiguousarray(array) for name, array in sorted(parts.arrays.items())},
        "estimators": dict(sorted(parts.estimators.items())),
    }
    write_atomically(path, _canonical(skops.io.dumps(content)))


def load(path: Path) -> FittedDetector:
    """
    The fitted detector in the file *path*.

    Raises:
        StorageError: It is not a model that this version wrote; nothing in it was executed.
    """
    import skops.io

    try:
        raw = path.read_bytes()
        _inspect(raw)
        content = skops.io.loads(raw, trusted=list(TRUSTED))
        return _restored(content)
    except StorageError as error:
        raise StorageError(f"{path.name} is not a model of ours: {error.message}", next_step="train it again: tidegauge train") from error
    except (Exception, RecursionError, MemoryError) as error:
        raise StorageError(
            f"{path.name} is not a model of ours: {type(error).__name__}: {str(error)[:200]}", next_step="train it again: tidegauge train"
        ) from error


def _canonical(raw: bytes) -> bytes:
    """The skops archive *raw* with its members numbered in order of appearance; skops names them by memory address."""
    with ZipFile(io.BytesIO(raw)) as source:
        schema = json.loads(source.read("schema.json"))
        numbers: dict[int, int] = {}
        members: dict[str, str] = {}
        for node in _nodes(schema):
            if isinstance(node.get("__id__"), int):
                node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
            if isinstance(node.get("file"), str):
                node["file"] = members.setdefault(node["file"], f"{len(members) + 1}.npy")
        target = io.BytesIO()
        with ZipFile(target, "w", ZIP_DEFLATED, compresslevel=1) as archive:
            for old, new in members.items():
                _add(archive, new, source.read(old))
            _add(archive, "schema.json", json.dumps(schema, separators=(",", ":")).encode())
    return target.getvalue()


def _add(archive: ZipFile, name: str, data: bytes) -> None:
    entry = ZipInfo(name, _EPOCH)
    entry.compress_type = ZIP_DEFLATED
    archive.writestr(entry, data)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside *value*, parents first, without recursion."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(reversed(one.values()))
        elif isinstance(one, list):
            waiting.extend(reversed(one))


def _inspect(raw: bytes) -> None:
    """Refuse *raw* unless members, sizes and types are such as :func:`save` writes; nothing is built."""
    with ZipFile(io.BytesIO(raw)) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if len(entries) > MAX_MEMBERS or len(set(names)) != len(names):
            raise StorageError("too many members, or two of one name")
        strange = [name for name in names if name != "schema.json" and not MEMBER.fullmatch(name)]
        if strange:
            raise StorageError(f"unexpected member {strange[0][:80]!r}")
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > min(MAX_BYTES, MAX_RATIO * len(raw) + (1 << 20)):
            raise StorageError(f"it claims to unpack to {unpacked} bytes")
        schema = json.loads(archive.read("schema.json"))
        for node in _nodes(schema):
            _inspect_node(node, set(names))
        for name in names:
            if name != "schema.json":
                _inspect_array(archive.read(name), name)


def _inspect_node(node: dict[str, Any], members: set[str]) -> None:
    if "__loader__" not in node and "__class__" not in node and "__module__" not in node:
        return
    kind = (node.get("__loader__"), f"{node.get('__module__')}.{node.get('__class__')}")
    if kind not in NODES:
        raise StorageError(f"type {kind[1][:120]} ({str(kind[0])[:40]}) is not on the list")
    if kind[0] == "NdArrayNode" and (node.get("type") != "numpy" or node.get("file") not in members):
        raise StorageError("an array that is not one of its members")


def _inspect_array(data: bytes, name: str) -> None:
    """Refuse an ``.npy`` whose header claims objects, or more or fewer bytes than there are."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    count = 1
    for length in shape:
        count *= int(length)
    if dtype.hasobject or any(length < 0 for length in shape) or count * dtype.itemsize != len(data) - stream.tell():
        raise StorageError(f"array {name} is not as long as it claims")


def _restored(content: Any) -> FittedDetector:
    """The detector whose parts are *content*, every part checked."""
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("detector") not in NAMES:
        raise StorageError(f"it does not hold a {FORMAT}")
    arrays, estimators = content["arrays"], content["estimators"]
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.float64) or not np.isfinite(array).all():
            raise StorageError(f"array {name!r} is not made of finite numbers")
    columns = arrays["center"].size if "center" in arrays else 0
    for estimator in estimators.values():
        from tasks.detectors.trees import sound_forest

        sound_forest(estimator, columns)
    return restore(content["detector"], Parts(json.loads(content["settings"]), arrays, estimators))
