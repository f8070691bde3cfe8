"""Makes one variant in a child process and registers it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.children import run_child
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.optimise import methods
from penstock.optimise.model import Trial, Variant
from penstock.registry import service as registry
from penstock.registry.model import Kind, ModelVersion
from penstock.training.service import Share

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where the variants of one parent are made."""

    home: Home
    actor: Actor
    parent: ModelVersion
    work: Path
    trial: Trial
    progress: Progress
    cancelled: Callable[[], bool]
    place: Share
    """On the machine; it says which GPUs children may see."""

    def child(self, group: str, name: str, spec: dict[str, Any], folder: str) -> dict[str, Any]:
        """Run a plug-in in a child process, offline, with its log in the work folder's `folder`."""
        threads = str(self.trial.threads)
        return run_child(
            group,
            name,
            spec,
            workdir=self.work / folder,
            on_progress=self.progress,
            cancelled=self.cancelled,
            memory_mb=self.trial.memory_mb,
            environment={
                **self.place.visible(),
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "TOKENIZERS_PARALLELISM": "false",
                "HF_HUB_OFFLINE": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HOME": str(self.work / "cache"),
            },
        )

    def source(self) -> Path:
        """Return the folder of the whole parent; an adapter is merged into its base, once."""
        folder = registry.materialize(self.home, self.actor, ref=self.parent.ref)
        if self.parent.kind is not Kind.ADAPTER:
            return folder
        merged, done = self.work / "merged", self.work / "merged.done"
        if not done.exists():
            shutil.rmtree(merged, ignore_errors=True)
            base = registry.materialize(self.home, self.actor, ref=str(self.parent.base))
            self.child(
                "exporters",
                "merge",
                {
                    "base": str(base),
                    "adapter": str(folder),
                    "output": str(merged),
                    "threads": self.trial.threads,
                },
                "merge",
            )
            done.touch()
        return merged


def make(shop: Workshop, variant: Variant) -> ModelVersion:
    """Make the variant and register it; returns its version.

    The same bytes made again find the version that is there. Raises Invalid for what the method cannot do with
    this parent, MissingExtra, ChildFailed, Cancelled.
    """
    method = methods.method(variant.method)
    output = shop.work / f"variant-{variant.position}"
    shutil.rmtree(output, ignore_errors=True)
    said: dict[str, Any] = {}
    if method.name == "merge":
        if shop.parent.kind is not Kind.ADAPTER:
            raise Invalid(f"{shop.parent.ref} is no adapter; there is nothing to merge.")
        folder = shop.source()
    else:
        spec = {
            **variant.options,
            "source": str(shop.source()),
            "output": str(output),
            "name": shop.parent.model,
            "threads": shop.trial.threads,
        }
        if variant.options.get("dataset"):
            spec["rows"] = str(_write_rows(shop, variant))
        said = shop.child("exporters", method.exporter, spec, f"make-{variant.position}")
        folder = output
    try:
        return _registered(shop, variant, folder, said)
    finally:
        shutil.rmtree(output, ignore_errors=True)


def _registered(shop: Workshop, variant: Variant, folder: Path, said: dict[str, Any]) -> ModelVersion:
    method, parent = methods.method(variant.method), shop.parent
    links = [Link(registry.LINK_KIND, parent.ref, "source")]
    if variant.options.get("dataset"):
        links.append(Link("dataset_version", str(variant.options["dataset"]), "recovery data"))
    facts = {key: value for key, value in said.items() if key != "path"}
    made_by = {"source": parent.ref, "source digest": parent.digest, "method": method.name}
    return registry.register(
        shop.home,
        shop.actor,
        name=f"{parent.model}-{method.suffix}"[:100],
        folder=folder,
        kind=method.kind,
        base=parent.base,
        lineage=links,
        card_extra={**parent.card_extra, "optimisation": {**made_by, **variant.options, **facts}},
    )


def _write_rows(shop: Workshop, variant: Variant) -> Path:
    """Write what a changed model learns from, one JSON object per line; raises Invalid when there is nothing."""
    options = variant.options
    found = datasets.rows(
        shop.home,
        shop.actor,
        str(options["dataset"]),
        split=options["split"] or None,
        limit=int(options["limit"]),
    )
    path = shop.work / f"rows-{variant.position}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("wb") as lines:
        for number, row in enumerate(found, 1):
            lines.write(msgspec.json.encode(_shaped(row, number, options)) + b"\n")
            count += 1
    if not count:
        raise Invalid(f"{options['dataset']} has no rows in the split {options['split']!r}.")
    return path


def _shaped(row: dict[str, Any], number: int, options: Any) -> dict[str, Any]:
    """Return `{messages}` or `{text}` of a dataset's row; raises Invalid naming the row."""
    if isinstance(row.get("messages"), list):
        return {"messages": row["messages"]}
    prompt, completion = row.get(options["prompt"]), row.get(options["completion"])
    if isinstance(prompt, str) and isinstance(completion, str):
        return {
            "messages": [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": completion},
            ]
        }
    if isinstance(row.get("text"), str):
        return {"text": row["text"]}
    raise Invalid(
        f"Row {number} of {options['dataset']} has no messages, no text, and no texts in "
        f"{options['prompt']!r} and {options['completion']!r}.",
        hint="Name the columns with prompt=… and completion=….",
    )
