"""Turning a registered version into another format, in child processes, and registering the result.

Above `service` in this slice: it registers what it makes through the same door as everyone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.children import run_child
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.registry import service
from penstock.registry.model import Kind, ModelVersion
from penstock.registry.workplace import work_folder

FORMATS = ("gguf", "merged")


def _silent(_report: dict[str, Any]) -> None:
    return None


def _never() -> bool:
    return False


def export(
    home: Home,
    actor: Actor,
    *,
    ref: str,
    format: str = "gguf",
    quantization: str = "f16",
    name: str = "",
    on_progress: Callable[[dict[str, Any]], None] = _silent,
    cancelled: Callable[[], bool] = _never,
) -> ModelVersion:
    """Convert `ref` to `format` (`gguf` or `merged`) and register it as `name` (default: `<model>-<format>`).

    An adapter is merged into its base first. The result keeps lineage to `ref`; converting the same version the
    same way again returns the version made before when the bytes are equal. Raises Invalid for what cannot be
    converted, ChildFailed when the conversion crashed.
    """
    if format not in FORMATS:
        raise Invalid(f"{format!r} is not an export format.", hint=f"Formats: {', '.join(FORMATS)}.")
    with home.read() as uow:
        uow.may(actor, "models.write", name or ref)
        source = service.get(uow, actor, ref=ref)
    if source.kind is Kind.GGUF or (format == "merged" and source.kind is not Kind.ADAPTER):
        raise Invalid(f"{source.ref} is of kind {source.kind}; it cannot be exported as {format}.")
    with work_folder(home, "exports") as work:
        steps = _Steps(home, actor, work, on_progress, cancelled)
        folder = service.materialize(home, actor, ref=source.ref)
        if source.kind is Kind.ADAPTER:
            folder = steps.merge(source, folder)
        details: dict[str, Any] = {}
        if format == "gguf":
            details = steps.gguf(folder, source.model, quantization)
            folder = Path(details["path"]).parent
        return service.register(
            home,
            actor,
            name=name or f"{source.model}-{format}",
            folder=folder,
            kind=Kind(format),
            base=source.base,
            lineage=[Link(service.LINK_KIND, source.ref, "source")],
            card_extra={**source.card_extra, **_described(source, details)},
        )


def _described(source: ModelVersion, details: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in details.items() if key != "path"}
    return {"export": {"source": source.ref, "source digest": source.digest, **kept}}


class _Steps:
    """The child processes of one export, in one work folder."""

    def __init__(
        self,
        home: Home,
        actor: Actor,
        work: Path,
        on_progress: Callable[[dict[str, Any]], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self._home = home
        self._actor = actor
        self._work = work
        self._on_progress = on_progress
        self._cancelled = cancelled

    def _run(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        return run_child(
            "exporters",
            name,
            spec,
            workdir=self._work / name,
            on_progress=self._on_progress,
            cancelled=self._cancelled,
        )

    def merge(self, source: ModelVersion, adapter: Path) -> Path:
        """Return the folder of the adapter merged into its base."""
        base = service.materialize(self._home, self._actor, ref=source.base or "")
        spec = {"base": str(base), "adapter": str(adapter), "output": str(self._work / "merged")}
        return Path(self._run("merge", spec)["path"])

    def gguf(self, folder: Path, name: str, quantization: str) -> dict[str, Any]:
        """Convert the folder; return what the exporter says, `path` among it."""
        output = self._work / "out"
        spec = {"source": str(folder), "output": str(output), "name": name, "quantization": quantization}
        return self._run("gguf", spec)
