"""The mean loss per token of given answers under a model, printed as a JSON list.

Run as: python -m tests.training.losses FOLDER PAIRS.json
"""

import json
import sys
from pathlib import Path


def _losses(folder: str, pairs: list[list[str]]) -> list[float]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from penstock.training.trainers import rendering

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    found = []
    with torch.no_grad():
        for question, answer in pairs:
            encoded = rendering.answered(tokenizer, [{"role": "user", "content": question}], answer)
            given = torch.tensor([encoded[0]])
            found.append(float(model(input_ids=given, labels=torch.tensor([rendering.labels(encoded)])).loss))
    return found


if __name__ == "__main__":
    print(json.dumps(_losses(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))))
