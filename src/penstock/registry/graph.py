"""The lineage graph around a version: data → run → model → variant → deployment → traces, as nodes and edges."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from penstock.core.lineage import Edge, names_of, neighbours
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import service

TRACES = "traces"
"""A node that stands for all traces of one deployment's version, whose ref is the model name in them."""
LIMIT = 500
"""Most edges of one direction."""
Direction = Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One thing: its kind, its reference, and what to write on it."""

    kind: str
    ref: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """`target` was made from `source`, which played `role`; both are `kind:ref` of a node."""

    source: str
    target: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes and arrows; arrows point the way things were made, from data to traces."""

    nodes: tuple[Node, ...]
    edges: tuple[Arrow, ...]
    truncated: bool
    """Whether there was more than the limit."""


def graph(uow: UnitOfWork, actor: Actor, *, ref: str, direction: Direction = "both", depth: int = 8) -> Graph:
    """Return what the version was made from (`up`), what was made from it (`down`), or both.

    A deployment's version has one node for all its traces: they are too many to be drawn, and `GET /traces?model=`
    lists them by that node's ref. Raises NotFound for an unknown version.
    """
    version = service.get(uow, actor, ref=ref)
    ways = ("up", "down") if direction == "both" else (direction,)
    found: dict[Edge, None] = {}
    truncated = False
    for way in ways:
        edges = neighbours(
            uow.conn,
            actor.scope,
            service.LINK_KIND,
            version.ref,
            direction=way,
            depth=depth,
            limit=LIMIT,
        )
        truncated = truncated or len(edges) >= LIMIT
        found |= dict.fromkeys(edges)
    ends = [(edge.child_kind, edge.child_ref) for edge in found]
    ends += [(edge.parent_kind, edge.parent_ref) for edge in found]
    names = names_of(uow, actor.scope, ends)
    return _drawn((service.LINK_KIND, version.ref), list(found), truncated, "down" in ways, names)


def _drawn(
    start: tuple[str, str],
    edges: list[Edge],
    truncated: bool,
    with_traces: bool,
    names: Mapping[tuple[str, str], str],
) -> Graph:
    things: dict[tuple[str, str], None] = {start: None}
    arrows = []
    for edge in edges:
        child, parent = (edge.child_kind, edge.child_ref), (edge.parent_kind, edge.parent_ref)
        things |= {parent: None, child: None}
        arrows.append(Arrow(source=":".join(parent), target=":".join(child), role=edge.role))
    if with_traces:
        for kind, ref in [thing for thing in things if thing[0] == "deployment"]:
            things[(TRACES, ref)] = None
            arrows.append(Arrow(source=f"{kind}:{ref}", target=f"{TRACES}:{ref}", role="answered"))
    nodes = tuple(
        Node(kind=kind, ref=ref, label=names.get((kind, ref)) or _label(kind, ref)) for kind, ref in things
    )
    return Graph(nodes=nodes, edges=tuple(arrows), truncated=truncated)


def _label(kind: str, ref: str) -> str:
    """A reference that people gave is its own label; an id is told by its kind and last letters."""
    if kind == TRACES:
        return f"traces of {ref}"
    return ref if "@" in ref else f"{kind.replace('_', ' ')} …{ref[-6:]}"
