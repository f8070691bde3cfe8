"""BERTScore: how well the words of an answer match those of the expected one, in the eyes of a language model."""

import re
from collections.abc import Sequence
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.ports import Bench


class BertScore:
    """`bert_score` (F1), `bert_score_precision`, `bert_score_recall`: greedy matches of contextual token embeddings.

    `model` is a registered model's version (`name@3`) in the layout of Hugging Face; it runs in a child process and
    needs the extra `train`. `layer` (0: the last) is whose output counts, `baseline` (a number, or [precision,
    recall, f1]) what is rescaled to 0, `threads` (1) are the child's. All tokens weigh the
    same; each figure is the best over the references. Source: Zhang et al., BERTScore, ICLR 2020, arXiv:1904.09675;
    equal to the package bert-score without its idf weights.
    """

    name = "bert_score"

    def __init__(
        self,
        *,
        model: str = "",
        layer: int = 0,
        baseline: float | Sequence[float] = 0.0,
        threads: int = 1,
    ) -> None:
        if not re.fullmatch(r"[^@]+@\d+", model):
            raise Invalid(
                f"bert_score needs a version, not {model!r}: figures of different models cannot be compared.",
                hint="Write model: NAME@NUMBER.",
            )
        below = [float(one) for one in baseline] if isinstance(baseline, Sequence) else [float(baseline)] * 3
        if len(below) != 3 or not all(one < 1 for one in below):
            raise Invalid("bert_score's baseline is a number below 1, or three: precision, recall, f1.")
        if layer < 0 or threads < 1:
            raise Invalid("bert_score's layer counts from 1 (0 is the last), and it needs at least 1 thread.")
        self._options = {"model": model, "layer": layer, "threads": threads}
        self._layer, self._baseline = layer, below

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: the model must be asked."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return means of cosines."""
        known = {self.name, f"{self.name}_precision", f"{self.name}_recall"}
        return Measure(kind=MetricKind.MEAN, unit="cosine") if metric in known else None

    def signature(self, references: int) -> str:
        """Return what the figures depend on."""
        of = self._options["model"]
        below = ",".join(f"{one:g}" for one in self._baseline)
        return (
            f"bert_score|model:{of}|layer:{self._layer or 'last'}|idf:no|baseline:{below}|refs:{references}"
        )

    async def judge(self, sample: Sample, output: Output, bench: Bench) -> tuple[dict[str, float], Any]:
        """Return the three figures."""
        if not sample.references:
            return {}, None
        question = {"answer": output.text, "references": list(sample.references)}
        found = (await bench.consult(self.name, self._options, question))["scores"]
        best = [max(values) for values in zip(*found, strict=True)]
        precision, recall, f1 = (
            (value - below) / (1 - below) for value, below in zip(best, self._baseline, strict=True)
        )
        return {self.name: f1, f"{self.name}_precision": precision, f"{self.name}_recall": recall}, None
