"""A real model made smaller by real libraries in real child processes, judged by a real suite."""

from pathlib import Path

import pytest

from penstock.core.home import Home
from penstock.datasets import service as datasets
from penstock.evals import service as evals
from penstock.evals.suite import ScorerSpec, Suite
from penstock.optimise import methods, service
from penstock.optimise.model import Trial
from penstock.registry import service as registry
from tests.conftest import owner_of
from tests.optimise import recital

pytestmark = [pytest.mark.heavy, pytest.mark.slow]
pytest.importorskip("ctranslate2")


def test_variants_are_made_measured_judged_and_one_is_chosen(
    sqlite_home: Home, own_entry_points: None
) -> None:
    home, actor = sqlite_home, owner_of(sqlite_home)
    registry.register(home, actor, name="recital", folder=recital.folder(), kind="base")
    datasets.ingest(home, actor, name="talks", source=recital.ROWS, key="id")
    suite = Suite(
        name="recital", dataset="talks", target={"kind": "model"}, scorers=(ScorerSpec(name="exact"),)
    )
    found = service.execute(
        home,
        actor,
        service.Request(
            version="recital",
            to=[
                methods.parse(text) for text in ("gguf:q8_0", "ctranslate2:int8", "prune:neurons,amount=0.9")
            ],
            suite=suite,
            trial=Trial(tokens=16, repeats=1, max_tokens=32),
        ),
    )
    assert [variant.error for variant in found.variants] == [None, None, None]
    small, quick, broken = found.variants
    for variant in (found.baseline, *found.variants):
        assert variant.figures is not None and variant.quality is not None
        assert variant.figures.tokens_per_s > 0
    assert found.baseline.quality is not None and found.baseline.quality.value == 1.0
    assert small.figures is not None and found.baseline.figures is not None
    assert small.figures.size_bytes < 0.6 * found.baseline.figures.size_bytes
    assert broken.quality is not None and broken.quality.worse is True
    assert broken.quality.delta_high is not None and broken.quality.delta_high < 0
    assert found.chosen in (small.version, quick.version), "both are many times quicker than Transformers"
    with home.read() as uow:
        assert registry.get(uow, actor, ref="recital-ctranslate2@1").kind == "ctranslate2"
        assert quick.quality is not None
        assert evals.get_run(uow, actor, quick.quality.eval_run).spec["target"]["kind"] == "model"
    folder = registry.materialize(home, actor, ref="recital-ctranslate2@1")
    assert (Path(folder) / "chat_template.jinja").exists()
