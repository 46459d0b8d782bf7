"""Parquet is read and written in one place: elsewhere a read would not ask for checksums, a write would not keep the old file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PLACE = Path("tasks/base/parquet.py")
CALLS = {
    "read_parquet",
    "to_parquet",
    "read_feather",
    "to_feather",
    "scan_parquet",
    "write_parquet",
    "sink_parquet",
    "read_orc",
    "write_dataset",
}
MODULES = ("pyarrow.parquet", "pyarrow._parquet", "pyarrow.dataset", "pyarrow._dataset", "fastparquet")


def offences(source: str) -> Iterator[str]:
    """Each import or call in *source* by which Parquet could be read or written."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]
        if any(name == module or name.startswith(module + ".") for name in names for module in MODULES):
            yield f"line {node.lineno}: {names}"
        if isinstance(node, ast.Attribute) and (node.attr in CALLS or ast.unparse(node) in {"pa.parquet", "pyarrow.parquet", "pa.dataset"}):
            yield f"line {node.lineno}: {ast.unparse(node)}"


def test_only_one_module_touches_parquet(root: Path) -> None:
    """No other file of the product imports a Parquet reader or calls one."""
    files = [path for part in ("tasks", "flows", "tidegauge") for path in (root / part).rglob("*.py") if path.relative_to(root) != PLACE]
    found = {str(path.relative_to(root)): told for path in files if (told := list(offences(path.read_text())))}

    assert len(files) > 20
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pyarrow.parquet as pq",
        "from pyarrow import parquet",
        "from pyarrow.parquet import read_table",
        "import pyarrow as pa\npa.parquet.read_table('x')",
        "import pandas as pd\npd.read_parquet('x')",
        "frame.to_parquet('x')",
        "import importlib\nimportlib.import_module('pyarrow.parquet')",
        "import pyarrow.dataset as ds",
    ],
)
def test_the_search_finds_every_way_in(source: str) -> None:
    """Each way of reading or writing past the one module is an offence."""
    assert list(offences(source))
