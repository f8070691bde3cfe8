"""A TensorRT engine, timed and asked through ONNX Runtime's provider for it, on a GPU.

Plug-in `tensorrt` of `penstock.runners`; evaluations reach it through the target of that name. ONNX Runtime goes to
the CPU in silence when a provider is missing, so the active provider is checked, never assumed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import onnxruntime_ep_nv_tensorrt_rtx as plugin

from penstock.core.errors import Invalid, Unavailable
from penstock.optimise.engines import drive
from penstock.optimise.engines.texts import Texts

_REGISTERED = "penstock-tensorrt"


class TensorRtRunner(Texts):
    """A model in the memory of a GPU."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the folder's engine onto the first GPU; raises Unavailable when none can run it."""
        super().__init__(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        options.add_provider_for_devices(devices(), {})
        try:
            self._session = onnxruntime.InferenceSession(folder / "model.onnx", options)
        except Exception as error:
            raise Unavailable(f"ONNX Runtime could not load the TensorRT engine: {error}") from error
        self.provider = checked(self._session.get_providers())

    def stream(self, prompt: Sequence[int], limit: int, *, endless: bool) -> Iterator[int]:
        """Yield the likeliest tokens, each from a pass over the whole sequence: the engine keeps no cache."""
        tokens = list(prompt)
        for _ in range(limit):
            try:
                (logits,) = self._session.run(None, {"input_ids": np.array([tokens], dtype=np.int64)})
            except Exception as error:
                raise Invalid(
                    f"The engine does not take {len(tokens)} tokens: {error}",
                    hint="Build it with a larger context=….",
                ) from error
            tokens.append(int(logits[0, -1].argmax()))
            yield tokens[-1]
            if not endless and tokens[-1] in self.stops:
                return


def devices() -> list[Any]:
    """Return the first GPU that the provider can use; raises Unavailable when there is none."""
    try:
        onnxruntime.register_execution_provider_library(_REGISTERED, plugin.get_library_path())
    except Exception as error:
        if "already registered" not in str(error):
            raise Unavailable(
                f"ONNX Runtime could not load its TensorRT provider: {error}",
                hint="It needs an NVIDIA GPU of the Ampere generation or later, and its driver.",
            ) from error
    found = [each for each in onnxruntime.get_ep_devices() if each.ep_name == plugin.get_ep_name()]
    if not found:
        raise Unavailable("TensorRT found no GPU that it can use.", hint="Measure this variant on a GPU.")
    return found[:1]


def checked(providers: Sequence[str]) -> str:
    """Return TensorRT's provider; raises Unavailable when the session computes on something else first."""
    if not providers or providers[0] != plugin.get_ep_name():
        raise Unavailable(
            f"ONNX Runtime would compute on {', '.join(providers) or 'nothing'}, not on TensorRT."
        )
    return providers[0]


def run(spec: dict[str, Any], report: drive.Report) -> dict[str, Any]:
    """Answer the samples in `spec`, or time the model."""
    return drive.run(TensorRtRunner, spec, report)
