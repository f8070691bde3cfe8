"""Evaluating checkpoints while a run waits: the suite, aimed at the checkpoint, and the verdict on all scores."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals import service as evals
from penstock.evals.suites import service as suites
from penstock.training import store
from penstock.training.model import MetricPoint
from penstock.training.reporting import put
from penstock.training.running import EarlyStop, verdict

SCORES = "scores.json"
_LOCAL = {"transformers", "model"}


class CheckpointJudge:
    """Scores each checkpoint of a run by a suite; scores are kept in the run's folder and are not asked for twice."""

    def __init__(
        self,
        home: Home,
        actor: Actor,
        rule: EarlyStop,
        *,
        run_id: str,
        base_folder: str,
        cancelled: Callable[[], bool],
    ) -> None:
        self._home, self._actor, self._rule = home, actor, rule
        self._run_id, self._base, self._cancelled = run_id, base_folder, cancelled
        self._path = home.folder("training", run_id) / SCORES
        with home.read() as uow:
            self._suite = suites.load(uow, actor, rule.suite)

    def __call__(self, step: int, folder: str) -> dict[str, Any]:
        """Return `stop`, `best_step` and `score` after the checkpoint of `step`; raises what the evaluation raises."""
        scores = self._known()
        if step not in scores:
            scores[step] = self._score(step, Path(folder))
            put(self._path, {str(at): score for at, score in sorted(scores.items())})
        past = sorted((at, score) for at, score in scores.items() if at <= step)
        found = verdict(past, self._rule)
        return {"stop": found.stop, "best_step": found.best_step, "score": scores[step]}

    def _known(self) -> dict[int, float]:
        if not self._path.exists():
            return {}
        return {int(step): float(score) for step, score in json.loads(self._path.read_text()).items()}

    def _score(self, step: int, folder: Path) -> float:
        options = {
            name: value
            for name, value in self._suite.target.items()
            if self._suite.target["kind"] in _LOCAL and name not in ("kind", "model", "folder", "adapter")
        }
        adapter = (folder / "adapter_config.json").exists()
        place = {"folder": self._base, "adapter": str(folder)} if adapter else {"folder": str(folder)}
        aimed = replace(self._suite, target={**options, "kind": "transformers", **place})
        ran = evals.run(
            self._home,
            self._actor,
            suite=aimed,
            key=f"{self._run_id}:checkpoint:{step}",
            cancelled=self._cancelled,
        )
        metrics = {metric.name: metric.value for metric in ran.metrics if not metric.split}
        name = self._rule.metric or next(iter(metrics), "")
        if name not in metrics:
            raise Invalid(
                f"The suite {self._rule.suite!r} has no metric {name!r}.",
                hint=f"It has {', '.join(sorted(metrics)) or 'none'}; set early_stop.metric.",
            )
        self._remember(step, name, metrics[name])
        return metrics[name]

    def _remember(self, step: int, name: str, score: float) -> None:
        with self._home.begin() as uow:
            logged = store.point_at(uow.conn, self._actor.scope, self._run_id, step)
            values = {**(logged.values if logged else {}), f"eval_{name}": score}
            store.add_point(uow.conn, self._run_id, MetricPoint(step=step, values=values, at=clock.now()))


def judge_of(
    home: Home,
    actor: Actor,
    rule: EarlyStop,
    *,
    run_id: str,
    base_folder: str,
    cancelled: Callable[[], bool],
) -> CheckpointJudge | None:
    """Return the judge of a run that stops early on a suite, None for any other; raises NotFound without the suite."""
    if not rule.suite:
        return None
    return CheckpointJudge(home, actor, rule, run_id=run_id, base_folder=base_folder, cancelled=cancelled)
