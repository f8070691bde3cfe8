"""The verbs on what a project keeps of its traces, and how its masking reaches every door."""

import threading
from typing import Any

import msgspec

from penstock.core import clock, ids
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.core.uow import OpenedHome, UnitOfWork
from penstock.traces import policy
from penstock.traces.masking import SpanMasker
from penstock.traces.model import SpanRecord
from penstock.traces.otlp_logs import OtlpLog
from penstock.traces.policy import LetGo, Policies, Retention, Stored
from penstock.traces.settings import TracesSettings
from penstock.traces.store import keeping

TOPIC = "traces.policies"
_REFRESH_SECONDS = 1.0
_PURPOSE = "traces.hashes"


def get_policies(uow: UnitOfWork, actor: Actor) -> Stored:
    """Return what the project decided; nothing but defaults when it never did."""
    uow.may(actor, "traces.read")
    return keeping.get(uow.conn, actor.scope) or Stored(policies=Policies())


def put_policies(uow: UnitOfWork, actor: Actor, document: dict[str, Any]) -> Stored:
    """Set all policies of the project (what `document` does not name becomes the default); raises Invalid.

    Masking holds for spans that arrive from now on (within a second in other processes), retention and sampling at
    their next round.
    """
    uow.may(actor, "traces.admin", "policies")
    stored = Stored(policies=policy.parse(document), updated_at=clock.now(), updated_by=actor.name[:200])
    secret = uow.home.vault.seal(ids.new_secret("tmh").encode(), purpose=_PURPOSE)
    keeping.put(uow.conn, actor.scope, stored, secret=secret)
    uow.audit(actor, "traces.policies", actor.scope.project, policies=msgspec.to_builtins(stored.policies))
    uow.bump(TOPIC)
    return stored


def let_go(uow: UnitOfWork, actor: Actor, *, limit: int = 100) -> list[LetGo]:
    """Return how many traces the project's policies removed, per day and reason, the latest first."""
    uow.may(actor, "traces.read")
    return keeping.counted(uow.conn, actor.scope, limit=limit)


def effective(home: OpenedHome, policies: Policies) -> Retention:
    """Return the retention that holds: the project's own, else the settings'."""
    settings = home.settings.section(TracesSettings)
    own = policies.retention
    return Retention(
        days=settings.retention_days if own.days is None else own.days,
        traces=settings.retention_traces if own.traces is None else own.traces,
    )


def hash_key(uow: UnitOfWork, scope: Scope) -> bytes | None:
    """Return the key of a project's hashes, or None while it never set policies."""
    sealed = keeping.secret(uow.conn, scope)
    return uow.home.vault.open(sealed, purpose=_PURPOSE) if sealed else None


class MaskTable:
    """Every project's masking in memory, looked up again within a second of a change."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._maskers: dict[Scope, SpanMasker | None] = {}
        self._revision = -1
        self._looked = float("-inf")

    def masked(self, scope: Scope, span: SpanRecord) -> SpanRecord:
        """Return `span` without what its project does not store; raises what the database raises."""
        masker = self._masker(scope)
        return span if masker is None else masker.apply(span)

    def masked_log(self, scope: Scope, record: OtlpLog) -> OtlpLog:
        """Return a log record without what its project does not store; raises what the database raises."""
        masker = self._masker(scope)
        return record if masker is None else masker.apply_log(record)

    def _masker(self, scope: Scope) -> SpanMasker | None:
        if clock.monotonic() - self._looked > _REFRESH_SECONDS:
            self._look()
        try:
            return self._maskers[scope]
        except KeyError:
            return self._first(scope)

    def _look(self) -> None:
        with self._lock:
            revision = self._home.revision(TOPIC)
            if revision != self._revision:
                self._maskers, self._revision = {}, revision
            self._looked = clock.monotonic()

    def _first(self, scope: Scope) -> SpanMasker | None:
        with self._lock:
            if scope not in self._maskers:
                with self._home.read() as uow:
                    stored, secret = keeping.get(uow.conn, scope), hash_key(uow, scope)
                wanted = stored is not None and stored.policies.masking != policy.Masking()
                made = SpanMasker(stored.policies.masking, secret or b"") if stored and wanted else None
                self._maskers = {**self._maskers, scope: made}
            return self._maskers[scope]
