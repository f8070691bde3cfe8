"""Rule 10: modules, functions, complexity, arguments and names stay small; the list of exceptions only shrinks."""

import ast
import json
import subprocess
import sys
from pathlib import Path

from tests.architecture.code import PACKAGE, RATCHET, ROOT, modules, shown, tree

MODULE_LINES = 400
TRAINER_LINES = 600
FUNCTION_LINES = 50
ARGUMENTS = 6
COMPLEXITY = 10
DRAWERS = ("util", "utils", "helper", "helpers", "common", "misc", "manager", "managers")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _module_lines() -> dict[str, int]:
    found = {}
    for path in modules():
        limit = TRAINER_LINES if "trainers" in path.parts else MODULE_LINES
        lines = len(path.read_text().splitlines())
        if lines > limit:
            found[f"module {shown(path)}"] = lines
    return found


def _functions() -> list[tuple[str, Function]]:
    found: list[tuple[str, Function]] = []
    for path in modules():
        if path.parent.name == "versions":  # a migration is a list of tables, read top to bottom
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.append((f"{shown(path)}:{node.name}", node))
    return found


def _function_lines() -> dict[str, int]:
    lengths = {where: (node.end_lineno or node.lineno) - node.lineno + 1 for where, node in _functions()}
    return {f"function {where}": lines for where, lines in lengths.items() if lines > FUNCTION_LINES}


def _positional_arguments() -> dict[str, int]:
    """Arguments that may be given by position; keyword-only ones name themselves at the call.

    HTTP routes and commands are called by their frameworks, by name.
    """
    found = {}
    for where, node in _functions():
        if node.decorator_list and where.split(":")[0].endswith(("api.py", "cli.py")):
            continue
        if node.decorator_list and ("/cli/" in where or "/web/" in where):
            continue
        count = len(node.args.posonlyargs) + len(node.args.args)
        first = [a.arg for a in (node.args.posonlyargs + node.args.args)[:1]]
        count -= first in (["self"], ["cls"])
        if count > ARGUMENTS:
            found[f"arguments {where}"] = count
    return found


def _complexity() -> dict[str, int]:
    limit = f"lint.mccabe.max-complexity={COMPLEXITY}"
    command = [sys.executable, "-m", "ruff", "check", "--select", "C901", "--ignore-noqa", "--config", limit]
    output = subprocess.run(
        [*command, "--output-format", "json", "--no-cache", str(PACKAGE)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = {}
    for item in json.loads(output):
        name, figure = item["message"].split("`")[1], item["message"].split("(")[1].split(" ")[0]
        found[f"complexity {shown(Path(item['filename']))}:{name}"] = int(figure)
    return found


def test_sizes_stay_within_their_limits() -> None:
    found = {**_module_lines(), **_function_lines(), **_positional_arguments(), **_complexity()}
    allowed: dict[str, int] = json.loads(RATCHET.read_text())
    worse = [
        f"{what}: {size} (allowed {allowed.get(what, 'none')})"
        for what, size in found.items()
        if size > allowed.get(what, 0)
    ]
    assert not worse, "too big; split it:\n" + "\n".join(sorted(worse))
    sizes = {what: size for what, size in allowed.items() if not what.startswith("unscoped ")}
    loose = [what for what, size in sizes.items() if found.get(what, 0) < size]
    assert not loose, f"better than allowed; lower these entries in {shown(RATCHET)}:\n" + "\n".join(loose)


def test_no_file_is_a_drawer() -> None:
    drawers = [shown(path) for path in PACKAGE.rglob("*") if path.stem.strip("_") in DRAWERS]
    assert not drawers, "name the noun or verb inside:\n" + "\n".join(drawers)
