"""Durable work on models: exports asked for over HTTP or by other slices."""

from typing import Any

from penstock.core.jobs.model import Handler, JobContext
from penstock.registry.export import export

EXPORT = "registry.export"
"""Spec: `ref`, `format`, `quantization`, `name`; result: `ref` of the version made."""


def run_export(ctx: JobContext) -> dict[str, Any]:
    """Convert and register; repeating it after a crash finds what was registered."""
    version = export(
        ctx.home,
        ctx.actor,
        ref=ctx.spec["ref"],
        format=ctx.spec.get("format", "gguf"),
        quantization=ctx.spec.get("quantization", "f16"),
        name=ctx.spec.get("name", ""),
        on_progress=ctx.progress,
        cancelled=ctx.cancelled,
    )
    return {"ref": version.ref}


HANDLERS: dict[str, Handler] = {EXPORT: run_export}
