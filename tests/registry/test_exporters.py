"""Exports of a real, tiny, trained model; llama.cpp is asked whether it says the same as Hugging Face."""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ChildFailed, Invalid
from penstock.core.home import Home
from penstock.registry import service
from penstock.registry.export import export
from penstock.registry.exporters import bpe, gguf, merge
from penstock.registry.weights import read_tensors
from penstock.serving.engines.llamacpp import LlamaCppEngine
from penstock.serving.ports import Launch
from tests.fakes import tiny_model, trained

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore:.*is_gradient_checkpointing:FutureWarning"
    ),
]


def post(url: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    engine, running = LlamaCppEngine(), []

    def start(folder: Path) -> str:
        options = engine.check({"cache": "f32", "context": 256, "slots": 1})
        launch = Launch(
            name="tiny", options=options, log=tmp_path / "log", timeout=60, cancelled=lambda: False
        )
        process = engine.start(folder, launch)
        running.append(process)
        return process.url

    yield start
    for process in running:
        process.stop()


@pytest.mark.parametrize("architecture", ["qwen3", "llama"])
def test_llama_cpp_answers_exactly_as_hugging_face(architecture: str, serve: Any) -> None:
    from transformers import AutoTokenizer

    folder = trained.hf_folder(architecture)
    url = serve(trained.gguf_folder(architecture, "f32"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    odd = ["1234 567", "naïve — ça va?", "a  b\t\tc\n\n d", "🙂 x", "don't WE'LL", "", "<|user|>\nhi"]
    for text in tiny_model.PROMPTS + odd:
        theirs = post(url, "/tokenize", {"content": text, "parse_special": True})["tokens"]
        assert theirs == tokenizer(text, add_special_tokens=False)["input_ids"], text
    wanted = tiny_model.greedy(folder, tiny_model.PROMPTS)
    assert len(set(wanted)) > 20, "the comparison means something"
    for prompt, answer in zip(tiny_model.PROMPTS, wanted, strict=True):
        said = post(url, "/v1/completions", {"prompt": prompt, "max_tokens": 24, "temperature": 0})
        assert said["choices"][0]["text"] == answer, prompt


def test_chat_template_and_special_tokens_travel_along(serve: Any) -> None:
    url = serve(trained.gguf_folder("qwen3", "f16"))
    messages = [{"role": "user", "content": "My invoice"}]
    applied = post(url, "/apply-template", {"messages": messages})["prompt"]
    assert applied == "<|user|>\nMy invoice\n<|end|>\n<|assistant|>\n"
    whole = post(
        url, "/v1/completions", {"prompt": tiny_model.CORPUS[0][:-7], "max_tokens": 24, "temperature": 0}
    )
    choice = whole["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (" 90210.", "stop")


@pytest.mark.parametrize(("quantization", "at_least"), [("f16", 34), ("q8_0", 28)])
def test_smaller_files_still_say_the_same_mostly(quantization: str, at_least: int, serve: Any) -> None:
    folder = trained.gguf_folder("qwen3", quantization)
    sizes = {
        q: next(trained.gguf_folder("qwen3", q).glob("*.gguf")).stat().st_size for q in (quantization, "f32")
    }
    assert sizes[quantization] < 0.6 * sizes["f32"]
    url = serve(folder)
    wanted = tiny_model.greedy(trained.hf_folder("qwen3"), tiny_model.PROMPTS)
    said = [
        post(url, "/v1/completions", {"prompt": prompt, "max_tokens": 24, "temperature": 0})["choices"][0][
            "text"
        ]
        for prompt in tiny_model.PROMPTS
    ]
    assert sum(a == b for a, b in zip(said, wanted, strict=True)) >= at_least


@pytest.mark.parametrize(("quantization", "smaller"), [("q6_k", 0.24), ("q4_k_m", 0.23)])
def test_llama_cpp_answers_from_k_quants(
    quantization: str, smaller: float, serve: Any, tmp_path: Path
) -> None:
    folder = trained.wide_folder()
    spec = {"source": str(folder), "output": str(tmp_path), "quantization": quantization, "threads": 2}
    made = gguf.run(spec, lambda report: None)
    whole = (folder / "model.safetensors").stat().st_size
    assert made["bytes"] < smaller * whole
    url = serve(tmp_path)
    wanted = tiny_model.greedy(folder, tiny_model.PROMPTS)
    assert len(set(wanted)) > 20, "the comparison means something"
    said = [
        post(url, "/v1/completions", {"prompt": prompt, "max_tokens": 24, "temperature": 0})["choices"][0][
            "text"
        ]
        for prompt in tiny_model.PROMPTS
    ]
    assert sum(a == b for a, b in zip(said, wanted, strict=True)) >= 0.8 * len(wanted)


def test_reading_weights_equals_safetensors_own_reader(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    torch.manual_seed(0)
    tensors = {"a": torch.randn(3, 5), "b": torch.randn(7).bfloat16(), "c": torch.randn(2, 2).half()}
    save_file(tensors, tmp_path / "model.safetensors")
    found = dict(read_tensors(tmp_path))
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        assert (torch.from_numpy(found[name].astype("float32")) == tensor.float()).all()


def lora(base: Path, folder: Path) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base)
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    tuned.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    return folder


def test_merging_equals_base_with_adapter(tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base, adapter = trained.hf_folder("qwen3"), lora(trained.hf_folder("qwen3"), tmp_path / "adapter")
    result = merge.run(
        {"base": str(base), "adapter": str(adapter), "output": str(tmp_path / "merged")}, lambda report: None
    )
    assert result["merged"] == 14
    ids = torch.arange(20).reshape(2, 10)
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")(ids).logits
    parts = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)(ids).logits
    plain = AutoModelForCausalLM.from_pretrained(base)(ids).logits
    assert torch.allclose(whole, parts, atol=1e-3)
    assert not torch.allclose(whole, plain, atol=1e-1)
    assert (tmp_path / "merged" / "tokenizer.json").exists()
    assert (tmp_path / "merged" / "chat_template.jinja").exists()


def test_export_registers_with_lineage_and_finds_its_own_work_again(
    sqlite_home: Home, tmp_path: Path
) -> None:
    from tests.conftest import owner_of

    home, actor = sqlite_home, owner_of(sqlite_home)
    service.register(home, actor, name="small", folder=trained.hf_folder("qwen3"), kind="base")
    adapter = lora(trained.hf_folder("qwen3"), tmp_path / "adapter")
    service.register(home, actor, name="triage", folder=adapter, kind="adapter", base="small")
    made = export(home, actor, ref="triage@1", format="gguf", quantization="q8_0")
    assert (made.ref, str(made.kind), made.base) == ("triage-gguf@1", "gguf", "small@1")
    assert [entry.path for entry in made.files] == ["triage-q8_0.gguf"]
    assert export(home, actor, ref="triage@1", format="gguf", quantization="q8_0") == made
    with home.read() as uow:
        up = {edge.parent_ref for edge in service.lineage(uow, actor, ref=made.ref)}
    assert up == {"triage@1", "small@1"}
    assert not list(home.folder("work", "exports").iterdir())
    with pytest.raises(Invalid, match="cannot be exported"):
        export(home, actor, ref="triage-gguf@1", format="gguf")
    with pytest.raises(Invalid, match="not an export format"):
        export(home, actor, ref="triage@1", format="onnx")


def change(folder: Path, to: Path, name: str, **values: Any) -> Path:
    shutil.copytree(folder, to)
    content = json.loads((to / name).read_text())
    (to / name).write_text(json.dumps({**content, **values}))
    return to


@pytest.mark.parametrize(
    ("file", "values", "why"),
    [
        ("config.json", {"architectures": ["MambaForCausalLM"]}, "MambaForCausalLM cannot be exported"),
        ("config.json", {"attention_bias": True}, "attention_bias cannot"),
        ("config.json", {"rope_parameters": {"rope_type": "yarn"}}, "RoPE scaling 'yarn'"),
        ("config.json", {"vocab_size": 100}, "only 100 embedding rows"),
        ("tokenizer.json", {"pre_tokenizer": {"type": "Whitespace"}}, "no pre-tokenizer that splits"),
        ("tokenizer.json", {"model": {"type": "Unigram"}}, "Only byte-level BPE"),
    ],
)
def test_what_cannot_be_converted_faithfully_is_refused(
    tmp_path: Path, file: str, values: dict[str, Any], why: str
) -> None:
    folder = change(trained.hf_folder("qwen3"), tmp_path / "m", file, **values)
    with pytest.raises(Invalid, match=why):
        gguf.run({"source": str(folder), "output": str(tmp_path / "out"), "name": "x"}, lambda report: None)
    assert not list(tmp_path.glob("out/*.gguf"))


def test_missing_folders_and_parts_are_named(tmp_path: Path) -> None:
    for run, spec, why in (
        (gguf.run, {"source": str(tmp_path / "no"), "output": "x"}, "no config.json"),
        (gguf.run, {"source": "x", "output": "x", "quantization": "q3"}, "Unknown quantization 'q3'"),
        (merge.run, {"base": str(tmp_path), "adapter": "x", "output": "x"}, "no config.json"),
    ):
        with pytest.raises(Invalid, match=why):
            run(spec, lambda report: None)
    no_tokenizer = tmp_path / "m"
    shutil.copytree(trained.hf_folder("qwen3"), no_tokenizer)
    (no_tokenizer / "tokenizer.json").unlink()
    with pytest.raises(Invalid, match=r"no tokenizer\.json"):
        bpe.read_vocabulary(no_tokenizer, 416)


def test_a_broken_export_child_says_why(sqlite_home: Home, tmp_path: Path) -> None:
    from tests.conftest import owner_of

    home, actor = sqlite_home, owner_of(sqlite_home)
    folder = change(trained.hf_folder("qwen3"), tmp_path / "m", "config.json", architectures=["Other"])
    service.register(home, actor, name="other", folder=folder, kind="base")
    with pytest.raises((Invalid, ChildFailed), match="Other cannot be exported to GGUF"):
        export(home, actor, ref="other@1")
