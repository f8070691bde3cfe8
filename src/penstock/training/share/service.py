"""The verbs of training's share of the machine.

Who may go on is decided by the slice that also knows the deployments: it answers for the action `ROOM` in core.policy.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from penstock.core import clock, log, policy
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.training.running import Running
from penstock.training.share import store
from penstock.training.share.model import Claim, Claims, NoRoom, TrainingQuota

ROOM = "training.room.read"
"""Asked in core.policy with a run's id: a refusal says why the run has to wait."""
SEEN_SECONDS = 60.0
"""A claim that nobody stood by for so long belongs to a run whose process is gone."""
RENEW_SECONDS = 15.0
_LOOK_SECONDS, _WAIT_SECONDS = 2.0, 2.0
_MIB = 1 << 20

logger = log.get("training.share")
Done = TypeVar("Done")


def standing(uow: UnitOfWork) -> Claims:
    """Return every scope's claims and quotas: for who plans the machine, not for people."""
    alive = clock.now() - timedelta(seconds=SEEN_SECONDS)
    return Claims(claims=store.list_claims(uow.conn, alive), quotas=store.list_quotas(uow.conn))


def once_there_is_room(attempt: Callable[[], Done], progress: Callable[[dict[str, Any]], None]) -> Done:
    """Return what `attempt` returns; while it raises NoRoom, tell `progress` why and try again."""
    pause = threading.Event()
    while True:
        try:
            return attempt()
        except NoRoom as full:
            progress({"stage": "waiting", "reason": full.message})
        pause.wait(_WAIT_SECONDS)


def give_gpus(uow: UnitOfWork, claim: Claim, gpus: tuple[int, ...] | None) -> None:
    """Note which GPUs a run that may go on has to itself, until it stops or gives way."""
    if gpus != claim.held:
        store.set_held(uow.conn, claim, gpus)


def claim_of(actor: Actor, run_id: str, running: Running) -> Claim:
    """Return what a training run takes of the machine."""
    return Claim(
        run_id=run_id,
        scope=actor.scope,
        priority=running.priority,
        memory_bytes=running.memory_mb * running.processes * _MIB,
        since=clock.now(),
        processes=running.processes,
        gpus=running.gpus_claimed(),
    )


def drop_claim(uow: UnitOfWork, actor: Actor, run_id: str) -> None:
    """Forget the claim of something that will not go on."""
    store.drop_claim(uow.conn, actor.scope, run_id)


class Share:
    """One run's place on the machine, while somebody carries it out."""

    def __init__(self, home: Home, actor: Actor, claim: Claim) -> None:
        self._home, self._actor, self._claim = home, actor, claim
        self.gpus: tuple[int, ...] | None = None
        """Numbers of the GPUs it was given; None where none are shared out."""
        self._looked = float("-inf")
        self._obstacle = ""

    def obstacle(self) -> str:
        """Return why the run has to wait or give way now, or nothing; asked at most every two seconds."""
        if clock.monotonic() - self._looked >= _LOOK_SECONDS:
            with self._home.begin() as uow:
                uow.bump(ROOM)  # one after the other: no two runs are given the same GPU
                store.put_claim(uow.conn, self._claim, clock.now())
                found = policy.refusals(uow, self._actor, ROOM, self._claim.run_id)
                self.gpus = store.held_by(uow.conn, self._claim)
            self._looked = clock.monotonic()
            self._obstacle = " ".join(found)
        return self._obstacle

    def visible(self) -> dict[str, str]:
        """Return the environment variables that keep the run's processes to its GPUs."""
        if self.gpus is None:
            return {}
        # CUDA counts the fastest first unless told otherwise; the machine's list counts by the bus.
        numbers = ",".join(str(gpu) for gpu in self.gpus)
        return {"CUDA_VISIBLE_DEVICES": numbers, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Stand by the claim while the block lasts, whatever it is busy with: registering asks nothing of the place."""
        done = threading.Event()
        keeper = threading.Thread(target=self._stand_by, args=(done,), name="claim", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()

    def _stand_by(self, done: threading.Event) -> None:
        while not done.wait(RENEW_SECONDS):
            try:
                with self._home.begin() as uow:
                    store.stand_by(uow.conn, self._claim, clock.now())
            except Exception:
                logger.exception("claim not renewed; trying again", extra={"run": self._claim.run_id})

    def wait(self) -> None:
        """Give the GPUs back and keep the place among those who wait."""
        with self._home.begin() as uow:
            store.set_held(uow.conn, self._claim, None)
        self._looked, self.gpus = float("-inf"), None

    def leave(self) -> None:
        """Give the place back."""
        with self._home.begin() as uow:
            store.drop_claim(uow.conn, self._claim.scope, self._claim.run_id)


def quota(uow: UnitOfWork, actor: Actor) -> TrainingQuota:
    """Return how many runs of the project may go on at once."""
    uow.may(actor, "training.read")
    return store.get_quota(uow.conn, actor.scope)


def set_quota(uow: UnitOfWork, actor: Actor, wanted: TrainingQuota) -> TrainingQuota:
    """Limit how many runs of the project may go on at once; others wait. Needs the role admin."""
    uow.may(actor, "training.admin")
    store.put_quota(uow.conn, actor.scope, wanted)
    uow.audit(actor, "training.quota", actor.scope.project, runs=wanted.runs)
    return wanted
