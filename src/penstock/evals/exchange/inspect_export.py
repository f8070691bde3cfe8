"""Runs as logs that Inspect and its viewer read.

Format: the EvalLog document of version 2, inspect_ai 0.3 (log/_log.py); times in ISO 8601.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.core import clock
from penstock.evals.exchange.inspect_archive import write_archive
from penstock.evals.exchange.recorded import text_of
from penstock.evals.model import EvalRun, Metric, RunState, SampleResult
from penstock.version import __version__

_STATUS = {
    RunState.SUCCEEDED: "success",
    RunState.FAILED: "error",
    RunState.CANCELLED: "cancelled",
    RunState.QUEUED: "started",
    RunState.RUNNING: "started",
}
_STOPS = {
    "stop": "stop",
    "length": "max_tokens",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


def log_of(run: EvalRun, results: Sequence[SampleResult]) -> dict[str, Any]:
    """Return the run as an EvalLog document, every metric with its interval in the metric's metadata."""
    header = _header(run, results)
    return {**header, "samples": [_sample(run, result) for result in results]}


def as_json(run: EvalRun, results: Sequence[SampleResult]) -> bytes:
    """Return the run as a .json log."""
    return msgspec.json.encode(log_of(run, results))


def as_eval(run: EvalRun, results: Sequence[SampleResult]) -> bytes:
    """Return the run as an .eval log."""
    header = _header(run, results)
    samples = {f"samples/{result.sample_id}_epoch_1.json": _sample(run, result) for result in results}
    plain = {
        "_journal/start.json": {"version": 2, "eval": header["eval"], "plan": header["plan"]},
        **samples,
        "summaries.json": [_summary(sample) for sample in samples.values()],
        "header.json": header,
    }
    return write_archive({name: msgspec.json.encode(value) for name, value in plain.items()})


def _header(run: EvalRun, results: Sequence[SampleResult]) -> dict[str, Any]:
    started = run.started_at or run.created_at
    spec = {
        "eval_id": run.id,
        "run_id": run.id,
        "created": clock.iso(run.created_at),
        "task": run.suite,
        "task_id": run.id,
        "task_version": 0,
        "task_args": {},
        "dataset": {
            "name": run.dataset,
            "samples": len(results),
            "sample_ids": [result.sample_id for result in results],
            "shuffled": False,
        },
        "model": f"{run.target}/{run.model}" if run.model else run.target,
        "config": {},
        "packages": {"penstock": __version__},
        "metadata": {"dataset_version": run.dataset_version, "dataset_hash": run.dataset_hash},
    }
    return {
        "version": 2,
        "status": _STATUS[run.state],
        "eval": spec,
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": _results(run, results),
        "stats": {
            "started_at": clock.iso(started),
            "completed_at": clock.iso(run.finished_at) if run.finished_at else "",
            "model_usage": {},
        },
        # Inspect's reader of headers does not take a null here.
        **({"error": _error(run.error)} if run.error else {}),
    }


def _error(message: str) -> dict[str, str]:
    return {"message": message, "traceback": "", "traceback_ansi": ""}


def _results(run: EvalRun, results: Sequence[SampleResult]) -> dict[str, Any]:
    done = sum(result.output.error is None for result in results)
    whole = [metric for metric in run.metrics if not metric.split]
    return {
        "total_samples": run.total or len(results),
        "completed_samples": done,
        "scores": [
            {
                "name": metric.name,
                "scorer": metric.name,
                "params": {},
                "metrics": {"mean": _metric(metric)},
            }
            for metric in whole
        ],
    }


def _metric(metric: Metric) -> dict[str, Any]:
    told = {
        "low": metric.low,
        "high": metric.high,
        "n": metric.n,
        "method": metric.method,
        "unit": metric.unit,
    }
    return {"name": "mean", "value": metric.value, "params": {}, "metadata": told}


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    role = str(message.get("role", "user"))
    known = role if role in ("system", "user", "assistant", "tool") else "user"
    made = {"role": known, "content": text_of(message.get("content"))}
    return {**made, "tool_call_id": message["tool_call_id"]} if message.get("tool_call_id") else made


def _sample(run: EvalRun, result: SampleResult) -> dict[str, Any]:
    output, asked = result.output, [_message(message) for message in result.messages]
    answer = {"role": "assistant", "content": output.text, "source": "generate", "model": run.model}
    made: dict[str, Any] = {
        "id": result.sample_id,
        "epoch": 1,
        "input": asked,
        "target": list(result.references),
        "messages": [*asked, answer] if output.error is None else asked,
        "output": {"model": run.model, "choices": []},
        "scores": {name: {"value": value} for name, value in result.scores.items()},
        "metadata": {"split": result.split, "content_hash": result.content_hash, "trace_id": output.trace_id},
        "store": {},
        "events": [],
        "model_usage": {},
        "attachments": {},
        "total_time": output.latency_s,
    }
    if output.error is not None:
        return {**made, "error": _error(output.error)}
    usage = _usage(result)
    stop = _STOPS.get(output.finish_reason, "unknown")
    return {
        **made,
        "output": {
            "model": run.model,
            "choices": [{"message": answer, "stop_reason": stop}],
            "completion": output.text,
            "usage": usage,
            "time": output.latency_s,
        },
        "model_usage": {run.model or run.target: usage} if usage else {},
    }


def _usage(result: SampleResult) -> dict[str, int] | None:
    given, got = result.output.input_tokens, result.output.output_tokens
    if given is None and got is None:
        return None
    return {"input_tokens": given or 0, "output_tokens": got or 0, "total_tokens": (given or 0) + (got or 0)}


def _summary(sample: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "epoch", "input", "target", "scores", "metadata", "model_usage", "total_time")
    error = (sample.get("error") or {}).get("message")
    return {**{name: sample[name] for name in kept}, "completed": True, **({"error": error} if error else {})}
