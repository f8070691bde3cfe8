"""All limits and budgets in memory, indexed by whom they are for."""

from collections.abc import Iterable, Iterator
from typing import Any

from penstock.gateway.limits.model import EACH, Budget, NamedLimits, Subject, SubjectKind

_Place = tuple[SubjectKind, str, str, str]


class Rules:
    """What is allowed to whom; immutable, swapped whole when it changes."""

    def __init__(
        self, limits: Iterable[NamedLimits] = (), budgets: Iterable[Budget] = (), revision: int = -1
    ) -> None:
        self.revision = revision
        self.by_id: dict[str, NamedLimits | Budget] = {}
        self._limits: dict[_Place, NamedLimits] = {}
        self._budgets: dict[_Place, list[Budget]] = {}
        for named in limits:
            self.by_id[named.id] = named
            self._limits[_place(named)] = named
        for budget in budgets:
            self.by_id[budget.id] = budget
            self._budgets.setdefault(_place(budget), []).append(budget)

    def __bool__(self) -> bool:
        return bool(self.by_id)

    def limits_of(self, subject: Subject) -> Iterator[tuple[NamedLimits, str]]:
        """Yield the rate limits of a call with whose they are; one's own come before those of each."""
        if subject.money_only:
            return
        for kind, project, name in _names(subject):
            own = self._limits.get((kind, subject.tenant, project, name))
            found = own or self._limits.get(_each(kind, subject))
            if found is not None:
                yield found, name

    def budgets_of(self, subject: Subject) -> Iterator[tuple[Budget, str]]:
        """Yield every budget that a call is counted against, with whose it is."""
        for kind, project, name in _names(subject):
            for budget in self._budgets.get((kind, subject.tenant, project, name), ()):
                yield budget, name
            for budget in self._budgets.get(_each(kind, subject), ()):
                yield budget, name


def _names(subject: Subject) -> Iterator[tuple[SubjectKind, str, str]]:
    if subject.key_id:
        yield SubjectKind.KEY, "", subject.key_id
    if subject.user:
        yield SubjectKind.USER, subject.project, subject.user
    yield SubjectKind.PROJECT, "", subject.project
    yield SubjectKind.TENANT, "", subject.tenant
    if subject.route:
        yield SubjectKind.ROUTE, subject.project, subject.route


def _each(kind: SubjectKind, subject: Subject) -> _Place:
    project = "" if kind in (SubjectKind.PROJECT, SubjectKind.TENANT) else subject.project
    return kind, subject.tenant, project, EACH


def _place(rule: Any) -> _Place:
    # A key, a project and a tenant are known by their name in the whole tenant; users and routes inside a project.
    kind: SubjectKind = rule.kind
    wide = kind in (SubjectKind.PROJECT, SubjectKind.TENANT) or (
        kind is SubjectKind.KEY and rule.subject != EACH
    )
    return kind, rule.tenant, "" if wide else rule.project, rule.subject
