"""Ready steps for build servers: run a suite, gate it, keep the reports."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml

HOME = ".penstock"
FOLDER = "penstock-report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a build is to run; paths are in the repository."""

    suite: str = "suite.yaml"
    rules: str = "gate.yaml"
    data: str | None = None
    """A file of rows to ingest under its own name before the run; the suite names it as NAME@latest."""

    @property
    def dataset(self) -> str:
        """The dataset's name: the data file's, without its ending."""
        return Path(self.data or "").stem


def script(step: Step) -> list[str]:
    """Return the shell commands of the build, which leave JUnit XML, Markdown and a badge behind; they exit with 3
    when the gate refuses.
    """
    lines = [f"mkdir -p {FOLDER}"]
    if step.data:
        lines.append(f"penstock datasets ingest {shlex.quote(step.dataset)} {shlex.quote(step.data)}")
    lines += [
        f"penstock evals run {shlex.quote(step.suite)} --markdown {FOLDER}/run.md --json > {FOLDER}/run.json",
        f'RUN=$(python3 -c \'import json; print(json.load(open("{FOLDER}/run.json"))["id"])\')',
        f'penstock evals gate "$RUN" --rules {shlex.quote(step.rules)} --baseline latest-passed --allow-first'
        f" --junit {FOLDER}/gate.xml --markdown {FOLDER}/gate.md --badge {FOLDER}/gate.svg",
    ]
    return lines


class _Block(str):
    """A text that is written as a YAML block."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes blocks as blocks."""


def _block(dumper: yaml.SafeDumper, text: _Block) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


_Dumper.add_representer(_Block, _block)


def _dump(document: object) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=200)


def github(step: Step) -> str:
    """Return a GitHub Actions workflow as YAML.

    The home is kept in the cache between builds, since the baseline is the last run in it that passed.
    """
    branch = "penstock-${{ github.ref_name }}"
    main = "penstock-${{ github.event.repository.default_branch }}"
    steps: list[dict[str, object]] = [
        {"uses": "actions/checkout@v4"},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
        {
            "uses": "actions/cache@v4",
            "with": {
                "path": HOME,
                "key": branch + "-${{ github.run_id }}",
                "restore-keys": _Block(f"{branch}-\n{main}-\n"),
            },
        },
        {"run": "pip install 'penstock[eval]'"},
        {"name": "Evaluate and gate", "run": _Block("set -e\n" + "\n".join(script(step)) + "\n")},
        {
            "name": "Summary",
            "if": "always()",
            "run": f'cat {FOLDER}/gate.md {FOLDER}/run.md >> "$GITHUB_STEP_SUMMARY" || true',
        },
        {
            "uses": "actions/upload-artifact@v4",
            "if": "always()",
            "with": {"name": FOLDER, "path": FOLDER},
        },
    ]
    job = {
        "runs-on": "ubuntu-latest",
        "env": {"PENSTOCK_HOME": HOME, "OPENAI_API_KEY": "${{ secrets.OPENAI_API_KEY }}"},
        "steps": steps,
    }
    head = {"name": "evaluation", "on": ["push", "pull_request"], "permissions": {"contents": "read"}}
    # YAML 1.1 takes a bare `on` for a boolean; GitHub reads both spellings.
    return _dump({**head, "jobs": {"evaluation": job}})


def gitlab(step: Step) -> str:
    """Return a job for .gitlab-ci.yml as YAML; the home is kept in the cache between builds."""
    job = {
        "image": "python:3.12",
        "variables": {"PENSTOCK_HOME": "$CI_PROJECT_DIR/" + HOME},
        "cache": {
            "key": "penstock-$CI_COMMIT_REF_SLUG",
            "fallback_keys": ["penstock-$CI_DEFAULT_BRANCH"],
            "paths": [HOME],
            "when": "always",
        },
        "script": ["pip install 'penstock[eval]'", *script(step)],
        "artifacts": {"when": "always", "paths": [FOLDER], "reports": {"junit": f"{FOLDER}/gate.xml"}},
    }
    return _dump({"evaluation": job})
