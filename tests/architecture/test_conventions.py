"""Rules 7, 8, 11 and 13 where a machine can see them, and what does not belong into a repository."""

import ast
import re
from pathlib import Path

from tests.architecture.code import PACKAGE, ROOT, modules, shown, slices, tracked_files, tree

SILENCERS = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma|nosec)(?P<codes>[^#\n]*)")
ASSERTING = ("raises", "assert", "expect", "check", "snapshot", "verify", "warns")
SECRET = re.compile(
    r"\bsk-[A-Za-z0-9]{32,}|\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b|\bxox[bp]-[0-9]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
)
FOREIGN_PATH = re.compile(r"(?<![\w./-])/(?:root|home/[a-z]+|Users/[A-Za-z]+|work|opt/wheels)/[\w.-]+")
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".ts",
    ".tsx",
    ".css",
    ".html",
    ".yml",
    ".yaml",
    ".sh",
    ".txt",
    ".mjs",
    ".js",
    "",
}


def _text_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix in TEXT and "package-lock" not in path.name]


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def test_a_silenced_linter_has_a_code_and_a_reason() -> None:
    offenders = []
    for path in modules():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = SILENCERS.search(line)
            if found and not (
                re.search(r"[A-Z]+\d+|\[[a-z-]+", found["codes"]) and _has_reason(found["codes"], line)
            ):
                offenders.append(f"{shown(path)}:{number} {line.strip()}")
    assert not offenders, "write `# noqa: CODE - reason`:\n" + "\n".join(offenders)


def _has_reason(codes: str, line: str) -> bool:
    """A reason stands behind ` - `, or in a comment behind the silencer."""
    return bool(re.search(r" - \w", codes)) or line.count("#") > 1


def test_no_except_swallows_everything_in_silence() -> None:
    offenders = []
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and _is_silent(node):
                offenders.append(f"{shown(path)}:{node.lineno}")
    assert not offenders, "name the errors you expect, or log:\n" + "\n".join(offenders)


def _is_broad(node: ast.ExceptHandler) -> bool:
    return node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")


def _is_silent(node: ast.ExceptHandler) -> bool:
    return all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)


def test_nouns_are_frozen() -> None:
    offenders = []
    for path in (PACKAGE / name / "model.py" for name in slices()):
        if not path.exists():
            continue
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not _is_frozen(node):
                offenders.append(f"{shown(path)}:{node.lineno} {node.name}")
    assert not offenders, "frozen dataclass, frozen Struct, enum or Protocol:\n" + "\n".join(offenders)


def _is_frozen(node: ast.ClassDef) -> bool:
    said = " ".join(ast.unparse(part) for part in (*node.decorator_list, *node.bases, *node.keywords))
    return any(
        word in said for word in ("frozen=True", "Enum", "Protocol", "NamedTuple", "TypedDict", "Error")
    )


def test_tests_mirror_the_package() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    missing = [name for name in slices() if name not in folders]
    assert not missing, f"no tests for {missing}"


def test_every_test_can_fail() -> None:
    offenders = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test_"
            )
            if is_test and not _asserts(node):
                offenders.append(f"{shown(path)}:{node.lineno} {node.name}")
    assert not offenders, "these tests assert nothing:\n" + "\n".join(offenders)


def _asserts(test: ast.AST) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and any(word in ast.unparse(node.func) for word in ASSERTING):
            return True
    return False


def test_no_secret_is_in_the_repository() -> None:
    offenders = [shown(path) for path in _text_files() if SECRET.search(_read(path))]
    assert not offenders, "\n".join(offenders)


def test_no_file_speaks_of_one_machine() -> None:
    mine = Path(__file__)
    offenders = [
        f"{shown(path)}: {found.group()}"
        for path in _text_files()
        if path != mine and (found := FOREIGN_PATH.search(_read(path)))
    ]
    assert not offenders, "paths of somebody's machine:\n" + "\n".join(offenders)
