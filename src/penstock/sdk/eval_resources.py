"""The group of a `Client` for evaluations."""

from collections.abc import Iterator
from typing import Any

from penstock.sdk.resources import Calls, Record, segment


class Evals:
    """Evaluation runs, suites, judges and gate decisions."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the runs, newest first."""
        return self._client.pages("/evals/runs", **filters)

    def run(self, **fields: Any) -> Record:
        """Start a run; fields as in `POST /evals/runs`."""
        return self._client.send("POST", "/evals/runs", fields)

    def get(self, run_id: str) -> Record:
        """Return one run: metrics with value, low, high and n."""
        return self._client.get(f"/evals/runs/{segment(run_id)}")

    def samples(self, run_id: str, **filters: Any) -> Iterator[Record]:
        """Yield every sample with its output and scores."""
        return self._client.pages(f"/evals/runs/{segment(run_id)}/samples", **filters)

    def compare(self, baseline: str, candidate: str) -> Record:
        """Return the paired comparison of two runs."""
        return self._client.get("/evals/compare", baseline=baseline, candidate=candidate)

    def gates(self, **filters: Any) -> Iterator[Record]:
        """Yield gate decisions, newest first."""
        return self._client.pages("/evals/gates", **filters)

    def attempts(self, run_id: str, sample_id: str) -> Iterator[Record]:
        """Yield each epoch's answer to a sample; none when the run has one epoch."""
        return self._client.pages(f"/evals/runs/{segment(run_id)}/attempts/{segment(sample_id)}")

    def suites(self, **filters: Any) -> Iterator[Record]:
        """Yield stored suites by name; `run(suite=NAME)` starts one."""
        return self._client.pages("/evals/suites", **filters)

    def put_suite(self, name: str, suite: dict[str, Any] | str) -> Record:
        """Keep a suite (a mapping, or YAML) under a name."""
        return self._client.send("PUT", f"/evals/suites/{segment(name)}", {"suite": suite})

    def optimise(self, *, prompt: str, dataset: str, metric: str, **plan: Any) -> Record:
        """Start a search for a better version of a prompt; further fields as in `POST /evals/optimisations`."""
        body = {"prompt": prompt, "dataset": dataset, "metric": metric, **plan}
        return self._client.send("POST", "/evals/optimisations", body)

    def optimisations(self, **filters: Any) -> Iterator[Record]:
        """Yield the optimisations, newest first; `prompt=` those of one prompt."""
        return self._client.pages("/evals/optimisations", **filters)

    def optimisation(self, optimisation_id: str) -> Record:
        """Return one: state, budget, what was spent, candidates, the front of quality and cost, the best."""
        return self._client.get(f"/evals/optimisations/{segment(optimisation_id)}")

    def candidate_rows(self, optimisation_id: str, candidate: str) -> Iterator[Record]:
        """Yield what a candidate answered to each row, with its scores."""
        path = f"/evals/optimisations/{segment(optimisation_id)}/candidates/{segment(candidate)}/rows"
        return self._client.pages(path)

    def stop_optimisation(self, optimisation_id: str) -> Record:
        """Ask an optimisation to stop; what was answered is kept."""
        return self._client.send("POST", f"/evals/optimisations/{segment(optimisation_id)}/stop")

    def resume_optimisation(self, optimisation_id: str, **budget: Any) -> Record:
        """Go on with one that stopped or failed; `max_calls=` and `max_cost_usd=` are the new budget."""
        return self._client.send("POST", f"/evals/optimisations/{segment(optimisation_id)}/resume", budget)

    def accept(self, optimisation_id: str, *, candidate: str | None = None, note: str = "") -> Record:
        """Add the best candidate, or the named one, as a version of the prompt; returns its `prompt_version`."""
        body = {"candidate": candidate, "note": note}
        return self._client.send("POST", f"/evals/optimisations/{segment(optimisation_id)}/accept", body)

    def judges(self, **filters: Any) -> Iterator[Record]:
        """Yield judges with their agreement with people; only one with `may_gate` may gate."""
        return self._client.pages("/evals/judges", **filters)

    def calibrate(self, run_id: str, metric: str, **fields: Any) -> Record:
        """Hold a judge against people's labels; fields as in `POST /evals/judges`."""
        return self._client.send("POST", "/evals/judges", {"run_id": run_id, "metric": metric, **fields})
