"""A folder exported for a hub loads with the library's own `from_pretrained`, and says what the model said."""

import json
from pathlib import Path

import pytest

from penstock.core.home import Home
from penstock.registry import exporting, service
from tests.conftest import owner_of
from tests.fakes import tiny_model, trained

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore:.*is_gradient_checkpointing:FutureWarning"
    ),
]


def _answers(folder: Path) -> list[list[int]]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    return [
        model.generate(**tokenizer(prompt, return_tensors="pt"), max_new_tokens=12, do_sample=False)[
            0
        ].tolist()
        for prompt in tiny_model.PROMPTS[:6]
    ]


def test_an_exported_model_loads_from_pretrained(sqlite_home: Home, tmp_path: Path) -> None:
    actor, source = owner_of(sqlite_home), trained.hf_folder("qwen3")
    service.register(sqlite_home, actor, name="triage", folder=source, kind="base")
    out = exporting.write_folder(sqlite_home, actor, ref="triage@1", to=tmp_path / "out")
    assert (out / "README.md").read_text().startswith("---\n")
    assert _answers(out) == _answers(source)


def test_an_exported_adapter_loads_onto_its_exported_base(sqlite_home: Home, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    actor, source, made = owner_of(sqlite_home), trained.hf_folder("qwen3"), tmp_path / "adapter"
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(source), config)
    tuned.save_pretrained(made)
    (made / "README.md").unlink(missing_ok=True)
    service.register(sqlite_home, actor, name="small", folder=source, kind="base")
    service.register(sqlite_home, actor, name="triage", folder=made, kind="adapter", base="small@1")
    base = exporting.write_folder(sqlite_home, actor, ref="small@1", to=tmp_path / "base")
    adapter = exporting.write_folder(sqlite_home, actor, ref="triage@1", to=tmp_path / "out")
    assert json.loads((adapter / "adapter_config.json").read_text())["peft_type"] == "LORA"
    ids = torch.arange(20).reshape(2, 10)
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(ids).logits, tuned.eval()(ids).logits)
