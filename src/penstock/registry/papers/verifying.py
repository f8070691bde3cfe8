"""Whether a version's signed manifest holds."""

from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry.model import ModelVersion, Papers
from penstock.registry.papers import manifest, store
from penstock.registry.papers.model import Verdict


def trusted(uow: UnitOfWork, actor: Actor) -> dict[str, str]:
    """Return the tenant's public keys by key id."""
    return {key.key_id: key.public for key in store.list_keys(uow.conn, actor.scope)}


def verdict(uow: UnitOfWork, actor: Actor, version: ModelVersion, papers: Papers) -> Verdict:
    """Hold the manifest against the files that the version is recorded to have."""
    return manifest.check(papers.manifest, version.files, trusted(uow, actor), ref=version.ref)
