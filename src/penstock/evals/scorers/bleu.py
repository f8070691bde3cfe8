"""BLEU, by sacrebleu."""

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU

from penstock.evals.model import Measure, MetricKind, Output, Sample

_ORDERS = 4


class Bleu:
    """`bleu`: corpus BLEU; `bleu_sentence`: mean sentence BLEU; both 0-100 as sacrebleu reports them.

    `tokenize` is sacrebleu's tokenizer (13a by default), `lowercase` its option. Source: Papineni et al.,
    ACL 2002; Post, WMT 2018 (sacrebleu), exponential smoothing, effective order for sentences.
    """

    name = "bleu"

    def __init__(self, *, tokenize: str = "13a", lowercase: bool = False) -> None:
        self._bleu = BLEU(tokenize=tokenize, lowercase=lowercase, effective_order=True)
        # Corpus BLEU is computed without effective order, and its signature has to say so.
        self._signed = BLEU(tokenize=tokenize, lowercase=lowercase)
        self._last: tuple[str, tuple[str, ...], float, tuple[float, ...]] | None = None

    def _sentence(self, text: str, references: tuple[str, ...]) -> tuple[float, tuple[float, ...]]:
        if self._last is None or self._last[:2] != (text, references):
            result = self._bleu.sentence_score(text, list(references))
            sums = (*result.counts, *result.totals, result.sys_len, result.ref_len)
            self._last = (text, references, float(result.score), tuple(float(count) for count in sums))
        return self._last[2], self._last[3]

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `bleu_sentence`, or nothing for a sample without references."""
        if not sample.references:
            return {}
        return {"bleu_sentence": self._sentence(output.text, sample.references)[0]}

    def sums(self, sample: Sample, output: Output) -> tuple[float, ...]:
        """Return matched and total n-grams of orders 1 to 4, and the two lengths."""
        if not sample.references:
            return (0.0,) * (2 * _ORDERS + 2)
        return self._sentence(output.text, sample.references)[1]

    def corpus(self, sums: Sequence[float]) -> dict[str, float]:
        """Return `bleu` of the added-up counts."""
        counts = [round(value) for value in sums]
        correct, total, lengths = counts[:_ORDERS], counts[_ORDERS : 2 * _ORDERS], counts[2 * _ORDERS :]
        score = BLEU.compute_bleu(correct, total, *lengths, smooth_method="exp", max_ngram_order=_ORDERS)
        return {"bleu": float(score.score)}

    def signature(self, references: int) -> str:
        """Return sacrebleu's signature of `bleu` for so many references per sample; -1 when their number varies."""
        self._signed.num_refs = references
        return str(self._signed.get_signature())

    def measure(self, metric: str) -> Measure | None:
        """Return a corpus metric for `bleu`, a mean for `bleu_sentence`."""
        if metric not in ("bleu", "bleu_sentence"):
            return None
        return Measure(kind=MetricKind.CORPUS if metric == "bleu" else MetricKind.MEAN, unit="points")
