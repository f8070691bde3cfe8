"""One model in every format and quantisation: size, start, memory, first token, speed and answers, in one run.

    python -m benchmarks.engines FOLDER [--tokens 64] [--repeats 3] [--threads 1] [--rounds 2]
    python -m benchmarks.engines --random 512x8 [--only "transformers,onnx fp32,gguf f32"]

FOLDER is a Hugging Face folder; `--random WIDTHxLAYERS` makes one that has learnt a few conversations by heart, so that
its choices are clear and not decided by rounding. Each variant is timed in a process of its own, all of them in turn,
`--rounds` times; the best round of each counts, because a busy machine only ever slows.

Then each variant answers the same prompts greedily, and `same` says how many answers are those of Transformers, letter
by letter. Must: all of them wherever nothing is quantised (the exit code is 1 otherwise).
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.optimise.recital import TALKS, conversation

from penstock.core import clock
from penstock.core.children import run_child
from penstock.core.errors import PenstockError
from penstock.optimise.engines.drive import PROMPTS

VARIANTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("transformers", "", {}),
    ("onnx", "onnx", {"precision": "fp32"}),
    ("onnx", "onnx", {"precision": "int8"}),
    ("onnx", "onnx", {"precision": "int4"}),
    ("gguf", "gguf", {"quantization": "f32"}),
    ("gguf", "gguf", {"quantization": "f16"}),
    ("gguf", "gguf", {"quantization": "q8_0"}),
    ("gguf", "gguf", {"quantization": "q4_0"}),
    ("ctranslate2", "ctranslate2", {"quantization": "float32"}),
    ("ctranslate2", "ctranslate2", {"quantization": "int8"}),
)
"""Runner (and target of evaluations), exporter, options."""
EXACT = ("transformers", "onnx fp32", "gguf f32", "ctranslate2 float32")
"""Variants that keep every number, so that their answers must be those of Transformers."""
ASKED = (*(prompt for prompt, _ in TALKS), *PROMPTS)
ANSWER_TOKENS = 24
_STEPS, _RATE = 60, 1e-3


def random_model(folder: Path, shape: str) -> Path:
    """Save a Qwen3 model that answers TALKS, and a small tokenizer; `shape` is WIDTHxLAYERS."""
    import torch
    from tests.fakes import tiny_model
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    width, depth = (int(part) for part in shape.split("x"))
    torch.manual_seed(0)
    tiny_model.save_tokenizer(folder)
    config = Qwen3Config(
        vocab_size=8192,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=depth,
        num_attention_heads=max(1, width // 64),
        num_key_value_heads=max(1, width // 128),
        head_dim=64,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = Qwen3ForCausalLM(config)
    learn(model, AutoTokenizer.from_pretrained(folder))
    model.save_pretrained(folder)
    return folder


def learn(model: Any, tokenizer: Any) -> None:
    """Train every weight on TALKS until they are known by heart."""
    import torch

    texts = [conversation(prompt, answer) for prompt, answer in TALKS]
    batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    given = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    labels = given["input_ids"].masked_fill(given["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
    for _ in range(_STEPS):
        model(**given, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def made(source: Path, work: Path, only: tuple[str, ...] = ()) -> list[tuple[str, str, Path]]:
    """Export every variant (or `only` those); returns name, runner and folder of those that could be made."""
    found = []
    for runner, exporter, options in VARIANTS:
        name = " ".join([runner, *options.values()])
        if only and name not in only:
            continue
        folder = source
        if exporter:
            folder = work / name.replace(" ", "-")
            spec = {"source": str(source), "output": str(folder), "name": "model", **options}
            try:
                run_child("exporters", exporter, spec, workdir=work / f"make-{folder.name}")
            except PenstockError as error:
                print(f"{name}: {error.message}")
                continue
        found.append((name, runner, folder))
    return found


def timed(runner: str, folder: Path, work: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one variant."""
    spec = {
        "folder": str(folder),
        "threads": given.threads,
        "tokens": given.tokens,
        "repeats": given.repeats,
        "asked_at": clock.monotonic(),
    }
    environment = {"OMP_NUM_THREADS": str(given.threads), "HF_HUB_OFFLINE": "1"}
    return run_child("runners", runner, spec, workdir=work, nice=0, environment=environment)


def answers(runner: str, folder: Path, work: Path, threads: int = 1) -> dict[str, str]:
    """Return what a variant answers to each of ASKED, greedily."""
    work.mkdir(parents=True)
    samples = work / "samples.jsonl"
    lines = [
        {"id": str(place), "messages": [{"role": "user", "content": prompt}]}
        for place, prompt in enumerate(ASKED)
    ]
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found: dict[str, str] = {}

    def take(report: dict[str, Any]) -> None:
        for output in report.get("outputs", ()):
            if "text" not in output:
                raise SystemExit(f"{runner} did not answer: {output.get('error')}")
            found[ASKED[int(output["sample_id"])]] = output["text"]

    spec = {"samples": str(samples), "folder": str(folder), "max_tokens": ANSWER_TOKENS, "threads": threads}
    environment = {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    run_child("targets", runner, spec, workdir=work, on_progress=take, nice=0, environment=environment)
    return found


def everybodys(
    variants: list[tuple[str, str, Path]], work: Path, threads: int = 1
) -> dict[str, dict[str, str]]:
    """Return what each variant answers, by its name."""
    return {
        label: answers(runner, folder, work / f"ask-{number}", threads)
        for number, (label, runner, folder) in enumerate(variants)
    }


def agreement(said: dict[str, dict[str, str]]) -> dict[str, int]:
    """Return how many of ASKED each variant answers as the first one does."""
    first = next(iter(said.values()))
    return {label: sum(one[prompt] == first[prompt] for prompt in ASKED) for label, one in said.items()}


def main() -> int:
    """Export, time in turn, ask, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--random", default="512x8")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="names of variants, with commas; transformers comes first")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-engines-") as name:
        work = Path(name)
        source = given.folder or random_model(work / "source", given.random)
        only = tuple(filter(None, given.only.split(",")))
        variants = made(source.resolve(), work, only and ("transformers", *only))
        same = agreement(everybodys(variants, work, given.threads))
        best: dict[str, dict[str, Any]] = {}
        for turn in range(given.rounds):
            for label, runner, folder in variants:
                figures = timed(runner, folder, work / f"time-{turn}-{folder.name}", given)
                size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                if label not in best or figures["tokens_per_s"] > best[label]["tokens_per_s"]:
                    best[label] = {**figures, "size_bytes": size}
        head = ("MB", "start s", "load s", "memory MB", "first ms", "tok/s", "same")
        print(f"{'variant':22}" + "".join(f"{title:>11}" for title in head))
        for label, row in best.items():
            print(
                f"{label:22}{row['size_bytes'] / 1e6:11.2f}{row['start_s']:11.2f}{row['load_s']:11.3f}"
                f"{row['memory_bytes'] / 1e6:11.0f}{row['first_token_s'] * 1e3:11.2f}{row['tokens_per_s']:11.0f}"
                f"{f'{same[label]}/{len(ASKED)}':>11}"
            )
    return int(any(same[label] < len(ASKED) for label in EXACT if label in same))


if __name__ == "__main__":
    sys.exit(main())
