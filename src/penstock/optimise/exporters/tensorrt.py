"""Hugging Face folder to a TensorRT engine, by way of an ONNX graph, on a machine that needs no GPU.

`penstock models optimise NAME@3 --to tensorrt` runs this in a child process. Needs the `train`, `optimise` and
`tensorrt` extras. TensorRT for RTX builds for compute capability 8.0, 8.6, 8.9 and 12.0 and later
(docs.nvidia.com/deeplearning/tensorrt-rtx, CPU-only AOT). The graph computes the logits of whole sequences, without a
cache of keys and values.
"""

import gc
from pathlib import Path
from typing import Any

import onnx
import onnxscript  # noqa: F401  # torch.onnx.export writes its graph with it
import tensorrt_rtx
import torch
from onnx import TensorProto, helper
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from penstock.core.errors import ChildFailed, Invalid
from penstock.optimise.exporters.texts import Report, copy_texts, read_config

ENGINE = "model.engine"
WRAPPER = "model.onnx"
"""One node that ONNX Runtime's provider replaces by the engine."""
INPUT, OUTPUT = "input_ids", "logits"
PROVIDER = "NvTensorRTRTXExecutionProvider"
_OPSET = 18
_USUAL = 128
"""Tokens that the engine is tuned for; the context bounds it."""


class _Logits(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """The model as one tensor in, one out."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> Any:
        """Return the logits of every position."""
        return self.model(input_ids=input_ids, use_cache=False).logits


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write `model.engine`, the graph that wraps it for ONNX Runtime, and the tokenizer into `spec["output"]`.

    `spec`: `source` (Hugging Face folder), `output`, `context` (most tokens of prompt and answer), `threads`.
    Returns `path`, `context`, `library` (version), `built_for`. Raises Invalid for a context beyond the model's or a
    graph that TensorRT cannot parse, ChildFailed when no engine comes out.
    """
    source, output = Path(spec["source"]), Path(spec["output"])
    config = read_config(source)
    context, most = int(spec.get("context", 512)), int(config.get("max_position_embeddings", 0))
    if not 2 <= context <= (most or context):
        raise Invalid(f"The context must be 2 to {most} tokens, not {context}.")
    output.mkdir(parents=True, exist_ok=True)
    work = output.with_name(f"{output.name}-graph")
    work.mkdir(exist_ok=True)
    torch.set_num_threads(int(spec.get("threads", 1)))
    report({"stage": "graph", "architecture": config["architectures"][0]})
    vocabulary = write_graph(source, work / WRAPPER)
    gc.collect()
    report({"stage": "build"})
    (output / ENGINE).write_bytes(build_engine(work / WRAPPER, context))
    write_wrapper(output, vocabulary)
    copy_texts(source, output)
    return {
        "path": str(output),
        "context": context,
        "library": tensorrt_rtx.__version__,
        "built_for": "compute capability 8.0, 8.6, 8.9, 12.0 and later",
    }


def write_graph(source: Path, path: Path) -> int:
    """Write the model's ONNX graph, in float32; returns how many logits a position has."""
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        source, local_files_only=True, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    program = torch.onnx.export(
        _Logits(model),
        (torch.zeros(1, 7, dtype=torch.int64),),
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes={INPUT: {1: "sequence"}},
        opset_version=_OPSET,
        verbose=False,
    )
    assert program is not None
    program.save(str(path))
    return int(model.get_output_embeddings().weight.shape[0])


def build_engine(path: Path, context: int) -> bytes:
    """Return the serialised engine of a graph for one sequence of 1 to `context` tokens."""
    logger = tensorrt_rtx.Logger(tensorrt_rtx.Logger.ERROR)
    builder = tensorrt_rtx.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt_rtx.OnnxParser(network, logger)
    if not parser.parse_from_file(str(path)):
        why = "; ".join(str(parser.get_error(number)) for number in range(parser.num_errors))
        raise Invalid(f"TensorRT cannot take the model's graph: {why}")
    settings = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape(INPUT, (1, 1), (1, min(_USUAL, context)), (1, context))
    settings.add_optimization_profile(profile)
    made = builder.build_serialized_network(network, settings)
    if made is None:
        raise ChildFailed("TensorRT built no engine; its reasons are in the log.")
    return bytes(made)


def write_wrapper(folder: Path, vocabulary: int) -> None:
    """Write the graph with which ONNX Runtime's provider loads the engine beside it.

    Format: onnxruntime.ai/docs/execution-providers/EP-Context-Design.html.
    """
    node = helper.make_node(
        "EPContext",
        [INPUT],
        [OUTPUT],
        name="engine",
        domain="com.microsoft",
        main_context=1,
        embed_mode=0,
        ep_cache_context=ENGINE,
        source=PROVIDER,
    )
    graph = helper.make_graph(
        [node],
        "engine",
        [helper.make_tensor_value_info(INPUT, TensorProto.INT64, [1, "sequence"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, "sequence", vocabulary])],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), folder / WRAPPER)
