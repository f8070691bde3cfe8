"""What the scripted server knows of comparisons by sample, a run under way, and calibrated judges."""

from typing import Any

Json = dict[str, Any]
ASKED = "The app crashes when I open the camera."
ANSWERS = (
    "category: bug\nproduct: mobile\npriority: high",
    "category: bug\nproduct: mobile\npriority: low",
    "category: question\nproduct: mobile\npriority: high",
)


def pieces(before: str, after: str) -> list[Json]:
    """The last word differs; everything before it is the same."""
    same, _, old = before.rpartition(" ")
    new = after.rpartition(" ")[2]
    if before == after:
        return [{"op": "equal", "text": before}]
    return [
        {"op": "equal", "text": f"{same} "},
        {"op": "delete", "text": old},
        {"op": "insert", "text": new},
    ]


def side(run: str, text: str, exact: float, before: str) -> Json:
    scores = {"exact_match": exact, "valid_structure": 1.0}
    told = {"run_id": run, "text": text, "error": None, "latency_s": 0.21, "trace_id": f"{7:032x}"}
    return {**told, "scores": scores, "pieces": pieces(before, text)}


def rows(runs: list[str]) -> list[Json]:
    """120 samples, the worst first; one was answered by the baseline alone."""
    found: list[Json] = []
    for i in range(120):
        loss = 1.0 if i < 6 else 0.0 if i < 100 else -1.0
        first = ANSWERS[1] if loss < 0 else ANSWERS[0]
        sides: list[Json | None] = [side(runs[0], first, 0.0 if loss < 0 else 1.0, first)]
        for run in runs[1:]:
            text = ANSWERS[1] if loss > 0 else ANSWERS[0]
            sides.append(side(run, text, 0.0 if loss > 0 else 1.0, first))
        row = {"sample_id": f"smp_{i}", "ordinal": i, "split": "test", "status": "compared"}
        row |= {"messages": [{"role": "user", "content": f"{ASKED} ({i})"}], "references": [ANSWERS[0]]}
        found.append({**row, "sides": sides, "regression": loss})
    alone = {**found[-1], "sample_id": "smp_alone", "ordinal": 120, "status": "only_baseline"}
    return [
        *found,
        {**alone, "sides": [found[-1]["sides"][0], *([None] * (len(runs) - 1))], "regression": None},
    ]


def judge(scorer: str, kappa: float, low: float, high: float, n: int) -> Json:
    gates = low >= 0.6
    figure = {"value": kappa, "low": low, "high": high, "n": n}
    told = {"id": f"cal_{scorer}", "judge": "ab" * 32, "scorer": scorer, "options": {"model": "gpt-mock"}}
    told |= {"metric": f"{scorer}_score", "run_id": "evl_01890003aaaabbbb", "kappa": figure, "n": n}
    told |= {"agreement": 0.93 if gates else 0.7, "threshold": 0.6, "people": 0.8, "judged": 0.82}
    told |= {"corrected": None, "may_gate": gates, "actor": "owner", "created_at": "2026-01-04T10:00:00Z"}
    return {**told, "reason": "" if gates else f"The interval begins at {low}, below 0.6."}


JUDGES = [judge("helpfulness", 0.86, 0.79, 0.91, 180), judge("tone", 0.41, 0.28, 0.53, 96)]


def running(run: Json) -> Json:
    """The same run while it goes."""
    pace = {"done": 160, "total": 400, "errors": 2, "judge_errors": 0, "calls": 171, "cached": 24, "lost": 0}
    pace |= {"cost_usd": 0.0412, "eta_s": 95.0}
    return {
        **run,
        "id": "evl_running",
        "state": "running",
        "done": 150,
        "finished_at": None,
        "progress": pace,
    }
