"""The data card: what a version is, where it came from, what was done to it, as Markdown.

Sections follow Datasheets for Datasets (Gebru et al., 2021) as far as a machine can fill them in.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.datasets.model import DatasetVersion


def render(version: DatasetVersion) -> str:
    """Return the card of `version`."""
    parts = [
        f"# {version.ref}",
        version.description,
        _table(("", ""), list(_facts(version))),
        "## Columns",
        _columns(version),
        *_splits(version),
        "## Source",
        _source(version),
        *_recipe(version),
        *_quality(version),
        *_lineage(version),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(version: DatasetVersion) -> Iterator[Sequence[Any]]:
    yield "Rows", f"{version.rows:,}"
    yield "Content", f"`{version.hash}`"
    yield "Made", f"{version.created_at:%Y-%m-%d %H:%M} UTC by {version.created_by}"
    yield "Key", f"column `{version.key}`" if version.key else "a digest of each row"
    yield "Left out", f"{version.removed:,} by the recipe, {version.quarantined:,} malformed"


def _columns(version: DatasetVersion) -> str:
    profiled = {column["name"]: column for column in version.profile.get("columns", ())}
    lines = []
    for column in version.schema:
        found = profiled.get(column.name, {})
        length = found.get("numbers") or found.get("characters") or {}
        spread = f"{length['min']:g} / {length['median']:g} / {length['max']:g}" if length else ""
        distinct = f"{found.get('distinct', 0):,}" + ("+" if found.get("distinct_capped") else "")
        lines.append((f"`{column.name}`", column.type, found.get("missing", 0), distinct, spread))
    return _table(("column", "type", "missing", "distinct", "value or length: min / median / max"), lines)


def _splits(version: DatasetVersion) -> Iterator[str]:
    if not version.splits:
        return
    yield "## Splits"
    yield _table(("split", "rows"), [(name, f"{rows:,}") for name, rows in version.splits.items()])
    plan = version.split_plan or {}
    how = [
        f"{name.replace('_', ' ')} `{plan[name]}`"
        for name in ("stratify_by", "group_by", "near_duplicates_of")
        if plan.get(name)
    ]
    if plan.get("column"):
        yield f"Given by the column `{plan['column']}`."
    else:
        yield f"By a hash of each row's key with seed {plan.get('seed', 0)}" + (
            f"; {', '.join(how)}." if how else "."
        )


def _source(version: DatasetVersion) -> str:
    source = version.source
    lines = [("Name", source.name), ("Format", source.format), ("Rows read", f"{source.rows:,}")]
    if source.sha256:
        lines += [
            ("SHA-256", f"`{source.sha256}`"),
            ("Bytes", f"{source.size:,}"),
            ("Encoding", source.encoding),
        ]
    return _table(("", ""), lines)


def _recipe(version: DatasetVersion) -> Iterator[str]:
    if not version.recipe_report:
        return
    yield "## Recipe"
    lines = []
    for place, report in enumerate(version.recipe_report, start=1):
        counts = ", ".join(f"{name} {count}" for name, count in report["counts"].items())
        lines.append(
            (place, report["step"], report["rows_in"], report["rows_out"], report["changed"], counts)
        )
    yield _table(("", "step", "rows in", "rows out", "changed", "counts"), lines)


def _quality(version: DatasetVersion) -> Iterator[str]:
    text = version.profile.get("text")
    if not text:
        return
    yield "## Text"
    yield _table(
        ("", f"of {text['rows']:,} rows looked at"),
        [
            ("Languages", _counted(text["languages"])),
            ("Personal data found by rules", _counted(text["personal_data"]) or "none"),
            ("Near duplicates", text["near_duplicates"]),
            ("Exact duplicates in all rows", version.profile["exact_duplicates"]),
            *_meaning(text),
        ],
    )
    yield "Rules find e-mail addresses, numbers and keys; they do not find names or postal addresses."
    for name, counts in version.profile.get("labels", {}).items():
        yield f"Labels in `{name}`: {_counted(counts)}"


def _meaning(text: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what profiles of format 2 add."""
    if "toxic_words" in text:
        yield "Rows with words of the toxic lists", text["rows_with_toxic_words"]
    if text.get("topics"):
        yield "Topics", "; ".join(", ".join(topic["terms"]) for topic in text["topics"])


def _lineage(version: DatasetVersion) -> Iterator[str]:
    if version.lineage:
        yield "## Made from"
        yield "\n".join(f"- {link.kind} `{link.ref}` ({link.role})" for link in version.lineage)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{_cell(name)} {count:,}" for name, count in counts.items())


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _table(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)
