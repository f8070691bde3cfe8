"""How much of everything a demo run makes."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Numbers of rows and calls; recorded as the run's inputs."""

    seed: int = 0
    history: int = 4000
    """Historical tickets before cleaning."""
    test: int = 500
    """Held-out tickets."""
    calls: int = 400
    """Production tickets sent to the first model; reviewers look at all of them."""
    canary_calls: int = 120
    """Production tickets sent while the second model is a canary."""

    def inputs(self) -> dict[str, Any]:
        """Return the numbers as the pipeline's inputs."""
        return asdict(self)
