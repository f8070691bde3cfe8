"""The `penstock` script: what it installs, when, and what it says when it cannot. The Python under it is scripted."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.architecture.code import ROOT

SHELLS = sorted({os.path.realpath(path) for name in ("dash", "bash", "sh") if (path := shutil.which(name))})
POSIX_SHELL = shutil.which("dash") or "/bin/sh"

HOST_PYTHON = """#!/bin/sh
# Stands for the machine's Python: makes environments whose Python only writes down what it is asked.
case "$1 $2" in
    "-m venv") mkdir -p "$3/bin" && cp "{environment_python}" "$3/bin/python"; echo "host: $*" >>"{log}" ;;
    *) exec "{python}" "$@" ;;
esac
"""

ENVIRONMENT_PYTHON = """#!/bin/sh
case "$*" in
    "-m pip --version") exit 0 ;;
    *--dry-run*) echo '{{"install": [{{"metadata": {{"version": "{offered}"}}}}]}}'; exit 0 ;;
    *json.load*) exec "{python}" "$@" ;;
    -c*) exit 1 ;;
esac
for argument; do printf '[%s]' "$argument" >>"{log}"; done
echo >>"{log}"
case "$*" in
    "-m pip"*) [ ! -f "{log}.slow" ] || sleep 1; [ ! -f "{log}.fails" ] || exit 1 ;;
    *"-m penstock"*) shift 3; echo "penstock says: $*" ;;
esac
"""


@dataclass
class Machine:
    folder: Path
    shell: str
    offered: str = "2.13.0+cpu"
    """The PyTorch that pip would choose by itself."""
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.checkout = self.folder / "a checkout"
        self.checkout.mkdir()
        for name in ("penstock", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.checkout)
        self.log = self.folder / "log"
        self.prepare()

    def prepare(self) -> None:
        inner, outer = self.folder / "environment-python", self.folder / "python3"
        inner.write_text(ENVIRONMENT_PYTHON.format(python=sys.executable, log=self.log, offered=self.offered))
        outer.write_text(HOST_PYTHON.format(python=sys.executable, log=self.log, environment_python=inner))
        inner.chmod(0o755)
        outer.chmod(0o755)
        programs = ":".join(p for p in os.environ["PATH"].split(":") if not (Path(p) / "uv").exists())
        self.env = {"PATH": programs, "HOME": str(self.folder), "PENSTOCK_PYTHON": str(outer)}

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.shell, str(self.checkout / "penstock"), *arguments],
            env={**self.env, **env},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **env)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def done(self) -> list[str]:
        """What was asked of the Pythons since the last look."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines

    def installs(self) -> list[str]:
        return [line for line in self.done() if "[install]" in line and "[--upgrade]" not in line]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, POSIX_SHELL)


def test_the_script_is_plain_posix() -> None:
    for shell in SHELLS:
        assert subprocess.run([shell, "-n", str(ROOT / "penstock")], check=False).returncode == 0
    assert os.access(ROOT / "penstock", os.X_OK)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda path: Path(path).name)
def test_the_first_start_installs_and_hands_every_argument_on(shell: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path, shell)
    code, out, err = machine.run("prompts", "add", "two words", "", "a'b\"c")
    assert (code, out) == (0, "penstock says: prompts add two words  a'b\"c\n")
    assert "penstock: installing Penstock ..." in err
    environment = machine.checkout / ".penstock-env"
    made, pip, install, run = machine.done()
    assert made == f"host: -m venv {environment}"
    assert "[--upgrade][pip==" in pip
    assert install == f"[-m][pip][install][-c][{machine.checkout}/constraints.txt][-e][{machine.checkout}]"
    assert run == "[-P][-m][penstock][prompts][add][two words][][a'b\"c]"


def test_the_second_start_only_runs(machine: Machine) -> None:
    machine.run("--version")
    machine.done()
    code, out, err = machine.run("--version")
    assert (code, out, err) == (0, "penstock says: --version\n", "")
    assert machine.done() == ["[-P][-m][penstock][--version]"]


def test_the_demo_gets_torch_first_and_by_pip(machine: Machine) -> None:
    machine.run("--version")
    machine.done()
    machine.run("demo", "--json")
    torch, package = machine.installs()
    assert torch.endswith("[torch==2.13.0]")
    assert package.endswith(f"[-e][{machine.checkout}[demo]]")
    machine.run("up")
    machine.run("demo")
    assert machine.installs() == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the usual index holds no CUDA build")
def test_a_cuda_build_is_not_taken_unasked(machine: Machine) -> None:
    machine.offered = "2.13.0"
    machine.prepare()
    machine.run("demo")
    assert "[--extra-index-url][https://download.pytorch.org/whl/cpu]" in machine.installs()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the usual index holds no CUDA build")
def test_a_cuda_build_is_taken_when_asked(machine: Machine) -> None:
    machine.offered = "2.13.0"
    machine.prepare()
    machine.run("demo", PENSTOCK_TORCH_INDEX="")
    assert machine.installs()[0].endswith("[torch==2.13.0]")


def test_extras_add_up_and_larger_ones_serve_smaller_needs(machine: Machine) -> None:
    machine.run("up", PENSTOCK_EXTRAS="postgres")
    machine.run("test", "-k", "x")
    machine.done()
    machine.run("demo", PENSTOCK_EXTRAS="train,postgres")
    assert machine.installs() == []
    (machine.checkout / "constraints.txt").write_text("torch==2.13.0\npip==26.3\nnew==1\n")
    machine.run("up")
    assert machine.installs()[-1].endswith("[postgres,test]]")


def test_a_changed_ui_source_installs_again(machine: Machine) -> None:
    (machine.checkout / "frontend" / "src").mkdir(parents=True)
    (machine.checkout / "frontend" / "node_modules").mkdir()
    source = machine.checkout / "frontend" / "src" / "main.tsx"
    source.write_text("one")
    machine.run("up")
    machine.done()
    (machine.checkout / "frontend" / "node_modules" / "x.js").write_text("x")
    machine.run("up")
    assert machine.installs() == []
    source.write_text("two")
    machine.run("up")
    assert len(machine.installs()) == 1


def test_a_moved_checkout_installs_again(machine: Machine) -> None:
    machine.run("up")
    machine.done()
    moved = machine.folder / "elsewhere"
    machine.checkout.rename(moved)
    machine.checkout = moved
    machine.run("up")
    assert machine.installs()[0].endswith(f"[-e][{moved}]")


def test_a_failed_installation_is_told_and_taken_up_again(machine: Machine) -> None:
    machine.run("--version")
    machine.done()
    fails = Path(f"{machine.log}.fails")
    fails.touch()
    code, out, err = machine.run("demo")
    assert (code, out) == (1, "")
    assert "installing PyTorch failed: see above" in err
    fails.unlink()
    code, out, err = machine.run("demo")
    assert code == 0
    assert "interrupted" not in err


def test_an_interrupted_set_up_starts_over(machine: Machine) -> None:
    machine.run("--version")
    (machine.checkout / ".penstock-env" / ".installing").touch()
    (machine.checkout / ".penstock-env" / ".installed").unlink()
    code, _, err = machine.run("--version")
    assert code == 0
    assert "an earlier set-up was interrupted; starting it over." in err


def test_two_starts_at_once_install_once(machine: Machine) -> None:
    Path(f"{machine.log}.slow").touch()
    first, second = machine.start("one"), machine.start("two")
    answers = sorted([first.communicate(timeout=60)[0], second.communicate(timeout=60)[0]])
    assert answers == ["penstock says: one\n", "penstock says: two\n"]
    assert len(machine.installs()) == 1


def _scripted(machine: Machine, answer: str) -> dict[str, str]:
    python = machine.folder / "scripted"
    python.write_text(f"#!/bin/sh\necho '{answer}'\n")
    python.chmod(0o755)
    return {"PENSTOCK_PYTHON": str(python)}


def test_a_python_that_is_too_old_gets_a_remedy(machine: Machine) -> None:
    code, _, err = machine.run("up", **_scripted(machine, "old 3.9"))
    assert code == 1
    assert "Python 3.9 is too old: Penstock needs 3.11 or newer. Run:  " in err
    assert len(err.splitlines()) == 1


def test_a_python_without_venv_gets_a_remedy(machine: Machine) -> None:
    code, _, err = machine.run("up", **_scripted(machine, "novenv 3.12"))
    assert code == 1
    assert "Python 3.12 cannot make virtual environments (no venv/ensurepip). Run:  " in err
    if shutil.which("apt-get"):
        assert "apt-get install -y python3.12-venv" in err


def test_a_folder_of_somebody_elses_is_left_alone(machine: Machine) -> None:
    theirs = machine.folder / "theirs"
    theirs.mkdir()
    (theirs / "letter.txt").write_text("dear")
    code, _, err = machine.run("up", PENSTOCK_ENV=str(theirs))
    assert code == 1
    assert "is not an environment of Penstock's" in err
    assert (theirs / "letter.txt").read_text() == "dear"


def test_a_folder_that_cannot_be_written_is_told(machine: Machine) -> None:
    code, _, err = machine.run("up", PENSTOCK_ENV="/proc/penstock/env")
    assert code == 1
    assert "Set PENSTOCK_ENV to a folder you may write to" in err


def test_a_link_to_the_script_works_from_anywhere(machine: Machine) -> None:
    link = machine.folder / "link"
    link.symlink_to(machine.checkout / "penstock")
    machine.run("--version")
    result = subprocess.run(
        [machine.shell, str(link), "up"],
        env=machine.env,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "penstock says: up\n"
