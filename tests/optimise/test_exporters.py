"""Pruning, healing, distilling, quantising: what goes is gone, what stays still answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Invalid
from tests.fakes import tiny_model
from tests.optimise import recital

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::UserWarning",
        "ignore:.*is_gradient_checkpointing:FutureWarning",
    ),
]
HEALING = {"batch_size": 8, "learning_rate": 5e-3, "temperature": 1.0, "seed": 0, "threads": 1}
TALKS = [recital.conversation(prompt, "").removesuffix("<|end|>\n") for prompt, _ in recital.TALKS]
ANSWERS = [answer for _, answer in recital.TALKS]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    talks = [
        {
            "messages": [
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]
        }
        for row in recital.ROWS
    ]
    path.write_text("\n".join(json.dumps(talk) for talk in talks))
    return str(path)


def right(folder: Path) -> int:
    """Return how many of the eight conversations a folder's model still knows."""
    said = tiny_model.greedy(folder, TALKS)
    return sum(text.strip() == answer for text, answer in zip(said, ANSWERS, strict=True))


def prune(folder: Path, **spec: Any) -> dict[str, Any]:
    from penstock.optimise.exporters import prune as exporter

    asked = {"source": str(recital.folder()), "output": str(folder), **HEALING, **spec}
    return exporter.run(asked, lambda report: None)


@pytest.mark.parametrize(
    ("structure", "amount", "config"),
    [
        ("neurons", 0.5, {"intermediate_size": 64}),
        ("heads", 0.5, {"num_attention_heads": 2, "num_key_value_heads": 1}),
        ("layers", 0.5, {"num_hidden_layers": 1}),
    ],
)
def test_what_is_taken_out_is_gone_and_healing_brings_the_answers_back(
    tmp_path: Path, rows: str, structure: str, amount: float, config: dict[str, int]
) -> None:
    assert right(recital.folder()) == 8
    if structure == "layers":
        with pytest.raises(Invalid, match="seen on data"):
            prune(tmp_path / "blind", structure=structure, amount=amount)
    said = prune(tmp_path / "healed", structure=structure, amount=amount, rows=rows, steps=100)
    assert said["parameters"] < 0.85 * said["parameters_before"]
    assert said["last_loss"] < 0.3 * said["first_loss"]
    assert right(tmp_path / "healed") >= 7
    found = json.loads((tmp_path / "healed" / "config.json").read_text())
    assert {name: found[name] for name in config} == config
    before = (recital.folder() / "model.safetensors").stat().st_size
    assert (tmp_path / "healed" / "model.safetensors").stat().st_size < 0.85 * before


def test_small_weights_become_zero_and_stay_so(tmp_path: Path, rows: str) -> None:
    from penstock.registry.weights import read_tensors

    said = prune(tmp_path / "m", structure="magnitude", amount=0.6, rows=rows, steps=40)
    assert said["zeros"] / said["of"] == pytest.approx(0.6, abs=0.01)
    tensors = {
        name: tensor for name, tensor in read_tensors(tmp_path / "m") if "layers" in name and tensor.ndim == 2
    }
    assert sum(int((tensor == 0).sum()) for tensor in tensors.values()) == said["zeros"]
    assert right(tmp_path / "m") >= 7


def test_a_share_that_leaves_nothing_is_refused(tmp_path: Path, rows: str) -> None:
    with pytest.raises(Invalid, match=r"has 2 layers; 0\.9 of them leaves none"):
        prune(tmp_path / "m", structure="layers", amount=0.9, rows=rows)
    with pytest.raises(Invalid, match="Unknown structure 'bits'"):
        prune(tmp_path / "m", structure="bits", amount=0.5)


def test_a_student_learns_what_its_parent_says(tmp_path: Path, rows: str) -> None:
    from penstock.optimise.exporters import distil, layers

    asked = {"source": str(recital.folder()), "output": str(tmp_path / "s"), "rows": rows, **HEALING}
    said = distil.run({**asked, "layers": 1, "steps": 100}, lambda report: None)
    assert (said["kept"], right(tmp_path / "s") >= 7) == ([0], True)
    with pytest.raises(Invalid, match="no smaller than its parent"):
        distil.run({**asked, "layers": 2, "steps": 1}, lambda report: None)
    assert layers.spread(12, 4) == [0, 4, 7, 11]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, rows: str) -> None:
    for name in ("a", "b"):
        prune(tmp_path / name, structure="neurons", amount=0.3, rows=rows, steps=5)
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert first == second


def test_torchao_keeps_its_types_in_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    from penstock.optimise.exporters import torchao
    from penstock.registry import scan
    from penstock.registry.model import Kind

    spec = {"source": str(recital.folder()), "output": str(tmp_path / "q"), "threads": 1}
    torchao.run({**spec, "quantization": "int8_weight_only"}, lambda report: None)
    scan.check_folder(tmp_path / "q", Kind.MERGED)
    before = (recital.folder() / "model.safetensors").stat().st_size
    assert (tmp_path / "q" / "model.safetensors").stat().st_size < 0.5 * before
    assert right(tmp_path / "q") >= 7
    with pytest.raises(Invalid, match="Unknown quantization 'int1'"):
        torchao.run({**spec, "quantization": "int1"}, lambda report: None)
