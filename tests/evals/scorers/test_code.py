"""Programs that a model wrote: right, wrong, hostile."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.evals.judging_bench import MemoryBench, output, sample

from penstock.core.errors import Unavailable, Unprocessable
from penstock.evals.sandbox import run as sandbox
from penstock.evals.sandbox.run import Limits, run_python
from penstock.evals.scorers.code import Code


def can_shut_in() -> bool:
    try:
        run_python("", Limits())
    except Unavailable:
        return False
    return True


pytestmark = pytest.mark.skipif(not can_shut_in(), reason="needs user namespaces")

ADD = "```python\ndef add(a, b):\n    return a + b\n```"


def scored(answer: str, **row: Any) -> tuple[dict[str, float], Any]:
    options = {name: name for name in ("entry_point", "prefix") if name in row}
    return asyncio.run(Code(seconds=2, **options).judge(sample(**row), output(answer), MemoryBench()))


def test_tests_decide() -> None:
    assert scored(ADD, tests="assert add(1, 2) == 3") == ({"code": 1.0, "code_runs": 1.0}, None)
    scores, note = scored(ADD, tests="assert add(1, 2) == 4")
    assert scores == {"code": 0.0, "code_runs": 1.0}
    assert "AssertionError" in note["error"]
    scores, note = scored("def add(a, b) return a", tests="assert add(1, 2) == 3")
    assert scores == {"code": 0.0, "code_runs": 0.0}
    assert "SyntaxError" in note["error"]


def test_a_list_of_tests_gives_a_share() -> None:
    tests = ["assert add(1, 1) == 2", "assert add(1, 1) == 3"]
    assert scored(ADD, tests=tests)[0] == {"code": 0.0, "code_runs": 1.0, "code.share": 0.5}


def test_humaneval_and_standard_input() -> None:
    row = {
        "prefix": "def add(a, b):\n",
        "entry_point": "add",
        "tests": "def check(candidate):\n    assert candidate(2, 2) == 4",
    }
    assert scored("    return a + b", **row)[0]["code"] == 1.0
    cases = [{"input": "3 4", "output": "7"}, {"input": "1 1", "output": "2\n"}]
    assert scored("print(sum(map(int, input().split())))", tests=cases)[0]["code"] == 1.0


def test_leaving_early_is_not_passing() -> None:
    assert scored("import sys; sys.exit(0)", tests="assert False")[0]["code"] == 0.0
    assert scored("import os; os._exit(0)", tests="assert False")[0]["code"] == 0.0


def test_nothing_outside_can_be_reached(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for hostile in (
            f"open({str(secret)!r}).read()",
            f"open({str(secret)!r}, 'w')",
            "open('/etc/passwd').read()",
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)",
            f"import _socket; s = _socket.socket(2, 1); s.connect(('127.0.0.1', {port}))",
            "import subprocess; subprocess.run(['/bin/ls'])",
            "import os; os.fork()",
            "open('/usr/x', 'w')",
        ):
            ran = run_python(hostile, Limits(seconds=2))
            assert not ran.passed, hostile
    assert secret.read_text() == "hidden"


@pytest.mark.parametrize(
    "greedy", ["while True: pass", "x = bytearray(1 << 31)", "open('/tmp/big', 'wb').write(bytes(1 << 26))"]
)
def test_what_takes_too_much_is_stopped(greedy: str) -> None:
    assert not run_python(greedy, Limits(seconds=1, memory_mb=256)).passed


def test_the_environment_is_empty_and_output_is_bounded() -> None:
    ran = run_python("import os; print(sorted(os.environ)); print('x' * 200_000)", Limits())
    assert ran.passed
    assert len(ran.stdout) == sandbox.KEPT_BYTES
    assert "PENSTOCK" not in run_python("import os; print(dict(os.environ))", Limits()).stdout


def test_where_code_cannot_be_shut_in_it_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weak = tmp_path / "inside.py"
    source = sandbox.INSIDE.read_text().replace("if libc.unshare(_NEW_NAMESPACES) != 0:", "if True:")
    weak.write_text(source)
    monkeypatch.setattr(sandbox, "INSIDE", weak)
    with pytest.raises(Unavailable, match="cannot shut foreign code in"):
        run_python("print(1)", Limits())
    allowed = Limits(allow_weak=True)
    assert run_python("print(1)", allowed).stdout == "1\n"
    assert not run_python("import socket; socket.create_connection(('127.0.0.1', 9))", allowed).passed


def test_a_row_without_tests_is_not_scored() -> None:
    with pytest.raises(Unprocessable, match="no tests"):
        scored(ADD)
