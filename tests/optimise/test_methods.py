"""Steps as they are written, and the options each method knows."""

import pytest

from penstock.core.errors import Invalid
from penstock.optimise import methods
from penstock.registry.exporters import gguf


def test_a_step_is_a_method_a_value_and_options() -> None:
    assert methods.parse("gguf").options == {"quantization": "q8_0"}
    assert methods.parse("gguf:q4_0").options == {"quantization": "q4_0"}
    assert methods.parse("onnx:precision=int8").options == {"precision": "int8"}
    pruned = methods.parse("prune:layers,amount=0.5,dataset=tickets@3,steps=20")
    assert (pruned.method, pruned.options["structure"], pruned.options["amount"]) == ("prune", "layers", 0.5)
    assert (pruned.options["dataset"], pruned.options["steps"], pruned.options["split"]) == (
        "tickets@3",
        20,
        "train",
    )
    assert methods.parse("distil:2,dataset=t").options["layers"] == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("zip", "no method 'zip'"),
        ("gguf:q9", "options of gguf are wrong"),
        ("gguf:size=3", "gguf has no option 'size'"),
        ("onnx:int4,int8", "not KEY=VALUE"),
        ("merge:x", "not KEY=VALUE"),
        ("prune:amount=1", "between 0 and 1"),
        ("prune:steps=0", "must be above 0"),
        ("distil:2", "needs a dataset"),
        ("distil:0,dataset=t", "at least one layer"),
    ],
)
def test_mistakes_are_named(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        methods.parse(text)


def test_every_quantisation_offered_can_be_written() -> None:
    for name in gguf.QUANTIZATIONS:
        assert methods.parse(f"gguf:{name}").options == {"quantization": name}
