"""`penstock demo`: the whole loop, offline, on this machine's own CPU."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from penstock.cli.up import check_free, free_port
from penstock.cli.welcome import sign_in_link
from penstock.core import clock, console, log
from penstock.core.auth import service as auth
from penstock.core.console import HomeOption, JsonOption
from penstock.core.errors import Unavailable
from penstock.core.home import Home, locate
from penstock.core.scope import Actor, Role
from penstock.core.settings import ServerSettings
from penstock.pipelines import service as pipelines
from penstock.pipelines.demo import report as reports
from penstock.pipelines.demo.scale import Scale
from penstock.pipelines.demo.server import Server
from penstock.pipelines.demo.story import NAME, TITLES, pipeline
from penstock.pipelines.model import Pipeline, RunState, StepContext

app = typer.Typer(add_completion=False)
READY_SECONDS = 120.0


@contextmanager
def running_server(home: Path, port: int) -> Iterator[str]:
    """Yield the address of a `penstock up` on `home` that serves; it ends with the block."""
    log_file = home / "demo-server.log"
    with log_file.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "penstock", "up", "--home", str(home), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PENSTOCK_PARENT": str(os.getpid())},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(process, url, log_file)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_ready(process: "subprocess.Popen[bytes]", url: str, log_file: Path) -> None:
    deadline = clock.monotonic() + READY_SECONDS
    while clock.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise Unavailable("The server did not become ready.", hint=f"Its log: {log_file}")


def _application_key(home: Home, actor: Actor) -> tuple[str, str]:
    with home.begin() as uow:
        key, secret = auth.create_key(
            uow, actor, name="demo ticket application", role=Role.GATEWAY, expires_in=timedelta(hours=12)
        )
    return key.id, secret


def _told(story: Pipeline, began: float) -> Pipeline:
    """Return the pipeline with each step's title said before it runs."""

    def titled(number: int, name: str, step: Any) -> Any:
        def run(context: StepContext) -> dict[str, Any]:
            elapsed = clock.monotonic() - began
            console.note(f"[{elapsed:5.0f} s] {number}/{len(story.steps)}  {TITLES[name]}")
            result: dict[str, Any] = step(context)
            return result

        return run

    steps = tuple((name, titled(n, name, step)) for n, (name, step) in enumerate(story.steps, 1))
    return Pipeline(name=story.name, steps=steps)


def play(home: Home, actor: Actor, url: str, scale: Scale) -> dict[str, Any]:
    """Play the story to its end and return the report."""
    key_id, secret = _application_key(home, actor)
    with home.read() as uow:
        last = pipelines.newest(uow, actor, pipeline=NAME)
    if last is not None and last.state is not RunState.SUCCEEDED:
        console.note(f"going on with run {last.number}: {len(last.steps)} stages are finished")
    try:
        story = _told(pipeline(Server(url, secret)), clock.monotonic())
        run = pipelines.run(
            home, actor, story, scale.inputs(), say=lambda text: console.note(f"            {text}")
        )
        return reports.build(home, actor, run, url)
    finally:
        with home.begin() as uow:
            auth.revoke_key(uow, actor, key_id=key_id)


def _percent(metric: dict[str, Any]) -> str:
    return f"{metric['value']:.1%}  [{metric['low']:.1%}, {metric['high']:.1%}]"


def show(report: dict[str, Any]) -> None:
    """Print the report for people, on standard output."""
    table = Table(
        "", "exact match [95 % interval]", "category", "product", "priority", box=None, pad_edge=False
    )
    names = {"base": "base model", "tuned": "tuned on history", "after_feedback": "after feedback"}
    for stage, name in names.items():
        metrics = report["metrics"][stage]
        fields = [
            f"{metrics[f'fields.{field}']['value']:.1%}" for field in ("category", "product", "priority")
        ]
        table.add_row(name, _percent(metrics["exact"]), *fields)
    out = Console(highlight=False)
    out.print()
    out.print(table)
    refused = report["refused"]
    out.print(
        f"\nRefused: {refused['model']}, reward accuracy {refused['reward_accuracy']}, "
        f"exact match {refused['exact_match']['value']:.1%}"
    )
    for reason in refused["reasons"]:
        out.print(f"  {reason}")
    out.print(
        f"\n{report['corrected']} of {report['reviewed']} answers corrected; {report['promoted']} promoted. "
        f"{report['calls']} calls, {report['input_tokens']} + {report['output_tokens']} tokens, "
        f"${report['cost_usd']:.6f}; {sum(report['seconds_by_stage'].values()):.0f} seconds."
    )
    for stage, address in report["urls"].items():
        out.print(f"  {stage:<11} {address}")


@app.command()
@console.guarded
def demo(
    home: HomeOption = None,
    as_json: JsonOption = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of corpus and training.")] = 0,
    port: Annotated[
        int | None, typer.Option("--port", help="Port of the server; default: 8600 or a free one.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer calls; for continuous integration.")] = False,
) -> None:
    """Play the whole loop: data, base model, fine-tune, evaluation, deployment, traffic, feedback, a better model.

    Interrupted, it goes on from the finished stages. The exit code is non-zero when a stage fails, or when tuning or
    feedback does not improve accuracy significantly.
    """
    folder = locate(home)
    scale = Scale(seed=seed, calls=300, canary_calls=60, test=400) if quick else Scale(seed=seed)
    with console.open_home(folder) as (opened, actor):
        log.configure("warning", "line")
        check_free(folder)
        chosen = port if port is not None else free_port(opened.settings.section(ServerSettings).port)
        with running_server(folder, chosen) as url:
            report = play(opened, actor, url, scale)
            if as_json:
                console.emit(report, True)
            else:
                show(report)
            for problem in report["problems"]:
                console.note(f"penstock: {problem}")
            if report["problems"]:
                raise typer.Exit(console.EXIT_FAILED)
            if not as_json and sys.stdin.isatty() and sys.stdout.isatty():
                _linger(opened, url)
    if not as_json:
        console.note(f"\nLook around: penstock up --home {folder}   (or PENSTOCK_HOME={folder} penstock up)")


def _linger(home: Home, url: str) -> None:
    console.note(f"\nThe server stays up. Sign in once: {sign_in_link(home, url)}\nCtrl-C ends it.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.note("")
