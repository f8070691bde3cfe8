"""Runs every client's own package against a real gateway: `python -m tests.clients.run [client …]` (needs PyPI).

The packages go into an environment of their own in a cache folder, never into yours. Exits with 1 on any failure.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from penstock.core.home import Home
from tests.clients.models import providers
from tests.conftest import owner_of
from tests.fakes import anthropic, gemini, openai
from tests.gateway.conftest import Running, routes_for

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "penstock-clients")
SHARED = {"checks", "models", "run", "__init__"}
KEYS = {"oa": openai.KEY, "an": anthropic.KEY, "ge": gemini.KEY}
KINDS = {"oa": "openai", "an": "anthropic", "ge": "gemini"}


def environment() -> Path:
    """Return the Python that has the clients, made if need be."""
    python = CACHE / "venv" / "bin" / "python"
    wanted = (HERE / "requirements.txt").read_text()
    done = CACHE / "installed.txt"
    if not (python.exists() and done.exists() and done.read_text() == wanted):
        venv.create(CACHE / "venv", with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"]
        subprocess.run(command, check=True)
        done.write_text(wanted)
    return python


def configuration(urls: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return providers and routes: one model per family, embedders, and a provider that says 429."""
    made = {
        name: {"kind": KINDS[name], "base_url": url + ("/v1" if name == "oa" else ""), "api_key": KEYS[name]}
        for name, url in urls.items()
    }
    routes: dict[str, Any] = {}
    for name in urls:
        model = "gemini-3-client" if name == "ge" else "client"  # from Gemini 3 on calls must be signed
        routes[name] = routes_for(name, "", [model])[model]
    routes["limited"] = routes_for("oa", "", ["status-429"])["status-429"]
    routes["embed-oa"] = routes_for("oa", "", ["embed"])["embed"]
    routes["embed-ge"] = routes_for("ge", "", ["embed"])["embed"]
    return made, routes


def command_of(python: Path, client: str) -> list[Path | str]:
    """Return what runs a client's script: Python's or Node's."""
    script = HERE / f"{client}.py"
    return [python, script] if script.exists() else ["node", node_modules() / f"{client}.mjs"]


@functools.cache
def node_modules() -> Path:
    """Return a folder with the scripts for Node beside their packages: Node looks for packages there."""
    folder = CACHE / "node"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "package.json").read_text()
    done = folder / "installed.json"
    for path in HERE.glob("*.mjs"):
        shutil.copy(path, folder)
    if not (done.exists() and done.read_text() == wanted):
        shutil.copy(HERE / "package.json", folder)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], check=True, cwd=folder)
        done.write_text(wanted)
    return folder


def run(python: Path, client: str, url: str, key: str) -> dict[str, Any]:
    """Return what a client's script prints; a script that breaks is a failed check."""
    env = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    with tempfile.TemporaryDirectory() as folder:
        env |= {"HOME": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*command_of(python, client), url, key]
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=240, cwd=folder)
        except subprocess.TimeoutExpired:
            return {"packages": {}, "checks": [_broken("took more than 240 s")]}
    if done.returncode:
        return {"packages": {}, "checks": [_broken(done.stderr[-600:])]}
    return json.loads(done.stdout.splitlines()[-1])


def _broken(error: str) -> dict[str, Any]:
    return {"check": "script", "model": "", "ok": False, "error": error}


def _scripts() -> list[Path]:
    """Return every script that can run here: those for Node only where there is npm."""
    if shutil.which("npm") is None:
        print("no npm: the clients for Node are left out")
        return [*HERE.glob("*.py")]
    return [*HERE.glob("*.py"), *HERE.glob("*.mjs")]


def show(client: str, result: dict[str, Any]) -> int:
    """Print a client's results; returns how many checks failed."""
    failed = [each for each in result["checks"] if not each["ok"]]
    versions = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    passed = len(result["checks"]) - len(failed)
    print(f"{client:<14} {passed:>3} passed {len(failed):>3} failed   {versions}")
    for each in failed:
        print(f"    {each['check']} / {each['model']}: {each['error']}")
    return len(failed)


def main(wanted: list[str]) -> int:
    """Run the clients that are named, or all."""
    clients = wanted or sorted(path.stem for path in _scripts() if path.stem not in SHARED)
    python = Path(os.environ.get("PENSTOCK_CLIENTS_PYTHON") or environment())
    failed = 0
    with ExitStack() as stack:
        urls = {name: stack.enter_context(server).url for name, server in providers().items()}
        home = stack.enter_context(
            Home.open(Path(stack.enter_context(tempfile.TemporaryDirectory()), "home"))
        )
        running = Running(home, owner_of(home))
        running.start()
        stack.callback(running.stop)
        running.configure(*configuration(urls))
        for client in clients:
            failed += show(client, run(python, client, running.url, running.key))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
