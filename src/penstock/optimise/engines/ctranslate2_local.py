"""A CTranslate2 folder, timed and asked through that library.

Plug-in `ctranslate2` of `penstock.runners`; evaluations reach it through the target of that name.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ctranslate2

from penstock.optimise.engines import drive
from penstock.optimise.engines.texts import Texts


class CTranslate2Runner(Texts):
    """A model in memory."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the folder onto the CPU with so many threads."""
        super().__init__(folder)
        ends = json.loads((folder / "config.json").read_bytes()).get("eos_token")
        self.stops |= frozenset(self.ids([ends]) if isinstance(ends, str) else [])
        self._generator = ctranslate2.Generator(
            str(folder), device="cpu", inter_threads=1, intra_threads=threads
        )
        self.provider = f"{self._generator.device} {self._generator.compute_type}"

    def stream(self, prompt: Sequence[int], limit: int, *, endless: bool) -> Iterator[int]:
        """Yield the likeliest tokens."""
        steps = self._generator.generate_tokens(
            self.tokens(prompt), max_length=limit, min_length=limit if endless else 0, sampling_topk=1
        )
        for step in steps:
            yield int(step.token_id)


def run(spec: dict[str, Any], report: drive.Report) -> dict[str, Any]:
    """Answer the samples in `spec`, or time the model."""
    return drive.run(CTranslate2Runner, spec, report)
