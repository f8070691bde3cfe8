"""How fast the answers came."""

from penstock.evals.model import Measure, MetricKind, Output, Sample


class Latency:
    """`latency_s`, `ttft_s` (seconds; lower is better) and `tokens_per_s` (generated tokens per second)."""

    name = "latency"

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return what the target measured; nothing that it did not."""
        scores = {}
        if output.latency_s is not None:
            scores["latency_s"] = output.latency_s
            if output.output_tokens and output.latency_s > 0:
                scores["tokens_per_s"] = output.output_tokens / output.latency_s
        if output.ttft_s is not None:
            scores["ttft_s"] = output.ttft_s
        return scores

    def measure(self, metric: str) -> Measure | None:
        """Return seconds, lower is better, or tokens per second."""
        if metric not in ("latency_s", "ttft_s", "tokens_per_s"):
            return None
        if metric == "tokens_per_s":
            return Measure(kind=MetricKind.MEAN, unit="tokens/s")
        return Measure(kind=MetricKind.DISTRIBUTION, higher_is_better=False, unit="s")
