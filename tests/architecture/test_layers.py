"""Rules 1 to 4: layers, doors between slices, order inside them, core and sdk alone."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.code import (
    ADAPTER_FOLDERS,
    FRAME,
    PACKAGE,
    ROOT,
    imports,
    is_adapter,
    modules,
    name_of,
    shown,
    slices,
)

DOORS = ("service", "model", "events", "ports")
"""Modules of a slice that other slices may import; `ports` holds the Protocols of its plug-ins."""
COMPOSERS = ("app", "cli")
"""Put the slices together, and so may reach their api, jobs, cli and settings as well."""
COMPOSED = (
    "api",
    "cli",
    "jobs",
    "settings",
    "app",
    "reconciler",
    "otlp_app",
    "demo",
    "recorder",
    "intake",
    "keeper",
    "background",
    "subjects",
    "stages",
)
EXTRA_DOORS = {
    "penstock.traces.prices": "the price book: a pure table that gateway and traces must read alike",
    "penstock.datasets.recipe": "a noun of datasets, too large to share model.py",
    "penstock.training.recipe": "a noun of training, too large to share model.py",
    "penstock.evals.suite": "a noun of evals, too large to share model.py",
    "penstock.guardrails.building": "the gateway runs guards itself, in the middle of streams",
    "penstock.guardrails.channel": "likewise: texts that come in pieces",
    "penstock.guardrails.checking": "likewise",
    "penstock.guardrails.program": "likewise",
    "penstock.guardrails.tally": "likewise",
    "penstock.guardrails.tokens": "likewise",
    "penstock.guardrails.json_schema": "the one JSON Schema validator: scorers must judge answers as guards do",
    "penstock.gateway.upstream.client": "the one HTTP client: targets and judges of evaluations call through it too",
    "penstock.gateway.upstream.request": "likewise",
    "penstock.gateway.upstream.response": "likewise",
    "penstock.gateway.direct": "calls of our own to a provider that are no inference: files and jobs of fine-tuning",
    "penstock.evals.suites.service": "stored suites: training judges checkpoints and trials by them",
    "penstock.gateway.waiting.service": "who waits for a deployment that sleeps: a small service of its own",
    "penstock.registry.adopting": "bases that recipes name by where they are: too large to share service.py",
    "penstock.registry.export": "long verbs of the registry, too large to share service.py",
}
"""What else other slices may import, each with its reason."""


def _lint(source: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        env={"PYTHONPATH": str(source), "PATH": "/usr/bin:/bin"},
        cwd=source.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_import_contracts_hold() -> None:
    result = _lint(PACKAGE.parent)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    source = tmp_path_factory.mktemp("broken") / "src"
    shutil.copytree(PACKAGE, source / "penstock", ignore=shutil.ignore_patterns("__pycache__", "static"))
    yield source


VIOLATIONS = {
    "core imports a slice": ("core/clock.py", "import penstock.prompts.model", "A module imports only lower"),
    "a slice imports the edge": ("prompts/model.py", "import penstock.web", "A module imports only lower"),
    "a store imports its service": ("prompts/store.py", "import penstock.prompts.service", "Inside a slice"),
    "the sdk imports core": ("sdk/clock.py", "import penstock.core.clock", "A module imports only lower"),
    "the sdk imports a library": ("sdk/clock.py", "import msgspec", "The SDK knows only HTTP"),
    "core uses the sdk": ("core/clock.py", "import penstock.sdk.clock", "Only the command line and the web"),
    "a slice imports torch": ("prompts/model.py", "import torch", "Heavy libraries"),
    "a function imports torch": ("prompts/model.py", "def f():\n    import torch", "Heavy libraries"),
    "a type needs a higher layer": (
        "prompts/model.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import penstock.web",
        "A module imports only lower",
    ),
    "a cycle inside core": ("core/clock.py", "import penstock.core.home", "No cycle"),
    "a package nobody put into a layer": ("novelty/__init__.py", "", "novelty"),
}


@pytest.mark.parametrize("what", VIOLATIONS)
def test_the_contracts_catch(what: str, copy: Path) -> None:
    file, line, named = VIOLATIONS[what]
    target = copy / "penstock" / file
    before = target.read_text() if target.exists() else None
    target.parent.mkdir(exist_ok=True)
    target.write_text(f"{before or ''}\n{line}\n")
    try:
        result = _lint(copy)
    finally:
        if before is None:
            shutil.rmtree(target.parent)
        else:
            target.write_text(before)
    assert result.returncode != 0
    assert named in result.stdout, result.stdout


def _owner(dotted: str) -> tuple[str, str]:
    """Return (slice, module) of `penstock.<slice>.<module>…`."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else ""


def _back_doors(importer: str, dotted: str) -> bool:
    mine, theirs = _owner(importer)[0], _owner(dotted)[0]
    module = _owner(dotted)[1]
    if not dotted.startswith("penstock.") or theirs in (*FRAME, mine, "version", "") or not module:
        return False
    if any(dotted.startswith(door) for door in EXTRA_DOORS) or module in DOORS:
        return False
    return not (mine in COMPOSERS and module in COMPOSED)


def test_slices_enter_each_other_by_their_doors() -> None:
    offenders = [
        f"{shown(path)}:{line} {dotted}"
        for path in modules()
        for line, dotted in imports(path)
        if _back_doors(name_of(path), dotted) and "migrations" not in path.parts
    ]
    assert not offenders, "use the slice's service, model or events:\n" + "\n".join(offenders)


def test_adapters_are_reached_by_name_only() -> None:
    offenders = [
        f"{shown(path)}:{line} {dotted}"
        for path in modules()
        for line, dotted in imports(path)
        if dotted.startswith("penstock.")
        and any(part in ADAPTER_FOLDERS for part in dotted.split("."))
        and not is_adapter(path)
        and path.parent.name not in ADAPTER_FOLDERS
    ]
    assert not offenders, "load plug-ins with core.plugins.load:\n" + "\n".join(offenders)


def test_there_are_slices_to_check() -> None:
    assert "prompts" in slices()
    assert _back_doors("penstock.evals.service", "penstock.prompts.store")
    assert not _back_doors("penstock.evals.service", "penstock.prompts.service")
