import sys
from pathlib import Path

import pytest

from penstock.core.deferred import deferred


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "slow_to_load.py").write_text("figure = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_to_load", raising=False)
    return "slow_to_load"


def test_the_first_use_loads(module: str) -> None:
    stand_in = deferred(module)
    assert module not in sys.modules
    assert stand_in.figure == 7
    assert sys.modules[module].figure == 7


def test_setting_and_deleting_reach_the_real_module(module: str) -> None:
    stand_in = deferred(module)
    stand_in.figure = 8
    assert sys.modules[module].figure == 8
    del stand_in.figure
    assert not hasattr(sys.modules[module], "figure")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        _ = deferred("no_such_module_anywhere").figure
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = deferred("json").no_such_name
