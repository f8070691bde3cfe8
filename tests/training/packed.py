"""How far the logits of packed rows lie from those of each row alone, as the sft trainer would feed them.

Run as: python -m tests.training.packed SPEC.json
Prints `{"rows": rows, "sequences": packed sequences, "apart": largest difference, "joined": the same, were positions
not to start anew}` as JSON: the last shows that neighbours that are seen do make a difference.
"""

import json
import sys
from pathlib import Path
from typing import Any


def _pieces(positions: list[int]) -> list[slice]:
    starts = [place for place, position in enumerate(positions) if position == 0]
    ends = [*starts[1:], len(positions)]
    return [slice(start, end) for start, end in zip(starts, ends, strict=True)]


def _main(spec: dict[str, Any]) -> dict[str, Any]:
    import torch
    from trl import SFTConfig, SFTTrainer

    from penstock.training.trainers import loading, runtime, sft

    runtime.prepare(spec)
    model, tokenizer, _ = loading.policy(spec)
    encoded = sft.encode(spec, tokenizer)
    trainer = SFTTrainer(
        model=model,
        args=sft.configuration(SFTConfig, spec),
        train_dataset=sft.dataset(encoded),
        processing_class=tokenizer,
    )
    trainer.model.eval()
    alone: dict[tuple[int, ...], Any] = {}
    rows, apart, joined = 0, 0.0, 0.0
    with torch.no_grad():
        for ids, _ in encoded:
            alone[tuple(ids)] = trainer.model(input_ids=torch.tensor([ids])).logits[0]
        for batch in trainer.get_train_dataloader():
            given = {name: value for name, value in batch.items() if name != "labels"}
            packed = trainer.model(**given).logits[0]
            whole = torch.arange(given["input_ids"].shape[1])[None]
            seen = trainer.model(**{**given, "position_ids": whole}).logits[0]
            for piece in _pieces(given["position_ids"][0].tolist()):
                row = alone[tuple(given["input_ids"][0, piece].tolist())]
                apart = max(apart, float((packed[piece] - row).abs().max()))
                joined = max(joined, float((seen[piece] - row).abs().max()))
                rows += 1
    return {"rows": rows, "sequences": len(trainer.train_dataset), "apart": apart, "joined": joined}


if __name__ == "__main__":
    print(json.dumps(_main(json.loads(Path(sys.argv[1]).read_text()))))
