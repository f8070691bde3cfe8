"""Operations that the gateway answers itself where a provider has nothing of the kind."""

from collections.abc import Callable, Mapping

from penstock.gateway.dialects import gemini_counting
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation

ESTIMATES: Mapping[Operation, Callable[[Envelope], bytes]] = {
    Operation.GEMINI_COUNT: gemini_counting.estimate,
}
"""Operation → the answer for a body; raises Invalid. See `counting` for what the figures are worth."""
