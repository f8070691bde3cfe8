"""Keys, sessions and projects: who may come in, and how far."""

from datetime import timedelta

import pytest

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.auth.model import digest
from penstock.core.errors import Denied, Invalid, NotFound, Unauthenticated
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope


def test_a_key_lets_in_until_it_is_revoked(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        key, secret = auth.create_key(uow, actor, name="ci", role=Role.GATEWAY)
        assert auth.authenticate(uow, secret).role is Role.GATEWAY
        before = home.settings is not None and auth.list_keys(uow, actor)[0].hint
        auth.revoke_key(uow, actor, key_id=key.id)
        with pytest.raises(Unauthenticated):
            auth.authenticate(uow, secret)
        with pytest.raises(NotFound):
            auth.revoke_key(uow, actor, key_id=key.id)
    assert before == secret[:9]
    assert auth.active_keys(home) == {}


def test_the_secret_itself_is_nowhere_in_the_database(sqlite_home: Home) -> None:
    with sqlite_home.begin() as uow:
        owner, _ = auth.ensure_owner(uow)
        _, secret = auth.create_key(uow, owner.actor(), name="ci")
    sqlite_home.close()
    stored = b"".join(path.read_bytes() for path in sqlite_home.path.glob("penstock.db*"))
    assert secret.encode() not in stored


def test_a_key_ends_at_its_time(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        _, secret = auth.create_key(uow, actor, name="short", expires_in=timedelta(hours=1))
        assert auth.authenticate(uow, secret).name == "short"
        with (
            clock.frozen(clock.now() + timedelta(hours=2)),
            pytest.raises(Unauthenticated, match="not valid"),
        ):
            auth.authenticate(uow, secret)


def test_nobody_makes_a_key_above_themselves(home: Home, actor: Actor) -> None:
    admin = Actor(id="key_a", name="a", role=Role.ADMIN, scope=actor.scope)
    with home.begin() as uow:
        with pytest.raises(Denied, match="cannot make a key"):
            auth.create_key(uow, admin, name="x", role=Role.OWNER)
        with pytest.raises(Invalid):
            auth.create_key(uow, admin, name="  ")
        with pytest.raises(Invalid, match="models"):
            auth.create_key(uow, admin, name="k", models=["chat", " "])
        with pytest.raises(Invalid, match="models"):
            auth.create_key(uow, admin, name="k", models=["chat"] * (auth.MAX_MODELS + 1))
        key, _ = auth.create_key(uow, admin, name="k", models=[" chat", "oa/*", "chat"])
        assert key.models == ("chat", "oa/*") == auth.get_key(uow, admin, key_id=key.id).models


def test_a_sign_in_link_works_once_and_for_an_hour(home: Home) -> None:
    with home.begin() as uow:
        owner, made = auth.ensure_owner(uow)
        again, made_again = auth.ensure_owner(uow)
        assert (made, made_again, owner.id) == (True, False, again.id)
        token = auth.create_sign_in(uow, owner)
        session = auth.sign_in(uow, token)
        assert auth.session_actor(uow, session).role is Role.OWNER
        with pytest.raises(Unauthenticated, match="used already"):
            auth.sign_in(uow, token)
        late = auth.create_sign_in(uow, owner)
        with (
            clock.frozen(clock.now() + timedelta(minutes=61)),
            pytest.raises(Unauthenticated, match="expired"),
        ):
            auth.sign_in(uow, late)
        auth.sign_out(uow, session)
        with pytest.raises(Unauthenticated, match="session is over"):
            auth.session_actor(uow, session)


def test_a_key_of_one_project_stays_there(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        auth.create_project(uow, actor, name="other")
        _, secret = auth.create_key(uow, actor, name="bound")
        bound = auth.authenticate(uow, secret)
        with pytest.raises(Denied, match="belongs to the project"):
            auth.enter_project(uow, bound, "other")
        with pytest.raises(NotFound, match="no project"):
            auth.enter_project(uow, actor, "nowhere")
        assert auth.enter_project(uow, actor, "other").scope.project == "other"
        assert [p.name for p in auth.list_projects(uow, bound)] == ["default"]


def test_changes_bump_the_revision(home: Home, actor: Actor) -> None:
    before = home.revision(auth.TOPIC)
    with home.begin() as uow:
        auth.create_key(uow, actor, name="k")
    assert home.revision(auth.TOPIC) == before + 1


def test_a_rotated_key_keeps_its_id_and_its_old_secret_for_the_grace(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        key, first = auth.create_key(uow, actor, name="ci")
        same, second = auth.rotate_key(uow, actor, key_id=key.id, grace=timedelta(hours=1))
        assert (same.id, same.name) == (key.id, key.name)
        assert same.hint == second[:9]
        assert auth.authenticate(uow, first).id == auth.authenticate(uow, second).id == key.id
    assert len(auth.active_keys(home)) == 2
    with clock.frozen(clock.now() + timedelta(hours=2)), home.begin() as uow:
        assert auth.authenticate(uow, second).id == key.id
        with pytest.raises(Unauthenticated):
            auth.authenticate(uow, first)
        assert list(auth.active_keys(home)) == [digest(second)]
        _, third = auth.rotate_key(uow, actor, key_id=key.id)
        for old in (first, second):
            with pytest.raises(Unauthenticated):
                auth.authenticate(uow, old)
        auth.revoke_key(uow, actor, key_id=key.id)
        with pytest.raises(Unauthenticated):
            auth.authenticate(uow, third)
        with pytest.raises(NotFound):
            auth.rotate_key(uow, actor, key_id=key.id)


def test_nobody_rotates_a_key_that_is_not_theirs(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        wide, _ = auth.create_key(uow, actor, name="wide", any_project=True)
        owners, _ = auth.create_key(uow, actor, name="owners", role=Role.OWNER)
        bound = Actor(id="key_b", name="b", role=Role.ADMIN, scope=actor.scope)
        for key in (wide, owners):
            with pytest.raises(Denied, match="cannot rotate"):
                auth.rotate_key(uow, bound, key_id=key.id)
        for scope in (Scope("other", "default"), Scope("default", "other")):
            stranger = Actor(id="key_s", name="s", role=Role.OWNER, scope=scope)
            with pytest.raises(NotFound):
                auth.rotate_key(uow, stranger, key_id=owners.id)
        with pytest.raises(Invalid, match="30 days"):
            auth.rotate_key(uow, actor, key_id=owners.id, grace=timedelta(days=31))
