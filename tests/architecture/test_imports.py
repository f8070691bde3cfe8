"""Rule 5 and the import budget: what starting costs, as modules in a fresh process rather than as time."""

import json
import subprocess
import sys

import pytest

from tests.architecture.code import HEAVY, PACKAGE, is_adapter, modules, name_of, shown, tree

LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"
CHILD_ONLY = {"penstock.core.migrations.env": "runs inside Alembic only"}


def _loaded_after(code: str) -> set[str]:
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{code}\n{LOADED}"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )
    assert answer.returncode == 0, answer.stderr
    return set(json.loads(answer.stdout.splitlines()[-1]))


def test_no_module_but_adapters_loads_a_heavy_library() -> None:
    names = [name_of(path) for path in modules() if not is_adapter(path) and "versions" not in path.parts]
    names = [
        n for n in names if n not in CHILD_ONLY and not n.endswith(".__main__") and n != "penstock.core.child"
    ]
    code = "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in names)
    loaded = _loaded_after(code)
    assert "penstock.prompts.service" in loaded
    assert not loaded & set(HEAVY)


def test_importing_penstock_loads_nothing_else() -> None:
    extra = _loaded_after("import penstock") - _loaded_after("import typing, importlib")
    assert extra == {"penstock", "penstock.version"}


@pytest.mark.parametrize("name", ["Client", "trace", "get_prompt", "give_feedback"])
def test_the_sdk_needs_only_the_standard_library(name: str) -> None:
    loaded = _loaded_after(f"import penstock; penstock.{name}")
    foreign = (
        {module.partition(".")[0] for module in loaded} - sys.stdlib_module_names - {"penstock", "__main__"}
    )
    assert {part for part in foreign if not part.startswith(("_", "sitecustomize", "usercustomize"))} == set()
    assert not {module for module in loaded if module.startswith("penstock.core")}


def test_help_loads_no_server() -> None:
    code = "import sys\nfrom penstock.cli.main import main\nsys.argv = ['penstock', '--help']"
    code += "\ntry:\n    main()\nexcept SystemExit:\n    pass"
    loaded = _loaded_after(code)
    assert not loaded & {"fastapi", "sqlalchemy", "numpy", "pydantic", "uvicorn", "deltalake", *HEAVY}


@pytest.mark.parametrize(
    ("process", "unneeded"),
    [
        ("web_worker", {"numpy", "deltalake", "arro3", "alembic", "jinja2", "typer", "rich"}),
        (
            "background",
            {"numpy", "deltalake", "arro3", "alembic", "typer", "rich", "fastapi", "pydantic", "uvicorn"},
        ),
    ],
)
def test_a_process_loads_only_what_it_needs_to_wait(process: str, unneeded: set[str]) -> None:
    loaded = _loaded_after(f"import penstock.cli.{process}")
    assert f"penstock.cli.{process}" in loaded
    assert not loaded & (unneeded | set(HEAVY))


def test_every_module_says_what_it_promises() -> None:

    silent = [
        shown(path)
        for path in modules()
        if not (
            tree(path).body
            and isinstance(getattr(tree(path).body[0], "value", None), __import__("ast").Constant)
        )
    ]
    assert not silent, "a module's first line is its promise:\n" + "\n".join(silent)
