"""Lineage: which thing was made from which, as edges that can be followed both ways."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, String, Table, select

from penstock.core import clock
from penstock.core.db import UtcTime, metadata, upsert
from penstock.core.scope import Scope

_CHUNK = 500

Namer = Callable[[Any, Scope, list[str]], Mapping[str, str]]
"""(unit of work, scope, refs of one kind) → ref → what people call it; those that are gone are left out."""

_namers: dict[str, Namer] = {}

edges = Table(
    "core_lineage",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("child_kind", String(32), primary_key=True),
    Column("child_ref", String(200), primary_key=True),
    Column("parent_kind", String(32), primary_key=True),
    Column("parent_ref", String(200), primary_key=True),
    Column("role", String(64), primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_core_lineage_parent", "tenant", "project", "parent_kind", "parent_ref"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """One end of an edge: a thing (`kind`, `ref`) and the `role` it played."""

    kind: str
    """dataset_version, model_version, training_run, eval_run, prompt_version, deployment, trace, feedback, file …"""
    ref: str
    """The thing's id, or `name@number` for versions."""
    role: str = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """`child` was made from `parent`, which played `role`."""

    child_kind: str
    child_ref: str
    parent_kind: str
    parent_ref: str
    role: str
    created_at: datetime


def connect(conn: Connection, scope: Scope, child: tuple[str, str], parents: list[Link]) -> None:
    """Record that `child` (kind, ref) was made from `parents`; recording it twice changes nothing."""
    moment = clock.now()
    rows = [
        {
            "tenant": scope.tenant,
            "project": scope.project,
            "child_kind": child[0],
            "child_ref": child[1],
            "parent_kind": link.kind,
            "parent_ref": link.ref,
            "role": link.role,
            "created_at": moment,
        }
        for link in parents
    ]
    keys = ["tenant", "project", "child_kind", "child_ref", "parent_kind", "parent_ref", "role"]
    upsert(conn, edges, rows, keys=keys)


def neighbours(
    conn: Connection,
    scope: Scope,
    kind: str,
    ref: str,
    *,
    direction: str = "up",
    depth: int = 12,
    limit: int = 500,
) -> list[Edge]:
    """Return the edges reachable from (kind, ref), nearest first, at most `limit`.

    `up` walks to what it was made from, `down` to what was made from it; cycles end the walk.
    """
    near, far = ("child", "parent") if direction == "up" else ("parent", "child")
    found: dict[tuple[str, ...], Edge] = {}
    frontier, seen = {(kind, ref)}, {(kind, ref)}
    for _ in range(depth):
        following: set[tuple[str, str]] = set()
        for node in sorted(frontier):
            for edge in _edges_of(conn, scope, near, node, limit - len(found)):
                key = (edge.child_kind, edge.child_ref, edge.parent_kind, edge.parent_ref, edge.role)
                found[key] = edge
                following.add((getattr(edge, f"{far}_kind"), getattr(edge, f"{far}_ref")))
        frontier = following - seen
        seen |= following
        if not frontier or len(found) >= limit:
            break
    return list(found.values())


def _edges_of(conn: Connection, scope: Scope, near: str, node: tuple[str, str], limit: int) -> list[Edge]:
    if limit <= 0:
        return []
    query = (
        select(edges)
        .where(
            edges.c.tenant == scope.tenant,
            edges.c.project == scope.project,
            edges.c[f"{near}_kind"] == node[0],
            edges.c[f"{near}_ref"] == node[1],
        )
        .order_by(edges.c.created_at, edges.c.parent_ref, edges.c.child_ref)
        .limit(limit)
    )
    return [
        Edge(
            child_kind=row.child_kind,
            child_ref=row.child_ref,
            parent_kind=row.parent_kind,
            parent_ref=row.parent_ref,
            role=row.role,
            created_at=row.created_at,
        )
        for row in conn.execute(query)
    ]


def children(
    conn: Connection, scope: Scope, kind: str, prefix: str, *, role: str
) -> list[tuple[str, str, str]]:
    """Return (kind, ref, parent's ref) of what was made from things of a kind whose refs begin with `prefix`."""
    query = select(edges.c.child_kind, edges.c.child_ref, edges.c.parent_ref).where(
        edges.c.tenant == scope.tenant,
        edges.c.project == scope.project,
        edges.c.parent_kind == kind,
        edges.c.parent_ref.startswith(prefix, autoescape=True),
        edges.c.role == role,
    )
    return [tuple(row) for row in conn.execute(query.order_by(edges.c.created_at, edges.c.child_ref))]


def made_of(conn: Connection, scope: Scope, things: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return everything (kind, ref) that was made of one of `things`, however far down, sorted, without themselves."""
    given = set(things)
    seen, frontier = set(given), set(given)
    while frontier:
        by_kind: dict[str, list[str]] = {}
        for kind, ref in sorted(frontier):
            by_kind.setdefault(kind, []).append(ref)
        frontier = {child for kind, refs in by_kind.items() for child in _children(conn, scope, kind, refs)}
        frontier -= seen
        seen |= frontier
    return sorted(seen - given)


def _children(conn: Connection, scope: Scope, kind: str, refs: list[str]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for start in range(0, len(refs), _CHUNK):
        query = select(edges.c.child_kind, edges.c.child_ref).where(
            edges.c.tenant == scope.tenant,
            edges.c.project == scope.project,
            edges.c.parent_kind == kind,
            edges.c.parent_ref.in_(refs[start : start + _CHUNK]),
        )
        found |= {(row.child_kind, row.child_ref) for row in conn.execute(query.distinct())}
    return found


def name_kind(kind: str, namer: Namer) -> None:
    """Ask `namer` what things of a kind are called whose refs are ids; see app/policies.py."""
    _namers[kind] = namer


def names_of(uow: Any, scope: Scope, things: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return what people call those of the things whose refs do not say it."""
    by_kind: dict[str, list[str]] = {}
    for kind, ref in sorted(set(things)):
        by_kind.setdefault(kind, []).append(ref)
    return {
        (kind, ref): name
        for kind, refs in by_kind.items()
        if kind in _namers
        for ref, name in _namers[kind](uow, scope, refs).items()
    }
