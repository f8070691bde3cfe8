"""BERTScore against the values of the package bert-score, by a real child process."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.evals.judging_bench import MemoryBench, output, sample
from tests.fakes.tiny_encoder import save_encoder

from penstock.core.errors import ChildFailed, Invalid, PenstockError, Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.evals import service
from penstock.evals.advice import Advice
from penstock.evals.scorers.bert_score import BertScore
from penstock.evals.suite import ScorerSpec, Suite
from penstock.registry import service as registry

PAIRS = [
    ("The cat sat on the mat.", "A cat is on the mats."),
    ("refund is due", "the refund is due"),
    ("Paris", "dog dog dog dog."),
    ("the cat sat on a mat " * 30, "the dog sat on a mat"),
    ("xyz 42", "xyz 43"),
]
KNOWN = {
    2: [
        [0.8027580380439758, 0.8138681054115295, 0.8082748651504517],
        [0.9112690687179565, 0.894231915473938, 0.90267014503479],
        [0.7373611927032471, 0.7494562864303589, 0.7433595657348633],
        [0.7626702785491943, 0.8303783535957336, 0.7950854897499084],
        [0.8133629560470581, 0.8941045999526978, 0.8518247604370117],
    ],
    4: [
        [0.9026297926902771, 0.8835253715515137, 0.892975389957428],
        [0.8100418448448181, 0.8099080920219421, 0.8099749684333801],
        [0.9040123820304871, 0.9433639645576477, 0.9232690334320068],
        [0.8193838000297546, 0.8420804142951965, 0.8305770754814148],
        [0.712395191192627, 0.6868093013763428, 0.6993683576583862],
    ],
}
"""Layer → precision, recall, F1 of bert-score 0.3.13 (`bert_cos_score_idf`, without idf) on the model below."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


def evaluate(home: Home, actor: Actor, references: list[Any], **options: Any) -> Any:
    rows = [
        {"id": f"r{place}", "prompt": said, "completion": wanted}
        for place, (said, wanted) in enumerate(references)
    ]
    datasets.ingest(home, actor, name="pairs", source=rows, key="id")
    suite = Suite(
        name="near",
        dataset="pairs@latest",
        target={"kind": "callable"},
        scorers=(ScorerSpec(name="bert_score", options=options),),
        concurrency=3,
    )

    async def echo(asked: Any) -> str:
        return str(asked.messages[-1]["content"])

    return service.run(home, actor, suite=suite, target=echo)


def scores_of(home: Home, actor: Actor, run_id: str) -> list[list[float]]:
    with home.read() as uow:
        found = service.samples(uow, actor, run_id=run_id)
    names = ("bert_score_precision", "bert_score_recall", "bert_score")
    return [[one.scores[name] for name in names] for one in sorted(found, key=lambda one: one.ordinal)]


@pytest.mark.heavy
def test_figures_are_those_of_the_package_and_the_best_reference_counts(
    sqlite_home: Home, actor: Actor, folder: Path
) -> None:
    """Layer 2 of 4 is asked for: the layers above must not count. Many are asked at once, as batches."""
    registry.register(sqlite_home, actor, name="tiny-encoder", folder=folder, kind="base")
    several = [("the cat", ["", "the cat", "a dog"]), ("", ["a cat"])]
    run = evaluate(sqlite_home, actor, [*PAIRS, *several], model="tiny-encoder@1", layer=2)
    found = scores_of(sqlite_home, actor, run.id)
    assert found[: len(PAIRS)] == [pytest.approx(known, abs=2e-6) for known in KNOWN[2]]
    assert found[-2] == pytest.approx([1.0, 1.0, 1.0], abs=1e-6)
    assert found[-1] == [0.0, 0.0, 0.0]
    assert run.metric("bert_score").n == len(found)
    assert run.spec["signatures"]["bert_score"] == (
        "bert_score|model:tiny-encoder@1|layer:2|idf:no|baseline:0,0,0|refs:-1"
    )


@pytest.mark.heavy
def test_a_model_that_cannot_be_read_fails_the_run_and_says_so(sqlite_home: Home, actor: Actor) -> None:
    with pytest.raises(Unprocessable, match=r"The scoring failed on .* no model"):
        evaluate(sqlite_home, actor, PAIRS, model="nowhere@1")
    with sqlite_home.read() as uow:
        (run,) = service.list_runs(uow, actor)
    assert run.progress["calls"] == len(PAIRS), "every answer is there and paid for once"


@pytest.mark.heavy
def test_the_last_layer_counts_and_a_child_that_is_killed_fails_what_comes_after(
    folder: Path, tmp_path: Path
) -> None:
    async def asked() -> None:
        advice = Advice("bert_score", {"folder": str(folder)}, tmp_path / "work")
        try:
            asked = [{"answer": said, "references": [wanted]} for said, wanted in PAIRS]
            for one, known in zip(asked, KNOWN[4], strict=True):
                assert (await advice.ask(one))["scores"] == [pytest.approx(known, abs=2e-6)]
            question = {"answer": "the cat", "references": ["the dog", "the cat"]}
            os.kill(child_at_work_in(tmp_path), signal.SIGKILL)
            with pytest.raises(ChildFailed):
                while True:
                    await advice.ask(question)
            with pytest.raises(ChildFailed):
                await advice.ask({"answer": "x" * 1_000_000, "references": []})
        finally:
            await advice.close()

    asyncio.run(asked())


def child_at_work_in(folder: Path) -> int:
    """Return the process that this one has started with a file of the folder as an argument."""
    tasks = Path("/proc/self/task").glob("*/children")
    found = [int(one) for children in tasks for one in children.read_text().split()]
    (child,) = [pid for pid in found if os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return child


class Advised(MemoryBench):
    """A bench whose adviser replies what the test wants."""

    async def consult(self, adviser: str, options: Any, question: Any) -> Any:
        assert adviser == "bert_score"
        self.consulted = (options, question)
        return {"scores": [[0.6, 0.9, 0.72], [0.8, 0.5, 0.62]]}


def test_each_figure_is_the_best_over_the_references_and_is_rescaled() -> None:
    bench = Advised()
    scorer = BertScore(model="m@1", layer=9, baseline=[0.5, 0.5, 0.2])
    scores, note = asyncio.run(scorer.judge(sample("Q?", "one", "two"), output("said"), bench))
    assert scores == {
        "bert_score_precision": pytest.approx(0.6),
        "bert_score_recall": pytest.approx(0.8),
        "bert_score": pytest.approx(0.65),
    }
    assert note is None
    assert bench.consulted == (
        {"model": "m@1", "layer": 9, "threads": 1},
        {"answer": "said", "references": ["one", "two"]},
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model": "m"},
        {"model": "m@latest"},
        {"model": "m@1", "baseline": [0.1, 0.2]},
        {"model": "m@1", "baseline": 1.0},
        {"model": "m@1", "layer": -1},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as error:
        BertScore(**options)
    assert isinstance(error.value, PenstockError)
