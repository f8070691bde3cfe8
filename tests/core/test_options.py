"""Options of plug-ins: what is wrong is named, and what is left out has its default."""

from typing import Any

import msgspec
import pytest

from penstock.core.errors import Invalid
from penstock.core.options import converted


class Options(msgspec.Struct, frozen=True):
    threads: int = 2
    device: str = "cpu"


def test_what_is_left_out_has_its_default() -> None:
    assert converted("it", Options, {"device": "cuda"}) == Options(threads=2, device="cuda")


@pytest.mark.parametrize(
    ("options", "said"),
    [({"thread": 1}, "it has no option 'thread'"), ({"threads": "3"}, "options of it are wrong")],
)
def test_what_is_wrong_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        converted("it", Options, options)


def test_a_text_of_a_command_line_may_stand_for_a_number() -> None:
    assert converted("it", Options, {"threads": "3"}, strict=False).threads == 3
