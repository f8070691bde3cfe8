"""A linear probe: how much of each field's value can be read off the model's state just before the value.

Ridge regression on one-hot targets from the last layer's hidden state, fitted on two thirds of the rows and scored on
the rest (the linear classifier probes of https://arxiv.org/abs/1610.01644). It asks what a short fine-tune could use.
"""

from typing import Any

import torch

_RIDGE = 3.0
_BATCH = 100


class Probe:
    """Rows `{messages, completion}` whose completions are the same `key: value` lines in every row."""

    def __init__(self, tokenizer: Any, rows: list[dict[str, Any]]) -> None:
        self.fitted = len(rows) * 2 // 3
        self._tokens: list[list[int]] = []
        self._spots: list[list[int]] = []
        self._targets: dict[str, list[str]] = {}
        for row in rows:
            self._add(tokenizer, row)

    def _add(self, tokenizer: Any, row: dict[str, Any]) -> None:
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False, add_generation_prompt=True)
        spots, tokens = [], []
        for line in row["completion"].splitlines():
            key, _, value = line.partition(": ")
            text += f"{key}:"
            tokens = tokenizer(text)["input_ids"]
            spots.append(len(tokens) - 1)
            text += f" {value}\n"
            self._targets.setdefault(key, []).append(value)
        self._tokens.append(tokens)
        self._spots.append(spots)

    def scores(self, model: Any) -> dict[str, float]:
        """Return field → accuracy (0 to 1) on the rows that were not fitted on."""
        with torch.no_grad():
            states = self._states(model)
        return {
            key: round(self._score(states[:, place], values), 4)
            for place, (key, values) in enumerate(self._targets.items())
        }

    def _states(self, model: Any) -> torch.Tensor:
        """Return hidden states, shape (rows, fields, hidden size)."""
        found: list[Any] = [None] * len(self._tokens)
        order = sorted(range(len(found)), key=lambda i: len(self._tokens[i]))
        model.eval()
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            tokens = torch.zeros(len(chosen), len(self._tokens[chosen[-1]]), dtype=torch.long)
            for line, i in enumerate(chosen):
                tokens[line, : len(self._tokens[i])] = torch.tensor(self._tokens[i])
            hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
            for line, i in enumerate(chosen):
                found[i] = hidden[line, self._spots[i]]
        model.train()
        return torch.stack(found)

    def _score(self, states: torch.Tensor, values: list[str]) -> float:
        names = sorted(set(values))
        target = torch.tensor([names.index(value) for value in values])
        n = self.fitted
        scaled = (states - states[:n].mean(0)) / (states[:n].std(0) + 1e-5)
        inputs = torch.cat([scaled, torch.ones(len(scaled), 1)], dim=1).double()
        wanted = torch.nn.functional.one_hot(target, len(names)).double()
        gram = inputs[:n].T @ inputs[:n] + _RIDGE * torch.eye(inputs.size(1)).double()
        weights = torch.linalg.solve(gram, inputs[:n].T @ wanted[:n])
        right = (inputs[n:] @ weights).argmax(1) == target[n:]
        return float(right.double().mean())
