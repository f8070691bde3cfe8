"""The package as text and syntax trees, for the rule tests."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "penstock"
RATCHET = ROOT / "tests" / "architecture" / "ratchet.json"
"""Known offenders and their present figure. Entries may shrink or go; a new one needs a reason in review."""
ADAPTER_FOLDERS = (
    "providers",
    "trainers",
    "engines",
    "exporters",
    "scorers",
    "targets",
    "notifiers",
    "importers",
    "searchers",
    "launchers",
)
"""Folders of plug-ins inside slices: reached by entry point only, never imported."""
FRAME = ("core", "sdk", "cli", "app", "web")
"""Top packages that are no slices."""
HEAVY = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "pandas",
    "pyarrow",
    "onnxruntime",
    "ray",
    "sacrebleu",
    "rouge_score",
    "xllamacpp",
    "gguf",
    "optuna",
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def modules() -> list[Path]:
    """Every Python file of the package, migrations included."""
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def slices() -> list[str]:
    found = (folder for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists())
    return sorted(folder.name for folder in found if folder.name not in FRAME)


def is_adapter(path: Path) -> bool:
    return any(part in ADAPTER_FOLDERS for part in path.relative_to(PACKAGE).parts[:-1])


def imports(path: Path) -> list[tuple[int, str]]:
    """Line and full dotted name of everything a file imports, `from a import b` as `a.b`."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{shown(path)}:{node.lineno} imports relatively"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def tracked_files() -> list[Path]:
    """Files under version control or about to be; without git (a source archive), every file but hidden ones."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    return [p for p in ROOT.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.parts)]
