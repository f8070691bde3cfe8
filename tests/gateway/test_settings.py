"""What the section `[gateway]` takes."""

from pathlib import Path

import pytest

from penstock.core.errors import Invalid
from penstock.core.settings import load
from penstock.gateway.settings import GatewaySettings


@pytest.mark.parametrize(
    ("key", "given"), [("batch_leaves", -0.1), ("batch_leaves", 50), ("cache_embedder_seconds", 0)]
)
def test_a_part_or_time_out_of_range_is_refused(tmp_path: Path, key: str, given: float) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(f"[gateway]\n{key} = {given}")
    with pytest.raises(Invalid, match=rf"\[gateway\] {key} .* must be from"):
        load(file, {}, {"gateway": GatewaySettings})
