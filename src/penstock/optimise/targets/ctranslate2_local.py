"""A CTranslate2 folder as a target: greedy answers, one at a time, in a child process.

Run in a child by evals (`penstock.targets`, name `ctranslate2`); options: `folder`, `max_tokens`, `threads`,
`prompt_style` (`chat` uses the folder's chat template, `raw` joins the contents).
"""

from collections.abc import Callable
from typing import Any

from penstock.core import plugins


def run(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Answer every sample of `spec["samples"]`, reporting each one as it is finished."""
    # Evaluations load this module in their own process, which shall not load the library.
    found: dict[str, Any] = plugins.load("runners", "ctranslate2").run(spec, report)
    return found
