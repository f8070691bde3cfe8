"""`penstock`: finds the command, imports only its module, runs it."""

import importlib
import sys

from penstock.cli.commands import COMMANDS
from penstock.version import __version__

USAGE_EXIT = 2


def _help() -> str:
    width = max(len(command.name) for command in COMMANDS)
    lines = [f"  {command.name:<{width}}  {command.help}" for command in COMMANDS]
    return "\n".join(
        [
            "Usage: penstock COMMAND [OPTIONS]",
            "",
            "Self-hosted LLMOps: data, prompts, training, evaluation, serving, gateway, traces, feedback.",
            "",
            "Commands:",
            *lines,
            "",
            "penstock COMMAND --help tells more; penstock --version prints the version.",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with the command's exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("--help", "-h", "help"):
        sys.stdout.write(_help() + "\n")
        sys.exit(0)
    if given[0] in ("--version", "-V"):
        sys.stdout.write(f"penstock {__version__}\n")
        sys.exit(0)
    for command in COMMANDS:
        if command.name == given[0]:
            importlib.import_module("penstock.app.policies").install()
            run = getattr(importlib.import_module(command.module), command.attribute)
            run(args=given[1:], prog_name=f"penstock {command.name}")
            return
    suggest = importlib.import_module("penstock.core.suggest")
    hint = suggest.did_you_mean(given[0], [command.name for command in COMMANDS])
    sys.stderr.write(f"penstock: there is no command {given[0]!r}. {hint}\n")
    sys.exit(USAGE_EXIT)
