"""Writing a version as a folder for the Hugging Face hub: its files, a card with metadata, a signed manifest."""

from pathlib import Path
from typing import Any

import msgspec
import yaml

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.registry import folders, paper_service, scan, service
from penstock.registry.model import Kind, ModelVersion, Papers
from penstock.registry.papers import manifest

CARD = "README.md"
MAKERS_CARD = "README.maker.md"
"""Where the README goes that came with the files."""
_LIBRARIES = {Kind.BASE: "transformers", Kind.MERGED: "transformers", Kind.ADAPTER: "peft", Kind.GGUF: "gguf"}
_TASKS = {
    "chat": "text-generation",
    "text-generation": "text-generation",
    "text-classification": "text-classification",
}


def write_folder(home: Home, actor: Actor, *, ref: str, to: Path) -> Path:
    """Write the version into the new (or empty) folder `to`, ready for `from_pretrained` and for a hub.

    README.md is the model card with the hub's metadata (licence, base model, library, task); a README among the
    files becomes README.maker.md. `penstock-manifest.json` signs every file in it. Raises Conflict when `to` holds
    something, Invalid for a version of kind mlflow, Unavailable when a stored file is missing or damaged.
    """
    with home.read() as uow:
        version = service.get(uow, actor, ref=ref)
        papers = paper_service.papers(uow, actor, ref=version.ref)
        text = paper_service.card(uow, actor, ref=version.ref)
    if version.kind is Kind.MLFLOW:
        raise Invalid(f"{version.ref} is a model of MLflow.", hint="Export it without --as hf.")
    folder = service.materialize(home, actor, ref=version.ref, to=to)
    if (folder / CARD).exists():
        (folder / CARD).rename(folder / MAKERS_CARD)
    (folder / CARD).write_text(_front_matter(version, papers) + text, "utf-8")
    files = tuple(folders.entry_of(name, file) for name, file in scan.list_files(folder))
    with home.begin() as uow:
        uow.may(actor, "models.read", version.ref)
        signed = manifest.sign(uow, actor.scope, manifest.statement(version, files))
        uow.audit(actor, "models.export", version.ref, files=len(files))
    (folder / manifest.FILE).write_bytes(msgspec.json.format(msgspec.json.encode(signed)))
    return folder


def _front_matter(version: ModelVersion, papers: Papers) -> str:
    """The metadata of https://huggingface.co/docs/hub/model-cards#model-card-metadata, as far as it is known."""
    said: dict[str, Any] = {}
    if papers.licence:
        said["license"] = papers.licence.lower()
    if version.base:
        said["base_model"] = version.base
    if version.kind in _LIBRARIES:
        said["library_name"] = _LIBRARIES[version.kind]
    task = _TASKS.get((papers.signature or {}).get("task", ""))
    if task:
        said["pipeline_tag"] = task
    said["tags"] = ["penstock", str(version.kind)]
    return f"---\n{yaml.safe_dump(said, sort_keys=False, allow_unicode=True)}---\n\n"
