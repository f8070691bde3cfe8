"""The verbs of authentication. Bumps the revision topic `auth` on every change."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from penstock.core import clock, ids
from penstock.core.auth import store
from penstock.core.auth.model import Key, Person, Project, digest
from penstock.core.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.core.uow import UnitOfWork

TOPIC = "auth"
SIGN_IN_MINUTES = 60
SESSION_DAYS = 30
GRACE_DAYS = 30
MAX_MODELS = 100
_PROJECT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def create_key(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    role: Role = Role.MEMBER,
    any_project: bool = False,
    models: Sequence[str] = (),
    expires_in: timedelta | None = None,
) -> tuple[Key, str]:
    """Make a key in the actor's project; returns it with its secret, which is shown this once.

    `models` are the names of the only models that its calls may use, with `*` and `?` for anything. Raises Denied
    when the role is above the actor's own, Invalid for an empty or overlong name or too many models.
    """
    uow.may(actor, "keys.admin", name)
    if not 1 <= len(name.strip()) <= 200:
        raise Invalid("A key needs a name of 1 to 200 characters.")
    if len(models) > MAX_MODELS or not all(0 < len(each.strip()) <= 300 for each in models):
        raise Invalid(f"A key names at most {MAX_MODELS} models, each of 1 to 300 characters.")
    if role.rank > actor.role.rank:
        raise Denied(f"{actor.name} is {actor.role} and cannot make a key with the role {role}.")
    if not store.project_exists(uow.conn, actor.scope.tenant, actor.scope.project):
        raise NotFound(f"There is no project {actor.scope.project!r}.", hint="Create it first.")
    secret, moment = ids.new_secret("psk"), clock.now()
    key = Key(
        id=ids.new_id("key"),
        name=name.strip(),
        hint=secret[:9],
        owner=actor.id,
        role=role,
        scope=actor.scope,
        any_project=any_project,
        created_at=moment,
        models=tuple(dict.fromkeys(each.strip() for each in models)),
        expires_at=moment + expires_in if expires_in else None,
    )
    store.insert_key(uow.conn, key, digest(secret))
    uow.audit(actor, "keys.create", key.id, name=key.name, role=str(role))
    uow.bump(TOPIC)
    return key, secret


def list_keys(uow: UnitOfWork, actor: Actor) -> list[Key]:
    """Return the project's keys, newest first, revoked ones included."""
    uow.may(actor, "keys.read")
    return list(store.list_keys(uow.conn, actor.scope))


def revoke_key(uow: UnitOfWork, actor: Actor, *, key_id: str) -> None:
    """Revoke a key: every process refuses it within a second. Raises NotFound."""
    uow.may(actor, "keys.admin", key_id)
    if not store.revoke_key(uow.conn, actor.scope, key_id, clock.now()):
        raise NotFound(f"There is no active key {key_id!r}.", hint="See `penstock keys list`.")
    uow.audit(actor, "keys.revoke", key_id)
    uow.bump(TOPIC)


def get_key(uow: UnitOfWork, actor: Actor, *, key_id: str) -> Key:
    """Return a key of the project, or for any project of the tenant; raises NotFound."""
    uow.may(actor, "keys.read", key_id)
    found = store.get_key(uow.conn, actor.scope, key_id)
    if found is None:
        raise NotFound(f"There is no key {key_id!r}.", hint="See `penstock keys list`.")
    return found


def rotate_key(
    uow: UnitOfWork, actor: Actor, *, key_id: str, grace: timedelta = timedelta(0)
) -> tuple[Key, str]:
    """Give a key a new secret under the same id; returns it with the secret, which is shown this once.

    The old secret works for `grace` longer (at most 30 days; a second rotation ends it). Raises NotFound for a key that
    is unknown or revoked, Denied when the key may do more than the actor, Invalid for a wrong grace.
    """
    uow.may(actor, "keys.admin", key_id)
    key = get_key(uow, actor, key_id=key_id)
    moment = clock.now()
    if not key.active(moment):
        raise NotFound(f"There is no active key {key_id!r}.", hint="See `penstock keys list`.")
    if key.role.rank > actor.role.rank or (key.any_project and not actor.any_project):
        raise Denied(f"{actor.name} may do less than the key {key.name!r} and cannot rotate it.")
    if not timedelta(0) <= grace <= timedelta(days=GRACE_DAYS):
        raise Invalid(f"The old secret of a key may stay valid for 0 seconds to {GRACE_DAYS} days.")
    secret = ids.new_secret("psk")
    store.rotate_key(uow.conn, key, digest(secret), secret[:9], moment + grace if grace else None)
    uow.audit(actor, "keys.rotate", key.id, grace_seconds=int(grace.total_seconds()))
    uow.bump(TOPIC)
    return replace(key, hint=secret[:9]), secret


def same_person(uow: UnitOfWork, actor: Actor, other_id: str) -> bool:
    """Whether the actor and who has the id `other_id` are one person: the same, or one a key that the other made.

    Two keys that one person made count as two persons, because keys are made for others too.
    """
    if actor.id == other_id:
        return True
    made = store.owners(uow.conn, actor.scope.tenant, [actor.id, other_id])
    return made.get(actor.id) == other_id or made.get(other_id) == actor.id


def authenticate(uow: UnitOfWork, secret: str) -> Actor:
    """Return the actor of an API key; raises Unauthenticated for an unknown, expired or revoked one."""
    key = store.key_by_digest(uow.conn, digest(secret))
    if key is None or not key.active(clock.now()):
        raise Unauthenticated(
            "The API key is not valid.", hint="Make one with `penstock keys create --name NAME`."
        )
    return key.actor()


def active_keys(home: Home) -> dict[str, Key]:
    """Return digest → key for every active key: the table that hot paths look keys up in."""
    with home.read() as uow:
        moment = clock.now()
        return {found: key for found, key in store.all_active(uow.conn) if key.active(moment)}


def live_sessions(home: Home) -> dict[str, Actor]:
    """Return digest → actor for every live browser session: for the playground's gateway calls."""
    with home.read() as uow:
        return {found: person.actor() for found, person in store.all_sessions(uow.conn, clock.now())}


def create_project(uow: UnitOfWork, actor: Actor, *, name: str, description: str = "") -> Project:
    """Make a project; raises Conflict when it exists, Invalid for a bad name."""
    uow.may(actor, "projects.admin", name)
    if not _PROJECT_NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a project name.",
            hint="Use lower-case letters, digits, - and _, at most 63, starting with a letter or digit.",
        )
    project = Project(name=name, description=description, created_at=clock.now())
    if not store.add_project(uow.conn, actor.scope.tenant, project):
        raise Conflict(f"The project {name!r} exists already.")
    uow.audit(actor, "projects.create", name)
    return project


def list_projects(uow: UnitOfWork, actor: Actor) -> list[Project]:
    """Return the tenant's projects, or only the actor's own when it is bound to one."""
    uow.may(actor, "projects.read")
    found = store.list_projects(uow.conn, actor.scope.tenant)
    return (
        found if actor.any_project else [project for project in found if project.name == actor.scope.project]
    )


def enter_project(uow: UnitOfWork, actor: Actor, project: str | None) -> Actor:
    """Return the actor working in `project` (None: its own).

    Raises NotFound when there is none, Denied when the key is bound to another.
    """
    if project is None or project == actor.scope.project:
        return actor
    if not actor.any_project:
        raise Denied(f"This key belongs to the project {actor.scope.project!r}, not {project!r}.")
    if not store.project_exists(uow.conn, actor.scope.tenant, project):
        raise NotFound(f"There is no project {project!r}.", hint="See GET /api/v1/projects.")
    return actor.within(project)


def ensure_owner(uow: UnitOfWork) -> tuple[Person, bool]:
    """Return the installation's owner and whether this call made it, together with the default project."""
    scope, moment = Scope(), clock.now()
    store.add_project(uow.conn, scope.tenant, Project(name=scope.project, description="", created_at=moment))
    person = store.person_named(uow.conn, scope.tenant, "owner")
    if person is not None:
        return person, False
    person = Person(
        id=ids.new_id("usr"), tenant=scope.tenant, name="owner", role=Role.OWNER, created_at=moment
    )
    store.insert_person(uow.conn, person)
    uow.audit(person.actor(), "people.create", person.id, name=person.name)
    return person, True


def create_sign_in(uow: UnitOfWork, person: Person) -> str:
    """Return a token that signs `person` in once, within an hour."""
    token = ids.new_secret("once")
    store.insert_sign_in(uow.conn, digest(token), person.id, clock.now() + timedelta(minutes=SIGN_IN_MINUTES))
    return token


def sign_in(uow: UnitOfWork, token: str) -> str:
    """Exchange a one-time token for a session secret (30 days); raises Unauthenticated."""
    moment = clock.now()
    person = store.use_sign_in(uow.conn, digest(token), moment)
    if person is None:
        raise Unauthenticated(
            "This sign-in link was used already or has expired.", hint="Make a new one: penstock signin"
        )
    secret = ids.new_secret("ses")
    store.insert_session(uow.conn, digest(secret), person, moment, moment + timedelta(days=SESSION_DAYS))
    uow.bump(TOPIC)
    return secret


def session_actor(uow: UnitOfWork, secret: str) -> Actor:
    """Return the actor of a browser session; raises Unauthenticated."""
    person = store.session_person(uow.conn, digest(secret), clock.now())
    if person is None:
        raise Unauthenticated("The session is over.", hint="Sign in again: penstock signin prints a link.")
    return person.actor()


def sign_out(uow: UnitOfWork, secret: str) -> None:
    """End a browser session."""
    store.delete_session(uow.conn, digest(secret))
    uow.bump(TOPIC)
