"""Hearing a run: its reports become progress, examples, environment, and one metric point per logged step."""

import math
from collections.abc import Callable
from typing import Any

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.training import store
from penstock.training.model import MetricPoint, TrainingRun, Wish

_LOOK_SECONDS = 0.5
_HOUR = 3600.0


class Listener:
    """Stores each report of a run and hands it on."""

    def __init__(
        self, home: Home, scope: Scope, run: TrainingRun, hand_on: Callable[[dict[str, Any]], None]
    ) -> None:
        self._home = home
        self._scope = scope
        self._run_id = run.id
        self._hand_on = hand_on
        self._price = float(run.recipe.get("running", {}).get("cost_per_hour", 0.0))
        self._spent = float(run.progress.get("cost_usd") or 0.0)
        self._progress = dict(run.progress)
        self._began = clock.monotonic()

    def __call__(self, report: dict[str, Any]) -> None:
        """Store the report; a resumed run replaces the points of the steps that it repeats."""
        if "examples" in report:
            self._change(examples=report["examples"])
        elif report.get("stage") == "train":
            report = self._priced(report)
            values = {
                name: float(value)
                for name, value in report.items()
                if name != "step" and isinstance(value, int | float) and math.isfinite(value)
            }
            self._progress = {
                name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in report.items()
            }
            point = MetricPoint(step=report["step"], values=values, at=clock.now())
            with self._home.begin() as uow:
                store.change(uow.conn, self._scope, self._run_id, progress=self._progress)
                store.add_point(uow.conn, self._run_id, point)
        else:
            # A stage between steps leaves the last figures on the page.
            self._progress = {**self._progress, **{k: v for k, v in report.items() if k != "folder"}}
            self._change(progress=self._progress)
        self._hand_on(report)

    def environment(self, found: dict[str, Any]) -> None:
        """Store what the run is carried out on."""
        self._change(environment=found)

    def totals(self) -> dict[str, float]:
        """Return the cost so far, when the recipe names a price."""
        return {"cost_usd": round(self._cost(), 6)} if self._price else {}

    def _cost(self) -> float:
        return self._spent + (clock.monotonic() - self._began) / _HOUR * self._price

    def _priced(self, report: dict[str, Any]) -> dict[str, Any]:
        """Return the report with `tokens_per_s`, `eta_s` and, when there is a price, the cost so far and in all."""
        found = dict(report)
        if "eta_seconds" in report:
            found["eta_s"] = report["eta_seconds"]
        if "tokens_per_second" in report:
            found["tokens_per_s"] = report["tokens_per_second"]
        if self._price:
            cost = self._cost()
            found["cost_usd"] = round(cost, 6)
            rest = float(found.get("eta_s", 0.0)) / _HOUR * self._price
            found["estimated_cost_usd"] = round(cost + rest, 6)
        return found

    def _change(self, **values: Any) -> None:
        with self._home.begin() as uow:
            store.change(uow.conn, self._scope, self._run_id, **values)


class Wishes:
    """What people ask of a run while it goes on; looks at the database at most twice a second."""

    def __init__(self, home: Home, scope: Scope, run_id: str) -> None:
        self._home, self._scope, self._run_id = home, scope, run_id
        self._looked = float("-inf")
        self._wish: Wish | None = None

    def _look(self) -> Wish | None:
        if clock.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = clock.monotonic()
            with self._home.read() as uow:
                self._wish = store.wish_of(uow.conn, self._scope, self._run_id)
        return self._wish

    def pause(self) -> bool:
        """Whether a pause is wanted."""
        return self._look() is Wish.PAUSE

    def cancel(self) -> bool:
        """Whether the run should stop for good."""
        return self._look() is Wish.CANCEL
