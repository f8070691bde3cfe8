"""Starts one of the server's processes: `python -m penstock.cli.boot PROCESS ARGUMENTS…`.

What loads at the start stays until the end, so the garbage collector would only visit it in vain: it is off until
everything is loaded, which saves a sixth of the start, and later passes over it.
"""

import gc
import sys
from importlib import import_module

PROCESSES = {"web_worker": "penstock.cli.web_worker", "background": "penstock.cli.background"}


def main(process: str, *arguments: str) -> int:
    """Load the process's module and run it; returns the exit code."""
    gc.disable()
    module = import_module(PROCESSES[process])
    gc.freeze()
    gc.enable()
    code: int = module.main(*arguments)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
