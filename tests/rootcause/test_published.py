"""A published table of root-cause scorers, reproduced from its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.rootcause.measures import Place, measures
from tasks.rootcause.published import late, scores, services_in_order, varying


def _service(column: str) -> str:
    return column.split("_", maxsplit=1)[0].removesuffix("-db")


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> dict[str, list[tuple[str, list[str], np.ndarray, np.ndarray]]]:
    """The 50 cases by kind of fault: true service, columns, rows before and after."""
    folder = shared_data / "sockshop1-rcd"
    if not folder.is_dir():
        pytest.skip("the public data set sockshop1-rcd is absent")
    table = pd.read_parquet(folder / "metrics.parquet")
    columns = [name for name in table.columns[2:-1] if not name.endswith(("_lat_50", "_lat_99"))]
    table[[name for name in columns if name.endswith("_mem")]] /= 1e6
    found: dict[str, list[tuple[str, list[str], np.ndarray, np.ndarray]]] = {"cpu": [], "mem": []}
    for name, rows in table.groupby("case"):
        service, kind, _ = str(name).split("_")
        values, faulty = rows[columns].to_numpy(float), rows["is_fault_window"].to_numpy() == 1
        found[kind].append((service, columns, values[~faulty], values[faulty]))
    return found


def _avg_at_5(cases, method: str, kind: str, rows_late: int) -> float:
    places = []
    for true, columns, before, after in cases[kind]:
        normal, faulty = late(before, after, rows_late)
        kept = varying(normal, faulty)
        names = [_service(column) for column, keep in zip(columns, kept, strict=True) if keep]
        order = services_in_order(names, scores(method, normal[:, kept], faulty[:, kept]))
        places.append(Place(order.index(true), 1, 1) if true in order else Place(0, 0, 0))
    return measures(places).avg_at_5


@pytest.mark.parametrize(
    ("method", "rows_late", "cpu", "mem"),
    [
        ("baro", 0, 0.992, 0.992),
        ("baro", 60, 0.976, 0.984),
        ("n_sigma", 0, 0.984, 0.992),
        ("n_sigma", 60, 0.152, 0.328),
        ("robust", 0, 1.0, 1.0),
        ("robust", 60, 1.0, 1.0),
    ],
)
def test_avg_at_5_is_the_published_one(cases, method, rows_late, cpu, mem):
    """BARO and N-Sigma score what their table says, in time and 60 s late; a floored robust scale misses nothing."""
    assert len(cases["cpu"]) == len(cases["mem"]) == 25
    assert _avg_at_5(cases, method, "cpu", rows_late) == pytest.approx(cpu, abs=1e-9)
    assert _avg_at_5(cases, method, "mem", rows_late) == pytest.approx(mem, abs=1e-9)
