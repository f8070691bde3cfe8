"""Every method on a model of a few thousand parameters: what it learns from, and what it leaves behind."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.training import many, tiny

pytestmark = pytest.mark.heavy

Found = dict[str, Any]


def _messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


ANSWERED = [{"messages": _messages(f"give {w} {n}"), "completion": w} for n in range(8) for w in tiny.WORDS]
PAIRS = [
    {"messages": row["messages"], "chosen": row["completion"], "rejected": "no"} for row in ANSWERED[:16]
]
JUDGED = [
    {"messages": row["messages"], "completion": text, "good": text != "no"}
    for row in ANSWERED[:8]
    for text in (row["completion"], "no")
]
PROMPTS = [
    {"messages": row["messages"], "references": [row["completion"]], "row": {}} for row in ANSWERED[:8]
]
TALK = [
    {
        "messages": [*_messages("one"), {"role": "assistant", "content": "tea"}, *_messages("two")],
        "completion": "milk",
    }
] * 8
TEXTS = [{"text": "The tea is hot. " * 8}, {"text": "Milk is white."}]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def found(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Results of one run of each method."""
    folder = tmp_path_factory.mktemp("many")

    def job(name: str, rows: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
        return many.spec(folder / name, base, rows, **changes)

    quick = {"learning_rate": 0.01, "adapter.rank": 4, "epochs": 2}
    sampling = {"generations": 4, "max_tokens": 6}
    scorer = [{"scorer": "contains", "options": {"texts": ["e"]}}]
    teacher = {"teacher": {"model": "t@1", "share": 0.5, "temperature": 2.0}}
    jobs = {
        "sft": job("sft", ANSWERED, method="sft", **quick),
        "full": job("full", ANSWERED, method="sft", **{**quick, "adapter.rank": 0}),
        "packed": job("packed", ANSWERED, method="sft", packing=True, **{**quick, "batch_size": 1}),
        "chat": job("chat", TALK, method="sft", loss_on="answers", **quick),
        "pretrain": job(
            "pretrain", TEXTS, method="pretrain", **{**quick, "max_length": 32, "adapter.rank": 0}
        ),
        "kto": job("kto", JUDGED, method="kto", **quick),
        "reward": job("reward", PAIRS, method="reward", **quick),
        "whole-reward": job("whole-reward", PAIRS, method="reward", **{**quick, "adapter.rank": 0}),
        "grpo": job("grpo", PROMPTS, method="grpo", rewards=scorer, sampling=sampling, **quick),
        "rloo": job("rloo", PROMPTS, method="rloo", rewards=[{"model": "r@1"}], sampling=sampling, **quick),
        "distil": job("distil", ANSWERED, method="distil", **teacher, **quick),
        "traces": job("traces", ANSWERED, method="distil", **quick),
        "on-policy": job(
            "on-policy",
            ANSWERED[:8],
            method="distil",
            teacher={"model": "t@1", "on_policy": True},
            sampling=sampling,
            **quick,
        ),
        "passed": job(
            "passed", ANSWERED, method="sft", arguments={"max_steps": 2, "neftune_noise_alpha": 1.0}
        ),
        "unknown": job("unknown", ANSWERED, method="sft", arguments={"max_step": 2}),
        "managed": job("managed", ANSWERED, method="sft", arguments={"push_to_hub": True}),
        "unfit": job("unfit", ANSWERED, method="sft", arguments={"lr_scheduler_type": "never"}),
        "not-a-reward": job(
            "not-a-reward", PROMPTS, method="rloo", rewards=[{"model": "r@1"}], sampling=sampling
        ),
        "long": job("long", PROMPTS, method="grpo", rewards=scorer, sampling={"max_tokens": 120}),
        "preview": {
            **job("preview", [*TALK[:1], *ANSWERED], method="sft", loss_on="answers"),
            "plugin": "preview",
        },
    }
    jobs["kto-again"] = job("kto-again", JUDGED, method="kto", **quick) | {
        "adapter_folder": str(folder / "sft" / "model")
    }
    jobs["rloo"]["reward_folders"] = [str(folder / "reward" / "model")]
    jobs["not-a-reward"]["reward_folders"] = [str(base)]
    for name in ("distil", "on-policy"):
        jobs[name]["teacher_folder"] = str(folder / "full" / "model")
    return many.run(jobs, folder)


def _losses(found: Found, name: str) -> list[float]:
    assert "result" in found[name], found[name]
    return [report["loss"] for report in found[name]["reports"] if report.get("stage") == "train"]


def _files(found: Found, name: str) -> set[str]:
    return {path.name for path in Path(found[name]["result"]["folder"]).iterdir()}


@pytest.mark.parametrize("name", ["sft", "full", "packed", "chat", "pretrain", "kto", "distil", "traces"])
def test_the_loss_falls(found: Found, name: str) -> None:
    losses = _losses(found, name)
    assert len(losses) >= 2
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sft", "adapter"), ("kto", "adapter"), ("grpo", "adapter"), ("full", "base"), ("pretrain", "base")],
)
def test_the_result_is_an_adapter_or_a_whole_model(found: Found, name: str, kind: str) -> None:
    assert found[name]["result"]["kind"] == kind
    weights = "adapter_model.safetensors" if kind == "adapter" else "model.safetensors"
    assert weights in _files(found, name)
    assert ("tokenizer.json" in _files(found, name)) is (kind == "base")


def test_packing_makes_few_sequences_of_many_rows(found: Found) -> None:
    sequences = sum(len(json.dumps(row["completion"])) + 40 for row in ANSWERED) / 128
    assert found["packed"]["result"]["steps"] < 2 * len(ANSWERED)
    assert found["packed"]["result"]["steps"] > sequences / 2
    assert found["packed"]["result"]["rows"] == len(ANSWERED)


def test_an_adapter_is_trained_further_without_its_frozen_copy(found: Found) -> None:
    assert found["kto-again"]["result"]["kind"] == "adapter"
    assert _files(found, "kto-again") == {"adapter_config.json", "adapter_model.safetensors"}


@pytest.mark.parametrize("name", ["reward", "whole-reward"])
def test_a_reward_model_is_whole_and_has_one_output(found: Found, name: str) -> None:
    result = found[name]["result"]
    config = json.loads((Path(result["folder"]) / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForSequenceClassification"]
    assert len(config.get("id2label", {0: ""})) == 1
    assert {"model.safetensors", "tokenizer.json"} <= _files(found, name)
    assert result["kind"] == "base"
    assert result["metrics"]["accuracy"] > 0.5
    assert "intended_use" in result["card"]


@pytest.mark.parametrize("name", ["grpo", "rloo", "on-policy"])
def test_answers_of_its_own_are_learnt_from(found: Found, name: str) -> None:
    reports = [report for report in found[name]["reports"] if report.get("stage") == "train"]
    assert reports
    assert all(report["tokens_per_second"] > 0 for report in reports)
    if name == "grpo":
        assert {"reward", "rewards_contains_mean"} <= reports[-1].keys()


def test_arguments_of_the_library_are_passed_through(found: Found) -> None:
    assert found["passed"]["result"]["steps"] == 2
    assert "SFTConfig has no argument 'max_step'" in found["unknown"]["error"]
    assert "'max_steps'" in found["unknown"]["hint"]
    assert "arguments.push_to_hub cannot be passed through" in found["managed"]["error"]
    assert "do not fit together" in found["unfit"]["error"]


def test_what_cannot_reward_is_refused(found: Found) -> None:
    assert "Qwen3ForCausalLM is not a reward model" in found["not-a-reward"]["error"]
    assert "max_length" in found["long"]["error"]


def test_the_preview_shows_every_learnt_answer(found: Found) -> None:
    first, second, _third = found["preview"]["result"]["examples"]
    learnt = [part["text"] for part in first["segments"] if part["trained"]]
    assert learnt == ["tea<|im_end|>\n", "milk<|im_end|>\n"]
    assert first["text"].startswith("<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\ntea")
    assert first["trained_tokens"] == len("tea\n") + len("milk\n") + 2
    assert (second["row"], second["name"]) == (2, "answer")


def test_what_is_shown_is_what_is_trained(found: Found) -> None:
    (shown,) = [report["examples"] for report in found["chat"]["reports"] if "examples" in report]
    assert shown[0]["trained"] == "tea<|im_end|>\nmilk<|im_end|>\n"


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs the qlora extra")
def test_quantised_weights_carry_an_adapter(base: Path, tmp_path: Path) -> None:
    changes = {"adapter.quantise": "4bit", "adapter.rank": 4, "learning_rate": 0.01}
    job = many.spec(tmp_path / "q", base, ANSWERED, method="sft", **changes)
    made = many.run({"qlora": job}, tmp_path, python=sys.executable)
    losses = _losses(made, "qlora")
    assert losses[-1] < losses[0]
    assert made["qlora"]["result"]["kind"] == "adapter"
