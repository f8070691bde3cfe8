"""Stage 8: what happened, as one object for machines and a table for people. All figures come from the run."""

from typing import Any

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.pipelines.demo.recipes import MODEL
from penstock.pipelines.model import PipelineRun
from penstock.traces import service as traces

_BOUNDS = {"base": (0.0, 0.2), "tuned": (0.7, 1.0), "after_feedback": (0.95, 1.0)}
ALPHA = 0.05


def _interval(metrics: dict[str, Any], name: str) -> dict[str, Any]:
    metric = metrics[name]
    return {key: metric[key] for key in ("value", "low", "high", "n")}


def build(home: Home, actor: Actor, run: PipelineRun, url: str) -> dict[str, Any]:
    """Return the report of a finished run; `problems` lists what fell short."""
    result = {step.name: step.result for step in run.steps}
    evaluation, final = result["evaluation"], result["final"]
    stages = {"base": evaluation["base"], "tuned": evaluation["tuned"], "after_feedback": final["figures"]}
    with home.read() as uow:
        rows = traces.usage(uow, actor, group_by="route", since=run.created_at)
    mine = [row for row in rows if row.group == MODEL]
    refused = result["first_candidate"]
    report: dict[str, Any] = {
        "exact_match": {name: _interval(metrics, "exact") for name, metrics in stages.items()},
        "metrics": stages | {"artefact_tuned": result["deployment"]["artefact"]},
        "p_values": {"tuning": evaluation["p_value"], "feedback": result["second_candidate"]["p_value"]},
        "refused": {
            "model": refused["model"],
            "reward_accuracy": refused["reward_accuracy"],
            "exact_match": _interval(refused["figures"], "exact"),
            "reasons": [check["reason"] for check in refused["gate"]["checks"] if not check["passed"]],
        },
        "corrected": result["review"]["corrected"],
        "reviewed": result["review"]["reviewed"],
        "promoted": result["release"]["promoted"],
        "calls": sum(row.calls for row in mine),
        "input_tokens": sum(row.input_tokens for row in mine),
        "output_tokens": sum(row.output_tokens for row in mine),
        "cost_usd": sum(row.cost_usd or 0.0 for row in mine),
        "latency_s": {
            name: metrics.get("latency") or metrics.get("latency.p50") for name, metrics in stages.items()
        },
        "seconds_by_stage": {step.name: step.seconds for step in run.steps},
        "seed": run.inputs["seed"],
        "run": run.id,
        "urls": urls(url, result),
    }
    return report | {"problems": problems(report)}


def urls(url: str, result: dict[str, Any]) -> dict[str, str]:
    """Return stage → address in the UI."""
    history, _, version = result["data"]["history"]["ref"].partition("@")
    promoted, _, number = result["release"]["promoted"].partition("@")
    return {
        "ui": url,
        "data": f"{url}/datasets/{history}?version={version}",
        "training": f"{url}/training/{result['finetune']['run']}",
        "evaluation": f"{url}/evaluations/{result['evaluation']['tuned_run']}",
        "refused": f"{url}/evaluations/{result['first_candidate']['eval']}",
        "model": f"{url}/models/{promoted}?version={number}",
        "deployment": f"{url}/deployments/{MODEL}",
        "traces": f"{url}/traces?route={MODEL}",
    }


def problems(report: dict[str, Any]) -> list[str]:
    """Return one sentence for each promise of the demo that the figures do not keep."""
    found = []
    for name, (low, high) in _BOUNDS.items():
        value = report["exact_match"][name]["value"]
        if not low <= value <= high:
            found.append(
                f"exact match {name.replace('_', ' ')} is {value:.1%}, outside {low:.0%} to {high:.0%}"
            )
    for name, p_value in report["p_values"].items():
        if p_value is None or p_value >= ALPHA:
            found.append(f"{name} did not improve accuracy significantly (p = {p_value})")
    return found
