"""Durable work on models: exports and imports asked for over HTTP or by other slices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.core.jobs.model import Handler, JobContext
from penstock.registry import importing, paper_service
from penstock.registry.export import export
from penstock.registry.model import ModelVersion

EXPORT = "registry.export"
"""Spec: `ref`, `format`, `quantization`, `name`; result: `ref` of the version made."""

IMPORT = "registry.import"
"""Spec: `source` (hub, folder or mlflow), `wish`, and what that source needs; result: `ref` of the version."""


VERIFY = "registry.verify"
"""Spec: `ref`; result: whether the signed manifest holds, and the problems."""

SCAN = "registry.scan"
"""Spec: `ref`; result: `scan`, the report."""


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


def run_import(ctx: JobContext) -> dict[str, Any]:
    """Fetch and register; repeating it after a crash fetches again and finds what was registered."""
    return {"ref": _imported(ctx).ref}


def run_verify(ctx: JobContext) -> dict[str, Any]:
    """Read every stored byte of a version."""
    found = paper_service.verify_files(ctx.home, ctx.actor, ref=ctx.spec["ref"], begin=_told(ctx))
    return {**msgspec.to_builtins(found), "holds": found.holds}


def run_scan(ctx: JobContext) -> dict[str, Any]:
    """Scan a version's files again."""
    found = paper_service.rescan(ctx.home, ctx.actor, ref=ctx.spec["ref"], begin=_told(ctx))
    return {"ref": ctx.spec["ref"], "scan": found.scan}


def _told(ctx: JobContext) -> Callable[[str], None]:
    def begin(path: str) -> None:
        ctx.check_cancelled()
        ctx.progress({"file": path})

    return begin


def _imported(ctx: JobContext) -> ModelVersion:
    home, actor, spec = ctx.home, ctx.actor, ctx.spec
    wish = importing.wish_of(spec["wish"])
    watch = importing.Watch(progress=ctx.progress, cancelled=ctx.cancelled)
    if spec["source"] == "hub":
        return importing.from_hub(
            home,
            actor,
            wish=wish,
            repository=spec["repository"],
            revision=spec["revision"],
            file=spec["file"],
            watch=watch,
        )
    if spec["source"] == "mlflow":
        return importing.from_mlflow(
            home,
            actor,
            wish=wish,
            uri=spec["uri"],
            model=spec["model"],
            version=spec["version"],
            watch=watch,
        )
    if spec["source"] == "folder":
        return importing.from_folder(home, actor, wish=wish, folder=Path(spec["folder"]))
    raise Invalid(f"{spec['source']!r} is not where models come from.")


HANDLERS: dict[str, Handler] = {
    EXPORT: run_export,
    IMPORT: run_import,
    VERIFY: run_verify,
    SCAN: run_scan,
}
