"""The model card: one Markdown page written from recorded evidence, never from wishes.

Sections follow Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv:1810.03993).
"""

from collections.abc import Sequence
from typing import Any

from penstock.core import clock
from penstock.core.lineage import Edge
from penstock.registry.model import ModelVersion, Papers

LIMIT = 1_000_000
"""Most characters of an edited card."""
_TEXTS = (
    ("intended_use", "Intended use"),
    ("limitations", "Limitations"),
    ("licence", "Licence"),
    ("data", "Training data"),
    ("recipe", "Recipe"),
    ("signature", "Signature"),
)
_UNKNOWN = "Not stated by the maker."


def render(version: ModelVersion, papers: Papers, down: Sequence[Edge] = ()) -> str:
    """Return the card of a version; what nobody recorded is said to be missing.

    `down` are the edges to what was made of it: evaluations among them are named as evidence.
    """
    extra = dict(version.card_extra)
    extra |= {"licence": papers.licence, "intended_use": papers.intended_use, "signature": _signature(papers)}
    parts = [f"# {version.ref}", str(extra.pop("description", "")) or f"A model of kind {version.kind}."]
    parts.append(_facts(version))
    parts.append("## Evaluation\n\n" + _evaluation(version, down))
    for key, title in _TEXTS:
        parts.append(f"## {title}\n\n{_text(extra.pop(key, None))}")
    for key, value in extra.items():
        parts.append(f"## {key.replace('_', ' ').capitalize()}\n\n{_text(value)}")
    parts.append("## Made from\n\n" + (_lineage(version) or "Nothing was recorded."))
    parts.append("## Safety of the files\n\n" + _scan(papers.scan))
    parts.append("## Files\n\n" + _table(("file", "bytes", "SHA-256"), _files(version)))
    return "\n\n".join(parts) + "\n"


def _facts(version: ModelVersion) -> str:
    rows = [
        ("kind", str(version.kind)),
        ("base", version.base or "none"),
        ("stage", str(version.stage)),
        ("registered", f"{clock.iso(version.created_at)} by {version.author}"),
        ("size", f"{version.size} bytes in {len(version.files)} files"),
        ("digest", f"`{version.digest}`"),
    ]
    return _table(("", ""), rows)


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _metrics(metrics: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]] = []
    for name, value in sorted(metrics.items()):
        if isinstance(value, dict):
            interval = (
                f"{_cell(value['low'])} to {_cell(value['high'])}" if {"low", "high"} <= value.keys() else ""
            )
            rows.append((name, _cell(value.get("value", value)), interval, _cell(value.get("n", ""))))
        else:
            rows.append((name, _cell(value), "", ""))
    return _table(("metric", "value", "95 % interval", "n"), rows) if rows else ""


def _text(value: Any) -> str:
    if value in (None, "", {}, []):
        return _UNKNOWN
    if isinstance(value, dict):
        return _table(("", ""), [(str(key), _cell(item)) for key, item in value.items()])
    if isinstance(value, list):
        return "\n".join(f"- {item}" for item in value)
    return str(value)


def _lineage(version: ModelVersion) -> str:
    return "\n".join(f"- {link.role}: {link.kind} `{link.ref}`" for link in version.lineage)


def _files(version: ModelVersion) -> list[tuple[str, ...]]:
    return [(entry.path, str(entry.size), f"`{entry.sha256}`") for entry in version.files]


def _evaluation(version: ModelVersion, down: Sequence[Edge]) -> str:
    runs = [f"- evaluation `{edge.child_ref}`" for edge in down if edge.child_kind == "eval_run"]
    parts = [part for part in (_metrics(version.metrics), "\n".join(runs)) if part]
    return "\n\n".join(parts) or "No evaluation has been recorded."


def _signature(papers: Papers) -> str:
    said = papers.signature
    if said is None:
        return ""
    lines = [f"Task: {said.get('task', 'not stated')}."]
    if said.get("context"):
        lines[0] += f" Context: {said['context']} tokens."
    for part in ("inputs", "outputs", "params"):
        fields = ", ".join(f"`{one.get('name') or '-'}` ({one['type']})" for one in said.get(part, []))
        if fields:
            lines.append(f"- {part}: {fields}")
    return "\n".join(lines)


def _scan(report: dict[str, Any] | None) -> str:
    if report is None:
        return "The files were never scanned."
    held = ", ".join(f"{count} {format}" for format, count in sorted(report["files"].items()))
    said = f"Scanned {report['at']}: {held}. "
    said += (
        "Nothing in them runs code." if report["safe"] else "Some of them can run code when they are loaded."
    )
    noted = [(one["path"], one["format"], ", ".join(one["imports"]) or "none") for one in report["findings"]]
    return said + ("\n\n" + _table(("file", "format", "imports"), noted) if noted else "")
