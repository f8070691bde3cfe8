"""The parts of the docs that are made from the code: settings, routes, commands, events and plug-ins.

Each stands in one page between `<!-- begin: NAME -->` and `<!-- end: NAME -->`; `python -m tests.update` rewrites them.
"""

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import re
import tomllib
from collections.abc import Callable
from typing import Any

from penstock.app.server import build_api
from penstock.cli.commands import COMMANDS
from penstock.core.events import Event
from tests.architecture.code import PACKAGE, ROOT, slices

DOCS = ROOT / "docs"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, name) if name else loaded


def _field_docs(section: type) -> dict[str, str]:
    """Return the string literal below each field of a settings class."""
    body = ast.parse(inspect.getsource(section)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = " ".join(str(ast.literal_eval(after.value)).split())  # type: ignore[attr-defined]
    return found


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`" if field.default != "" else "empty"
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()!r}`"
    return "required"


def settings() -> str:
    """Return every section of `penstock.toml` with its keys, defaults and variables."""
    parts = []
    for name, target in sorted(_project()["entry-points"]["penstock.settings"].items()):
        section = _load(target)
        docs = _field_docs(section)
        rows = [
            (f"`{field.name}`", _default(field), docs[field.name], f"`PENSTOCK_{name}__{field.name}`".upper())
            for field in dataclasses.fields(section)
        ]
        title = f"### `[{name}]`\n\n{(inspect.getdoc(section) or '').splitlines()[0]}\n"
        parts.append(f"{title}\n{_table(('key', 'default', 'meaning', 'variable'), rows)}")
    return "\n\n".join(parts)


def routes() -> str:
    """Return every path of the management API."""
    rows = []
    for path, methods in build_api(None).openapi()["paths"].items():
        for method, operation in methods.items():
            said = (operation.get("description") or operation["summary"]).split("\n")[0]
            rows.append((f"`{method.upper()} {path}`", said))
    return _table(("route", "what it does"), rows)


def _commands_of(app: Any, prefix: str) -> list[tuple[str, str]]:
    found = []
    single = len(app.registered_commands) == 1 and app.registered_callback is None
    for command in app.registered_commands:
        name = command.name or command.callback.__name__.replace("_", "-")
        said = (inspect.getdoc(command.callback) or "").splitlines()[0]
        found.append((f"`{prefix}`" if single else f"`{prefix} {name}`", said))
    for group in app.registered_groups:
        found += _commands_of(group.typer_instance, f"{prefix} {group.name}")
    return found


def commands() -> str:
    """Return every command."""
    rows: list[tuple[str, ...]] = []
    for command in COMMANDS:
        if importlib.util.find_spec(command.module) is not None:
            rows += _commands_of(
                getattr(importlib.import_module(command.module), command.attribute),
                f"penstock {command.name}",
            )
    return _table(("command", "what it does"), rows)


def events() -> str:
    """Return every event of every slice."""
    for name in slices():
        if (PACKAGE / name / "events.py").exists():
            importlib.import_module(f"penstock.{name}.events")
    rows = []
    # A dataclass with slots replaces the class it decorates, which may not have been collected yet.
    kinds = {kind.name: kind for kind in Event.__subclasses__()}
    for _, kind in sorted(kinds.items()):
        if kind.__module__.startswith("penstock."):
            fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind))
            rows.append((f"`{kind.name}`", (inspect.getdoc(kind) or "").splitlines()[0], fields))
    return _table(("event", "what happened", "fields"), rows)


def plugins() -> str:
    """Return every plug-in group with what comes built in."""
    rows = [
        (f"`{group}`", ", ".join(f"`{name}`" for name in sorted(points)))
        for group, points in sorted(_project()["entry-points"].items())
    ]
    return _table(("group", "built in"), rows)


PLACES: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("configuration.md", settings),
    "routes": ("api.md", routes),
    "commands": ("cli.md", commands),
    "events": ("plugins.md", events),
    "plugins": ("plugins.md", plugins),
}
"""Name → page and what makes the part."""


def marked(page: str, name: str) -> re.Match[str]:
    """Return the part `name` of a page's text; its group 1 is what stands there now."""
    found = re.search(rf"<!-- begin: {name} -->\n(.*?)\n<!-- end: {name} -->", page, re.DOTALL)
    assert found is not None, f"no part {name!r} in the page"
    return found


def rewrite() -> None:
    """Bring all parts up to date."""
    for name, (file, make) in PLACES.items():
        page = (DOCS / file).read_text()
        found = marked(page, name)
        (DOCS / file).write_text(page[: found.start(1)] + make() + page[found.end(1) :])
