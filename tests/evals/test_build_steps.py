"""The steps for build servers: valid YAML, whose script really runs."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from penstock.evals.build_steps import Step, github, gitlab, script
from penstock.evals.cli import app

STEP = Step(suite="my suite.yaml", rules="gate.yaml", data="data/tickets.jsonl")


def test_github_and_gitlab_read_them() -> None:
    made = yaml.safe_load(github(STEP))
    job = made["jobs"]["evaluation"]
    (run,) = (step for step in job["steps"] if step.get("name") == "Evaluate and gate")
    assert run["run"].splitlines()[1:] == script(STEP)
    assert job["env"]["PENSTOCK_HOME"] == ".penstock"
    assert made.get("on", made.get(True)) == ["push", "pull_request"]
    job = yaml.safe_load(gitlab(STEP))["evaluation"]
    assert job["script"][1:] == script(STEP)
    assert job["artifacts"]["reports"]["junit"] == "penstock-report/gate.xml"


@pytest.mark.parametrize("code", [0, 3])
def test_the_script_hands_on_the_gates_exit_code(tmp_path: Path, code: int) -> None:
    """A stand-in for the command writes down how it was called."""
    fake = tmp_path / "penstock"
    fake.write_text(
        '#!/bin/sh\nfor word in "$@"; do printf "[%s]" "$word"; done >> calls; echo >> calls\n'
        f'case "$2" in run) echo \'{{"id": "evr_7"}}\';; gate) exit {code};; esac\n'
    )
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    text = "set -e\n" + "\n".join(script(STEP))
    done = subprocess.run(["sh", "-c", text], cwd=tmp_path, env=env, check=False)
    assert done.returncode == code
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == "[datasets][ingest][tickets][data/tickets.jsonl]"
    assert calls[1].startswith("[evals][run][my suite.yaml]")
    assert calls[2].startswith("[evals][gate][evr_7][--rules][gate.yaml][--baseline][latest-passed]")
    assert json.loads((tmp_path / "penstock-report/run.json").read_text()) == {"id": "evr_7"}


def test_the_command_prints_it() -> None:
    done = CliRunner().invoke(app, ["ci-step", "gitlab", "--suite", "s.yaml"])
    assert done.exit_code == 0
    assert yaml.safe_load(done.stdout)["evaluation"]["script"][-3].startswith("penstock evals run s.yaml")
