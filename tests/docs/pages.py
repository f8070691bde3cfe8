"""Runs the code blocks of a Markdown page, in order, in one folder, as a reader would.

A block is marked by what follows its language:

    ```sh run                 runs in a shell
    ```python run             runs in the page's one Python session
    ```toml file=NAME         is written to a file (any language)
    ```text output            must be found, line by line, in what the block before it printed
    ```sh skip="reason"       is shown only

and a comment `<!-- page: server heavy -->` asks for a running server (its address and a key are in PENSTOCK_URL and
PENSTOCK_API_KEY; the default address in a block is replaced by the real one), marks the page's test as heavy, or says
`journey`: tests/journeys runs that page and looks at what it left.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.code import PACKAGE

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]+)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
PAGE = re.compile(r"<!-- page: ([a-z ]+) -->")
RUNNABLE = ("sh", "bash", "python", "console", "shell")
DEFAULT_ADDRESS = "127.0.0.1:8600"
TIMEOUT = 240

SESSION = """
import json, sys, traceback
names = {"__name__": "__main__"}
protocol = sys.stdout
for line in sys.stdin:
    import io, contextlib
    code, failed, output = json.loads(line), False, io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            exec(compile(code, "page", "exec"), names)
        except BaseException:
            traceback.print_exc()
            failed = True
    protocol.write(json.dumps([failed, output.getvalue()]) + "\\n")
    protocol.flush()
"""


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    marks: str
    body: str
    line: int

    @property
    def file(self) -> str:
        found = re.search(r"file=(\S+)", self.marks)
        return found.group(1) if found else ""

    @property
    def runs(self) -> bool:
        return self.marks.split()[:1] == ["run"]

    @property
    def is_output(self) -> bool:
        return self.marks.split()[:1] == ["output"]

    @property
    def is_decided(self) -> bool:
        """Whether the page says what to do with it: code that is neither run nor explained would rot."""
        needs = self.language in RUNNABLE
        return not needs or self.runs or bool(self.file) or bool(re.search(r'skip="[^"]{8,}"', self.marks))


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text()
    found = []
    for match in FENCE.finditer(text):
        language, _, marks = match["info"].strip().partition(" ")
        indent = len(match["indent"])
        body = "\n".join(line[indent:] for line in match["body"].splitlines()) + "\n"
        found.append(Block(language, marks.strip(), body, text[: match.start()].count("\n") + 1))
    return found


def wishes(page: Path) -> set[str]:
    """Return what the page asks for: `server`, `heavy`, `journey`."""
    return {word for found in PAGE.findall(page.read_text()) for word in found.split()}


def environment(folder: Path) -> dict[str, str]:
    """Return a reader's environment: `penstock` on the path, an empty home in `folder`."""
    programs = folder / "bin"
    programs.mkdir()
    shim = programs / "penstock"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m penstock "$@"\n')
    shim.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return {
        **kept,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{kept.get('PATH', '/usr/bin:/bin')}",
        "PYTHONPATH": str(PACKAGE.parent),
        "PENSTOCK_HOME": str(folder / "home"),
        "HOME": str(folder),
    }


@contextmanager
def serving(folder: Path, env: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run `penstock up` on a free port; yields the environment of a client with a key."""
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            ["penstock", "up", "--port", "0"],
            env=env,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    try:
        assert server.stdout is not None
        first = server.stdout.readline()
        found = re.search(r"http://[\d.]+:\d+", first)
        assert found, f"{first}\n{log.read_text()}"
        made = subprocess.run(
            ["penstock", "keys", "create", "--name", "reader", "--role", "admin", "--json"],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        yield {**env, "PENSTOCK_URL": found.group(), "PENSTOCK_API_KEY": json.loads(made.stdout)["key"]}
    finally:
        server.terminate()
        server.wait(30)
        if server.stdout is not None:
            server.stdout.close()


class Reader:
    """Goes through a page's blocks."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._folder, self._env = folder, env
        self._python: subprocess.Popen[str] | None = None
        self._said = ""

    def check(self, block: Block) -> None:
        """Do what the block asks for; raises AssertionError with its output when it fails."""
        body = block.body
        if address := self._env.get("PENSTOCK_URL"):
            body = body.replace(DEFAULT_ADDRESS, address.removeprefix("http://"))
        if block.file:
            target = self._folder / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(body)
        elif block.is_output:
            for line in filter(None, map(str.strip, body.splitlines())):
                assert line in self._said, f"line {block.line}: {line!r} is not in:\n{self._said}"
        elif block.runs:
            failed, self._said = self._execute(block.language, body)
            assert not failed, f"the block at line {block.line} failed:\n{body}\n{self._said}"

    def _execute(self, language: str, body: str) -> tuple[bool, str]:
        if language == "python":
            return self._ask(body)
        result = subprocess.run(
            ["sh", "-eu", "-c", body],
            cwd=self._folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return result.returncode != 0, result.stdout

    def _ask(self, code: str) -> tuple[bool, str]:
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", SESSION],
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._python.stdin is not None and self._python.stdout is not None
        self._python.stdin.write(json.dumps(code) + "\n")
        self._python.stdin.flush()
        answer = self._python.stdout.readline()
        assert answer, "the page's Python session ended"
        failed, output = json.loads(answer)
        return failed, output

    def close(self) -> None:
        """End the Python session."""
        if self._python is not None:
            self._python.communicate(timeout=TIMEOUT)
            assert self._python.returncode == 0
