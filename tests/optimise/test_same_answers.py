"""One model through Transformers, ONNX Runtime, llama.cpp and CTranslate2 answers the same, nothing being quantised."""

from pathlib import Path

import pytest
from benchmarks import engines

from tests.optimise import recital

pytestmark = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.timeout(2400)]


def test_greedy_answers_are_equal_in_every_format(tmp_path: Path) -> None:
    for library in ("onnxruntime_genai", "xllamacpp", "ctranslate2"):
        pytest.importorskip(library)
    variants = engines.made(recital.folder(), tmp_path, engines.EXACT)
    assert [label for label, _, _ in variants] == list(engines.EXACT)
    said = engines.everybodys(variants, tmp_path)
    assert {prompt: said["transformers"][prompt] for prompt, _ in recital.TALKS} == dict(recital.TALKS)
    assert engines.agreement(said) == dict.fromkeys(engines.EXACT, len(engines.ASKED))
