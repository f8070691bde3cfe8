"""An optimisation's place on the machine, which it shares with training runs and deployments."""

from pathlib import Path

from penstock.core import clock
from penstock.core.errors import Busy
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor
from penstock.optimise.model import Optimisation
from penstock.training import service as training
from penstock.training.model import Claim, NoRoom

_MIB = 1 << 20
_ON_GPU = "tensorrt"
"""The runner that needs a GPU where there is one; all others make and measure on the CPU."""


def place_of(home: Home, actor: Actor, found: Optimisation) -> training.Share:
    """Return the place that an optimisation asks for: its memory limit, and one GPU for TensorRT."""
    claim = Claim(
        run_id=found.id,
        scope=actor.scope,
        priority=found.trial.priority,
        memory_bytes=found.trial.memory_mb * _MIB,
        since=clock.now(),
        gpus=None if any(variant.runner == _ON_GPU for variant in found.variants) else 0,
    )
    return training.Share(home, actor, claim)


def require(place: training.Share) -> None:
    """Raise NoRoom when the machine has no room for it, or others need it more."""
    if why := place.obstacle():
        raise NoRoom(f"Waiting for room on the machine: {why}")


def lock_in(folder: Path, run_id: str) -> Path:
    """Return the file that whoever carries out an optimisation holds."""
    return folder / f"{run_id}.lock"


def is_abandoned(home: Path, run_id: str) -> bool:
    """Whether the command that carried it out on this machine is gone, or only waits for its turn."""
    lock = lock_in(home / "optimise", run_id)
    if not lock.exists():
        return False
    try:
        with exclusive(lock):
            return True
    except Busy:
        return False
