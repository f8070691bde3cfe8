"""Settings: sources in order, unknown keys refused, secrets hidden."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.core.errors import Invalid
from penstock.core.settings import CoreSettings, ServerSettings, load, within

SECTIONS = {"core": CoreSettings, "server": ServerSettings}


def test_environment_wins_over_file_and_file_over_default(tmp_path: Path) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text('[server]\nport = 9000\nhost = "127.0.0.2"\n')
    settings = load(file, {"PENSTOCK_SERVER__PORT": "9001"}, SECTIONS)
    server = settings.section(ServerSettings)
    assert (server.port, server.host, server.workers) == (9001, "127.0.0.2", 1)
    origins = {row["key"]: row["origin"] for row in settings.origins()}
    assert (origins["port"], origins["host"], origins["workers"]) == ("environment", str(file), "default")


def test_a_value_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:p@host/db\n")
    settings = load(None, {"PENSTOCK_CORE__DATABASE_URL_FILE": str(tmp_path / "url")}, SECTIONS)
    assert settings.section(CoreSettings).database_url == "postgresql://u:p@host/db"
    shown = {row["key"]: row["value"] for row in settings.origins()}
    assert shown["database_url"] == "[redacted]"


@pytest.mark.parametrize(
    ("toml", "environ", "says"),
    [
        ("[server]\nprot = 1", {}, "Did you mean 'port'"),
        ("[sever]\nport = 1", {}, "Did you mean 'server'"),
        ('[server]\nport = "many"', {}, "must be of type int"),
        ("[server]\nport = true", {}, "must be of type int"),
        ("server = 3", {}, "must be a table"),
        ("[server", {}, "not valid TOML"),
        ("", {"PENSTOCK_SERVER__PROT": "1"}, "Did you mean 'port'"),
        ("", {"PENSTOCK_CORE__DATABASE_URL_FILE": "/nonexistent"}, "cannot be read"),
        ("", {"PENSTOCK_CORE__ALLOW_PRIVATE_URLS": "perhaps"}, "must be of type bool"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, toml: str, environ: dict[str, str], says: str) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(toml)
    with pytest.raises(Invalid) as told:
        load(file, environ, SECTIONS)
    assert says in str(told.value)


def test_an_unregistered_section_has_its_defaults() -> None:
    @dataclass(frozen=True)
    class Mine:
        """A stranger's section."""

        size: int = 3

    assert load(None, {}, SECTIONS).section(Mine).size == 3


@dataclass(frozen=True, kw_only=True)
class Bounded:
    """A section with a number that has bounds."""

    part: float = within(0.5, 0, 1)


@pytest.mark.parametrize("given", ["-0.1", "1.5", "nan", "inf"])
def test_a_number_out_of_range_is_refused(tmp_path: Path, given: str) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(f"[bounded]\npart = {given}")
    for environ in ({}, {"PENSTOCK_BOUNDED__PART": given}):
        with pytest.raises(Invalid, match=r"\[bounded\] part \(from .*\) must be from 0 to 1, not"):
            load(file if not environ else None, environ, {"bounded": Bounded})


@pytest.mark.parametrize("given", ["0", "1", "0.25"])
def test_a_number_in_range_is_taken(given: str) -> None:
    made = load(None, {"PENSTOCK_BOUNDED__PART": given}, {"bounded": Bounded})
    assert made.section(Bounded).part == float(given)
