"""The tables inside a recipe; a method reads the ones it needs and ignores the rest."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

DPO_LOSSES = ("sigmoid", "hinge", "ipo", "robust", "sft")
QUANTISED = ("", "4bit", "8bit")
LOSS_ON = ("completion", "answers", "all")
REPLAYING = ("dpo", "kto")
"""Methods that can train accepted answers along."""
ONLINE = ("grpo", "rloo")
"""Methods that let the model answer and learn from what the answers are worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the dataset's columns; `messages` rows need none of them."""

    prompt: str = "prompt"
    """Text (one user turn) or a list of messages."""
    completion: str = "completion"
    """The wanted answer (sft, distil), the judged one (kto), or the right one for scorers (grpo, rloo)."""
    chosen: str = "chosen"
    """The better answer (dpo, reward)."""
    rejected: str = "rejected"
    """The worse answer (dpo, reward)."""
    label: str = "label"
    """Whether the answer was good (kto): true or false, 1 or 0, 1 or -1, up or down, good or bad."""
    text: str = "text"
    """Running text (pretrain)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """Low-rank adapters (LoRA); ignored when the start is an adapter already, which is then trained further."""

    rank: int = 16
    """Rank of the update matrices; 0 trains every weight instead."""
    alpha: int = 32
    """Scale numerator: updates are multiplied by alpha / rank."""
    dropout: float = 0.0
    """Dropout on the adapter's input, 0 to 1."""
    targets: str | list[str] = "all-linear"
    """Names of the modules to adapt."""
    quantise: str = ""
    """4bit or 8bit loads the frozen weights quantised by bitsandbytes (QLoRA); empty loads them whole."""

    def __post_init__(self) -> None:
        """Check ranges; raises Invalid."""
        _known(self.quantise, QUANTISED, "a quantisation (adapter.quantise)")
        if self.rank < 0 or not 0 <= self.dropout < 1:
            raise Invalid(
                "adapter.rank must not be below 0, and adapter.dropout must be at least 0 and below 1."
            )
        if self.quantise and not self.rank:
            raise Invalid("Quantised weights cannot be trained themselves.", hint="Set adapter.rank above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """What only `dpo` and `kto` use."""

    beta: float = 0.1
    """Strength of the pull towards the starting policy."""
    losses: list[str] = field(default_factory=lambda: ["sigmoid"])
    """Loss terms of TRL for dpo: sigmoid, hinge, ipo, robust, sft (cross-entropy on the chosen answer)."""
    weights: list[float] | None = None
    """One weight per loss term; None means 1 each."""
    good_weight: float = 1.0
    """Weight of good answers (kto); raise it when bad ones are many more."""
    bad_weight: float = 1.0
    """Weight of bad answers (kto)."""

    def __post_init__(self) -> None:
        """Check names and counts; raises Invalid."""
        for loss in self.losses:
            _known(loss, DPO_LOSSES, "a preference loss")
        if not self.losses:
            raise Invalid("preference.losses is empty.", hint=f"Choose from {', '.join(DPO_LOSSES)}.")
        if self.weights is not None and len(self.weights) != len(self.losses):
            raise Invalid("preference.weights needs one weight for each of preference.losses.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Accepted answers trained along with corrections, so that what was right stays right (dpo, kto)."""

    dataset: str = ""
    """Dataset reference of accepted answers (prompt, completion); empty means no replay."""
    split: str = ""
    """Split of that dataset; empty means all of it."""
    limit: int = 0
    """At most this many accepted answers, chosen by the seed; 0 means all."""
    copies: int = 1
    """Pairs made from each accepted answer, each with another invented wrong answer (dpo)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """One term of the reward of `grpo` and `rloo`: a scorer of evaluations, or a trained reward model."""

    scorer: str = ""
    """Name of a scorer, such as exact or fields; one that thinks by itself, not one that asks a judge."""
    options: dict[str, Any] = field(default_factory=dict)
    """The scorer's options."""
    metric: str = ""
    """Which of the scorer's figures counts; empty means the one called like the scorer."""
    model: str = ""
    """Reference of a model that `method: reward` made, instead of a scorer."""
    weight: float = 1.0
    """Factor in the sum; negative for what should be small."""

    def __post_init__(self) -> None:
        """Check that it is one of the two; raises Invalid."""
        if bool(self.scorer) == bool(self.model):
            raise Invalid("Each of rewards needs either a scorer or a model.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How answers are drawn from the model in training (grpo, rloo, and distil with `teacher.on_policy`)."""

    generations: int = 8
    """Answers to each prompt that are compared with each other; batch_size must be a multiple of it."""
    max_tokens: int = 64
    """Longest answer, in tokens."""
    temperature: float = 1.0
    """Above zero; a model that always answers the same learns nothing."""
    top_p: float = 1.0
    """Share of probability that is drawn from."""
    pull: float = 0.0
    """Weight of the divergence from the starting policy (KL)."""

    def __post_init__(self) -> None:
        """Check ranges; raises Invalid."""
        if self.generations < 2:
            raise Invalid("sampling.generations must be at least 2.")
        if self.max_tokens < 1 or self.temperature <= 0 or not 0 < self.top_p <= 1 or self.pull < 0:
            raise Invalid(
                "sampling needs max_tokens and temperature above 0, top_p above 0 and up to 1, pull not below 0."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """What `distil` learns from, besides the rows' answers."""

    model: str = ""
    """Reference of the model to imitate, with the same tokenizer; a base, a merged model or an adapter."""
    share: float = 0.5
    """Weight of the divergence from the teacher, 0 to 1; the rest is the rows' own answers."""
    temperature: float = 1.0
    """Softens both distributions before they are compared."""
    on_policy: bool = False
    """The student's own answers are compared instead of the rows' (https://arxiv.org/abs/2306.13649)."""

    def __post_init__(self) -> None:
        """Check ranges; raises Invalid."""
        if not 0 <= self.share <= 1 or self.temperature <= 0:
            raise Invalid("teacher.share must be between 0 and 1, and teacher.temperature above 0.")


def _known(name: str, names: Iterable[str], what: str) -> None:
    if name not in names:
        raise Invalid(f"{name!r} is not {what}.", hint=did_you_mean(name, [one for one in names if one]))
