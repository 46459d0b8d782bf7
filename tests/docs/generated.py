"""The parts of the documentation that are printed from code and from data files, as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tasks.base.yaml_source import read_source
from tests.bench.rows import FIGURES, read_rows
from tests.bench.table import page as performance_page
from tests.ledger import Entry, function_of, joined

ROOT = Path(__file__).resolve().parents[2]
NOTE = "<!-- Printed by `make docs`; edit the code instead. -->\n"
NAMED = 3
"""So many of the things that are done for a row are named."""
SUITES = {"tests/reliability/": "make reliability", "tests/live/": "make live"}
"""What counts, by the folder of its tests."""
RELIABILITY = """# What was tried, and what survived

{note}
`make reliability` and `make live` count each try while they make it; the last ones had **{survived} of {tried}**.
Where: `processes` of this machine, a real Kubernetes (`cluster`), or an API server in memory (`fake`), for what a real one does not
show on demand.

"""


def pages() -> dict[str, str]:
    """Whole pages, by path."""
    return {
        "docs/reference/document.md": document_page(),
        "docs/reference/commands.md": commands_page(),
    }


def blocks() -> dict[str, str]:
    """Tables inside hand-written pages, by the name in ``<!-- printed: NAME -->``; a later ``<!-- end -->`` closes each."""
    faults = {"faults": faults_table(), "cluster-faults": faults_table("kubernetes")}
    from tests.docs.scale.page import scale_blocks

    return {"metrics": metrics_table(), **scale_blocks(table), **faults, "detectors": detectors_table(), "exits": exits_table()}


def measured() -> dict[str, str]:
    """Pages from figures that this machine measured; only those whose file is there."""
    found = {}
    counted, gone = joined()
    if counted:
        found["docs/reliability.md"] = reliability_page(counted, gone)
    if FIGURES.is_file():
        found["docs/performance.md"] = performance_page(read_rows(FIGURES))
    return found


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n" for line in lines)


def with_blocks(text: str, found: Mapping[str, str]) -> str:
    """*text* with the content between each pair of marks replaced."""

    def replace(match: re.Match[str]) -> str:
        return f"<!-- printed: {match['name']} -->\n{found[match['name']]}<!-- end -->"

    return re.sub(r"<!-- printed: (?P<name>[a-z-]+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


# -- the document ------------------------------------------------------------------------------------------------------
def _schema() -> dict[str, Any]:
    from flows.document import Experiment

    return Experiment.model_json_schema()


def document_page() -> str:
    """Every setting of the document with its type, bounds, default and meaning."""
    schema = _schema()
    parts = [
        "# The experiment document\n",
        NOTE,
        (
            "One YAML file describes an experiment. Unknown and duplicate keys are errors; units are part of the names (`_s`, `_bytes`,\n"
            "`_ratio`). `tidegauge schema` prints the JSON schema for editors, and `tidegauge check FILE` finds every mistake at once.\n"
        ),
        "## Top level\n",
        _properties(schema, schema),
    ]
    for name, one in schema["$defs"].items():
        if one.get("type") == "object":
            parts += [f"## {_title(name)}\n", _line(one.get("description", "")) + "\n", _properties(schema, one)]
    return "\n".join(parts)


def _title(name: str) -> str:
    return "".join(part.capitalize() if part.islower() else part for part in name.replace("config__", "").split("__")[-2:]).replace(
        "Tasks", ""
    )


def _properties(schema: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    if not one.get("properties"):
        return "No settings.\n"
    required = set(one.get("required", ()))
    rows = [
        (f"`{name}`", _type(schema, value), "required" if name in required else _default(value), _line(value.get("description", "")))
        for name, value in one["properties"].items()
    ]
    return table(("setting", "type", "default", "meaning"), rows)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def _default(value: Mapping[str, Any]) -> str:
    if "default" not in value:
        return value and (f"`{json.dumps(value['const'])}`" if "const" in value else "-")
    text = json.dumps(value["default"])
    return f"`{text}`" if len(text) <= 60 else "see the linked parts"


def _type(schema: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return _link(schema, value["$ref"])
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    for group in ("oneOf", "anyOf"):
        if group in value:
            return " or ".join(dict.fromkeys(_type(schema, one) for one in value[group]))
    if value.get("type") == "array":
        inner = value.get("items") or (value.get("prefixItems") or [{}])[0]
        return f"list of {_type(schema, inner)}{_bounds(value, 'minItems', 'maxItems')}"
    if value.get("type") == "object":
        inner = value.get("additionalProperties")
        return f"mapping to {_type(schema, inner)}" if isinstance(inner, Mapping) else "mapping"
    low, high = ("minLength", "maxLength") if value.get("type") == "string" else ("minimum", "maximum")
    return f"{value.get('type', 'any value')}{_bounds(value, low, high)}"


def _link(schema: Mapping[str, Any], ref: str) -> str:
    name = ref.rpartition("/")[2]
    return (
        f"[{_title(name)}](#{_title(name).lower()})"
        if schema["$defs"][name].get("type") == "object"
        else _type(schema, schema["$defs"][name])
    )


def _bounds(value: Mapping[str, Any], low: str, high: str) -> str:
    said = [f">= {value[low]}"] if low in value else []
    said += [f"> {value['exclusiveMinimum']}"] if "exclusiveMinimum" in value and low == "minimum" else []
    said += [f"<= {value[high]}"] if high in value else []
    said += [f"< {value['exclusiveMaximum']}"] if "exclusiveMaximum" in value and low == "minimum" else []
    return f" ({', '.join(said)})" if said else ""


# -- commands ----------------------------------------------------------------------------------------------------------
def commands_page() -> str:
    """Every command with its parameters, as the program itself knows them."""
    from flows.cli import build

    text = str(build().generate_docs(output_format="markdown"))
    text = text.replace("```console", "```text").replace("# tidegauge\n", f"# Commands\n\n{NOTE}", 1)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


# -- data files and registries -----------------------------------------------------------------------------------------
def metrics_table() -> str:
    """The default metric catalogue: what becomes a column."""
    found = read_source(ROOT / "configs" / "metrics" / "default.yaml", what="metric catalogue").value["metrics"]
    rows = [
        (
            f"`{one['metric']}`",
            ", ".join(one["roles"]),
            (f"`{one['above']}` over " if "above" in one else "") + ", ".join(f"`{name}`" for name in one["source"]),
            one["kind"],
            one["unit"] or "-",
            _floor(one),
        )
        for one in found
    ]
    return table(("column", "of each", "from", "kind", "unit", "resolution"), rows)


def _floor(one: Mapping[str, Any]) -> str:
    ratio = one.get("floor_ratio")
    return f"{one['floor_abs']:,g}" + (f", or {ratio:.0%} of the training median" if ratio else "")


def faults_table(provider: Literal["local", "kubernetes"] = "local") -> str:
    """The kinds of faults that can be done there."""
    from tasks.faults.catalogue import kinds_for

    rows = [
        (f"`{one.name}`", one.summary, one.full_strength, one.placebo, ", ".join(f"`{w.name}`" for w in one.witnesses))
        for one in kinds_for(provider).values()
    ]
    return table(("kind", "does", "at intensity 1", "a placebo of it", "witnessed by"), rows)


def detectors_table() -> str:
    """The detectors and the floors."""
    from tasks.detectors.registry import descriptions

    return table(("detector", "family", "what it is"), [(f"`{one.name}`", one.family, one.sentence) for one in descriptions()])


def exits_table() -> str:
    """Exit codes by the errors that carry them."""
    from tasks.base.errors import TidegaugeError

    rows = [(one.exit_code, f"`{one.__name__}`", _line((one.__doc__ or "").partition("\n")[0])) for one in _tree(TidegaugeError)]
    return table(("code", "error", "when"), sorted(rows))


def _tree(one: type[Any]) -> Iterator[type[Any]]:
    if "exit_code" in vars(one):
        yield one
    for child in one.__subclasses__():
        if child.__module__ == "tasks.base.errors":
            yield from _tree(child)


# -- figures -----------------------------------------------------------------------------------------------------------
def reliability_page(entries: Sequence[Entry], gone: Sequence[str] = ()) -> str:
    """
    What was tried and what survived, counted by the tests; no times, no machine names.

    Args:
        entries: Of all suites.
        gone: Tests whose entries are left out, since they are no longer there.
    """
    rows: dict[tuple[int, str], list[Entry]] = {}
    for entry in sorted(entries, key=lambda one: (one.row, one.where)):
        rows.setdefault((entry.row, entry.where), []).append(entry)
    shown = [
        (
            row,
            where,
            _some(one.fault for one in found),
            sum(one.tried for one in found),
            sum(one.survived for one in found),
            ", ".join(f"`{name}`" for name in dict.fromkeys(function_of(one.test) for one in found)),
        )
        for (row, where), found in rows.items()
    ]
    tried, survived = (sum(line[place] for line in shown) for place in (3, 4))
    head = RELIABILITY.format(note=NOTE, survived=survived, tried=tried)
    left_out = ", ".join(f"`{name}`" for name in dict.fromkeys(map(function_of, gone)))
    tail = f"\nLeft out, since these tests are no longer there: {left_out}.\n" if gone else ""
    for folder, name in SUITES.items():
        if not any(entry.test.startswith(folder) for entry in entries):
            tail += f"\nThere is no row of `{name}`: it was not run where this was printed.\n"
    return head + table(("row", "where", "what is done", "tried", "survived", "shown by"), shown) + tail


def _some(faults: Iterable[str]) -> str:
    """The first few of *faults*, and how many more there are."""
    named = list(dict.fromkeys(faults))
    return "; ".join(named[:NAMED]) + (f"; {len(named) - NAMED} more" if len(named) > NAMED else "")
