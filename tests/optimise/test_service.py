"""Optimisations: every variant made, measured, judged beside its parent; one chosen; nothing done twice."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.core import jobs, lineage
from penstock.core.errors import Cancelled, Conflict, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.evals import service as evals
from penstock.evals.suite import Suite
from penstock.optimise import cli, service
from penstock.optimise import jobs as handlers
from penstock.optimise.model import Choice, OptimiseState
from penstock.registry import service as registry
from penstock.training.share import service as share
from tests.dying import die, wear_out
from tests.optimise.shop import Children, request
from tests.registry.folders import adapter_folder


def test_the_fastest_that_is_not_worse_is_chosen(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    found = service.execute(home, actor, request("gguf:q8_0", "gguf:q4_1", "gguf:q4_0", suite=suite))
    assert (found.state, found.parent, found.baseline.version) == ("succeeded", "triage@1", "triage@1")
    q8, q4_1, q4_0 = found.variants
    assert [v.version for v in found.variants] == ["triage-gguf@1", "triage-gguf@2", "triage-gguf@3"]
    assert found.baseline.quality is not None
    assert (found.baseline.quality.metric, found.baseline.quality.value) == ("exact", 1.0)
    assert q8.quality is not None and q4_1.quality is not None and q4_0.quality is not None
    assert (q8.quality.delta, q8.quality.worse) == (0.0, False)
    assert q4_0.quality.delta == pytest.approx(-25 / 60)
    assert q4_0.quality.worse is True
    assert q4_0.quality.delta_high is not None and q4_0.quality.delta_high < 0
    assert q4_1.quality.worse is False, "two of 60 may be chance"
    assert found.chosen == "triage-gguf@2"
    assert "1 of 3 variants are worse" in found.reason
    assert q8.figures is not None
    assert (q8.figures.tokens_per_s, q8.figures.size_bytes) == (200.0, 28)
    with home.read() as uow:
        version = registry.get(uow, actor, ref="triage-gguf@2")
        up = lineage.neighbours(uow.conn, actor.scope, "model_version", version.ref)
        judged = evals.get_run(uow, actor, q4_1.quality.eval_run)
    assert version.metrics["tokens_per_s"] == 300.0
    assert version.metrics["exact"]["n"] == 60
    assert version.card_extra["optimisation"]["quantization"] == "q4_1"
    assert {edge.parent_ref for edge in up} == {"triage@1"}
    assert judged.model == "triage-gguf@2"
    assert not list(home.folder("work", "optimise").iterdir())


def test_a_margin_refuses_what_may_hide_a_loss(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    wanted = request("gguf:q8_0", "gguf:q4_1", suite=suite, choose=Choice(margin=0.08))
    found = service.execute(home, actor, wanted)
    assert [v.quality.worse for v in found.variants if v.quality] == [False, True]
    assert found.chosen == "triage-gguf@1"


def test_a_variant_that_fails_says_why_and_the_others_go_on(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    found = service.execute(home, actor, request("onnx:int4", "ctranslate2", "gguf:q8_0", suite=suite))
    onnx, killed, gguf = found.variants
    assert (onnx.state, killed.state, gguf.state) == ("failed", "failed", "succeeded")
    assert "does not know X" in str(onnx.error)
    assert "SIGKILL" in str(killed.error)
    assert found.chosen == "triage-gguf@1"
    only = service.execute(home, actor, request("onnx:int4", suite=suite))
    assert (only.state, only.chosen) == (OptimiseState.FAILED, None)
    assert "each says why" in str(only.error)


def test_without_a_suite_costs_are_measured_and_nothing_is_chosen(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    found = service.execute(home, actor, request("gguf:q8_0"))
    assert (found.state, found.chosen, found.suite) == ("succeeded", None, None)
    assert found.variants[0].figures is not None
    assert "quality was not judged" in found.reason
    assert {group for group, _ in children.asked} == {"exporters", "runners"}


def test_an_interrupted_one_makes_only_what_is_missing(
    home: Home, actor: Actor, suite: Suite, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = service.start(home, actor, request("gguf:q8_0", "gguf:q4_0", suite=suite))

    def die(group: str, name: str, spec: dict[str, Any]) -> None:
        if spec.get("quantization") == "q4_0":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("penstock.optimise.making.run_child", Children(die))
        with pytest.raises(KeyboardInterrupt):
            service.perform(home, actor, run_id=queued.id)
    with home.read() as uow:
        half = service.get(uow, actor, run_id=queued.id)
    assert (half.state, half.variants[0].state, half.variants[1].state) == ("running", "succeeded", "running")
    job = jobs.run_inline(home, str(queued.job_id), handlers.HANDLERS)
    assert job.result == {"id": queued.id, "state": "succeeded", "chosen": "triage-gguf@1"}
    made = [group for group, _ in children.asked if group == "exporters"]
    measured = [group for group, _ in children.asked if group == "runners"]
    assert (len(made), len(measured)) == (1, 1), "the parent and the first variant were known"
    with home.read() as uow:
        assert len(registry.list_versions(uow, actor, name="triage-gguf")) == 2


def test_one_whose_workers_die_again_and_again_fails_with_the_variant_it_was_at(
    home: Home, actor: Actor, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = service.start(home, actor, request("gguf:q8_0", "gguf:q4_0"))

    def at_second(_group: str, _name: str, spec: dict[str, Any]) -> None:
        if spec.get("quantization") == "q4_0":
            die()

    monkeypatch.setattr("penstock.optimise.making.run_child", Children(at_second))
    reason = wear_out(home, str(queued.job_id), handlers.HANDLERS)
    with home.read() as uow:
        found = service.get(uow, actor, run_id=queued.id)
        assert share.standing(uow).claims == []
    assert (found.state, found.error) == (OptimiseState.FAILED, reason)
    first, second = found.variants
    assert (first.state, second.state, second.error) == ("succeeded", "failed", reason)


def test_a_command_that_is_interrupted_is_over(
    home: Home, actor: Actor, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(group: str, name: str, spec: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("penstock.optimise.making.run_child", Children(stop))
    with pytest.raises(KeyboardInterrupt):
        service.execute(home, actor, request("gguf:q8_0"))
    with home.read() as uow:
        (found,) = service.list_optimisations(uow, actor)
    assert (found.state, found.error) == ("cancelled", "Cancelled.")
    assert service.perform(home, actor, run_id=found.id) == found
    assert not list(home.folder("work", "optimise").iterdir())


def test_what_a_killed_command_left_can_be_cancelled(
    home: Home, actor: Actor, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(group: str, name: str, spec: dict[str, Any]) -> None:
        with home.begin() as uow, pytest.raises(Conflict, match="belongs to the command"):
            (mine,) = service.list_optimisations(uow, actor)
            service.cancel(uow, actor, run_id=mine.id)
        raise SystemExit

    monkeypatch.setattr("penstock.optimise.making.run_child", Children(die))
    monkeypatch.setattr(service, "_broken", lambda *_: None)  # as after kill -9
    with pytest.raises(SystemExit):
        service.execute(home, actor, request("gguf:q8_0"))
    with home.read() as uow:
        (left,) = service.list_optimisations(uow, actor)
        assert left.state == "running"
    where = ["--cancel", "--json", "--home", str(home.path)]
    said = CliRunner().invoke(cli.app, ["optimisation", left.id, *where])
    assert json.loads(said.stdout)["state"] == "cancelled", said.output
    both = CliRunner().invoke(cli.app, ["optimisation", left.id, "--resume", *where])
    assert both.exit_code == 1


def test_cancelling(home: Home, actor: Actor, suite: Suite, children: Children) -> None:
    stop: list[bool] = []
    queued = service.start(home, actor, request("gguf:q8_0", "gguf:q4_0", suite=suite))
    with pytest.raises(Cancelled):
        service.perform(
            home,
            actor,
            run_id=queued.id,
            progress=lambda report: stop.append(True) if report.get("stage") == "make" else None,
            cancelled=lambda: bool(stop),
        )
    with home.begin() as uow:
        found = service.get(uow, actor, run_id=queued.id)
        assert (found.state, found.error) == ("cancelled", "Cancelled.")
        with pytest.raises(Conflict, match="ended already"):
            service.cancel(uow, actor, run_id=queued.id)
    other = service.start(home, actor, request("gguf:q8_0"))
    with home.begin() as uow:
        assert service.cancel(uow, actor, run_id=other.id).state == "cancelled"


def test_an_adapter_is_merged_once_for_all(
    home: Home, actor: Actor, suite: Suite, children: Children, tmp_path: Path
) -> None:
    folder = adapter_folder(tmp_path / "adapter")
    registry.register(home, actor, name="lora", folder=folder, kind="adapter", base="triage@1")
    wanted = replace(request("merge", "gguf:q8_0", "prune:neurons"), version="lora")
    found = service.execute(home, actor, wanted)
    assert [v.version for v in found.variants] == ["lora-merged@1", "lora-gguf@1", "lora-pruned@1"]
    assert [name for group, name in children.asked if group == "exporters"] == ["merge", "gguf", "prune"]
    with home.read() as uow:
        assert registry.get(uow, actor, ref="lora-gguf@1").base == "triage@1"
    base = service.execute(home, actor, request("merge"))
    assert "nothing to merge" in str(base.variants[0].error)


def test_healing_learns_from_other_rows_than_it_is_judged_by(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    with pytest.raises(Invalid, match="learn the very rows"):
        service.start(home, actor, request("prune:neurons,dataset=tickets,split=", suite=suite))
    with pytest.raises(Invalid, match="has no split 'train'"):
        service.start(home, actor, request("prune:neurons,dataset=tickets", suite=suite))
    datasets.ingest(home, actor, name="more", source=[{"text": f"row {n}"} for n in range(5)])
    step = "distil:1,dataset=more,split=,limit=3"
    found = service.execute(home, actor, request(step, suite=suite))
    assert found.variants[0].options["dataset"] == "more@1"
    with home.read() as uow:
        version = registry.get(uow, actor, ref="triage-distilled@1")
        up = {
            (edge.parent_kind, edge.parent_ref)
            for edge in lineage.neighbours(uow.conn, actor.scope, "model_version", version.ref)
        }
    assert {("model_version", "triage@1"), ("dataset_version", "more@1")} <= up
    (spec,) = [spec for spec in children.specs if "layers" in spec]
    assert (spec["layers"], spec["steps"], spec["seed"]) == (1, 200, 0)
    folder = registry.materialize(home, actor, ref=version.ref)
    assert '"rows": 3' in (folder / "made_by.txt").read_text()


def test_rows_that_cannot_be_learned_from_are_named(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    datasets.ingest(home, actor, name="odd", source=[{"prompt": "a", "completion": "b"}, {"prompt": "c"}])
    found = service.execute(home, actor, request("distil:1,dataset=odd,split="))
    assert "Row 2 of odd@1 has no messages, no text" in str(found.variants[0].error)


@pytest.mark.parametrize(
    ("to", "changes", "error", "why"),
    [
        ("gguf:q8_0", {"version": "nope"}, NotFound, "no model 'nope'"),
        ("gguf:q8_0", {"to": []}, Invalid, "Between one and 32"),
        ("distil:1,dataset=nope", {}, NotFound, "nope"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    home: Home, actor: Actor, suite: Suite, to: str, changes: dict[str, Any], error: type, why: str
) -> None:
    with pytest.raises(error, match=why):
        service.start(home, actor, replace(request(to), **changes))
    with home.read() as uow:
        assert service.list_optimisations(uow, actor) == []


def test_what_was_made_cannot_be_the_parent(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    service.execute(home, actor, request("gguf:q8_0"))
    with pytest.raises(Invalid, match="is of kind gguf"):
        service.start(home, actor, replace(request("gguf:q4_0"), version="triage-gguf@1"))


def test_an_unknown_metric_fails_before_variants_are_made(
    home: Home, actor: Actor, suite: Suite, children: Children
) -> None:
    with pytest.raises(Invalid, match="gives no metric 'bleu'"):
        service.execute(home, actor, request("gguf:q8_0", suite=suite, choose=Choice(metric="bleu")))
    assert ("exporters", "gguf") not in children.asked
    with home.read() as uow:
        (found,) = service.list_optimisations(uow, actor, version="triage@1")
    assert found.state == "failed"
