"""What a version takes over from the one it was made of, where its maker said nothing."""

from dataclasses import replace

from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import store as versions
from penstock.registry.model import Papers
from penstock.registry.papers import store

SOURCE, BASE = "source", "base"


def inherited(uow: UnitOfWork, actor: Actor, papers: Papers, kind: str, links: tuple[Link, ...]) -> Papers:
    """Return `papers`, completed from the version of `kind` that `links` name.

    A conversion (role `source`) keeps licence, intended use and signature; what was trained on a base (role `base`)
    keeps its signature alone: under which licence it stands, its maker must say.
    """
    for role in (SOURCE, BASE):
        for link in links:
            if (link.kind, link.role) == (kind, role):
                held = _papers_of(uow, actor, link.ref) or Papers()
                papers = replace(papers, signature=papers.signature or held.signature)
                if role == SOURCE:
                    papers = replace(
                        papers,
                        licence=papers.licence or held.licence,
                        intended_use=papers.intended_use or held.intended_use,
                    )
    return papers


def _papers_of(uow: UnitOfWork, actor: Actor, ref: str) -> Papers | None:
    name, _, number = ref.partition("@")
    model = versions.get_model(uow.conn, actor.scope, name)
    if model is None or not number.isdecimal():
        return None
    version = versions.get_version(uow.conn, model, int(number))
    return None if version is None else store.get_papers(uow.conn, version)
