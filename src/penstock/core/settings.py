"""Settings: defaults, then penstock.toml in the home, then the environment; unknown keys are refused.

A section is a frozen dataclass registered under the entry-point group `penstock.settings`; the
entry point's name is the TOML table. `PENSTOCK_SECTION__KEY` sets one key, `PENSTOCK_SECTION__KEY_FILE`
reads it from a file (for secrets mounted by compose or Kubernetes).
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from penstock.core import plugins
from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

ENV_PREFIX = "PENSTOCK_"
RESERVED_ENV = frozenset({"HOME", "URL", "API_KEY", "ENV", "PARENT"})
"""Names after `PENSTOCK_` that are not settings: the data folder, the client's address and key, the launcher."""

T = TypeVar("T")
_RANGE = "range"


def within(default: float, least: float, most: float) -> Any:
    """Return the field of a number that `load` refuses outside of `least` to `most`."""
    return field(default=default, metadata={_RANGE: (least, most)})


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """Section `[core]`: the store, secrets and logs."""

    database_url: str = ""
    """SQLAlchemy URL of the shared database; empty means SQLite inside the home."""
    blob_url: str = ""
    """obstore URL of the blob store (file, s3, gs, az); empty means a folder inside the home."""
    blob_grace_hours: float = 24.0
    """Stored files that no record names are set aside after so many hours, and deleted after as many more."""
    durability: str = "process"
    """`process` survives kill -9; `power` also survives power loss, at one fsync per commit."""
    log_level: str = "info"
    """debug, info, warning or error."""
    log_style: str = "line"
    """`line` for people, `json` for machines."""
    allow_private_urls: bool = True
    """Whether administrators may point providers and webhooks at loopback and private addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Section `[server]`: where `penstock up` listens."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback should stand behind TLS."""
    port: int = 8600
    """Port to listen on; 0 picks a free one."""
    workers: int = 1
    """Web processes sharing the port."""
    public_url: str = ""
    """Address people use, for links; empty means http://host:port."""
    max_upload_mb: int = 2048
    """Largest file accepted by an upload, in megabytes."""
    max_connections: int = 10_000
    """Connections one web process holds; more are answered 503 and closed."""
    header_seconds: float = 10.0
    """Longest time for a request's headers to arrive; slower callers are cut off (408)."""
    body_seconds: float = 60.0
    """Longest silence inside a request's body, and of a caller who does not read the answer."""
    keep_alive_seconds: float = 75.0
    """How long an idle connection is kept open for the next request."""
    max_header_kb: int = 64
    """Largest head of a request (address and headers), in kilobytes; larger ones are refused (431)."""
    shed_lag_ms: int = 1000
    """While a web process is later than this, new gateway calls are told to come back (503); 0 never does that."""
    drain_seconds: float = 30.0
    """Longest time that calls and streams may go on after a web process was told to stop."""
    drain_delay_seconds: float = 0.0
    """How long a stopping server still takes connections while /readyz says 503: for load balancers to notice."""
    metrics: str = "key"
    """Who may read /metrics: `key` asks for a key of the project default, `open` lets everybody in."""


def _convert(value: Any, kind: Any, where: str) -> Any:
    """Return `value` (a TOML value or an environment string) as `kind`, or raise Invalid naming `where`."""
    if get_origin(kind) in (Union, UnionType):
        inner = [option for option in get_args(kind) if option is not type(None)]
        return None if value in (None, "") else _convert(value, inner[0], where)
    if kind is bool and isinstance(value, str):
        if value.lower() in ("1", "true", "yes", "on"):
            return True
        if value.lower() in ("0", "false", "no", "off"):
            return False
    elif kind in (int, float) and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return kind(value)
        except ValueError:
            pass
    elif isinstance(kind, type) and isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    elif get_origin(kind) in (list, tuple, dict) and isinstance(value, list | tuple | dict):
        return get_origin(kind)(value)
    name = getattr(kind, "__name__", str(kind))
    raise Invalid(f"{where} must be of type {name}, not {value!r}.")


def _check_range(value: float, bounds: tuple[float, float], where: str) -> None:
    least, most = bounds
    if not least <= value <= most:
        raise Invalid(f"{where} must be from {least:g} to {most:g}, not {value:g}.")


def _environment(environ: Mapping[str, str], sections: Mapping[str, type]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, value in environ.items():
        if not name.startswith(ENV_PREFIX) or "__" not in name:
            continue
        section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        known = {one.name for one in fields(sections[section])} if section in sections else set()
        if key.endswith("_file") and key not in known:
            key = key.removesuffix("_file")
            try:
                value = Path(value).read_text().strip()
            except OSError as error:
                raise Invalid(f"{name} points at {value}, which cannot be read: {error.strerror}.") from error
        found.setdefault(section, {})[key] = value
    return found


class Settings:
    """All sections, with the source of each value."""

    def __init__(
        self, sections: Mapping[str, type], values: Mapping[str, Mapping[str, tuple[Any, str]]]
    ) -> None:
        self._sections = dict(sections)
        self._values = values
        self._built = {name: self._build(name, cls) for name, cls in sections.items()}

    def _build(self, name: str, cls: type) -> Any:
        hints = get_type_hints(cls)
        given = {
            key: _convert(value, hints[key], f"[{name}] {key} (from {origin})")
            for key, (value, origin) in self._values.get(name, {}).items()
        }
        for one in fields(cls):
            if one.name in given and _RANGE in one.metadata:
                where = f"[{name}] {one.name} (from {self._values[name][one.name][1]})"
                _check_range(given[one.name], one.metadata[_RANGE], where)
        return cls(**given)

    def section(self, cls: type[T]) -> T:
        """Return the section declared by the dataclass `cls`; its defaults when it is not registered."""
        for built in self._built.values():
            if isinstance(built, cls):
                return built
        return cls()

    def origins(self) -> list[dict[str, Any]]:
        """Return one `{section, key, value, origin}` per setting, secrets redacted: for `config show`."""
        rows = []
        for name, cls in self._sections.items():
            for one in fields(cls):
                value = getattr(self._built[name], one.name)
                secret = any(word in one.name for word in ("secret", "password", "api_key", "token"))
                secret = secret or (one.name.endswith("_url") and "@" in str(value))
                origin = self._values.get(name, {}).get(one.name, (None, "default"))[1]
                shown = "[redacted]" if secret and value else value
                rows.append({"section": name, "key": one.name, "value": shown, "origin": origin})
        return rows


def declared_sections() -> dict[str, type]:
    """Return section name → dataclass, from the entry points."""
    return {name: plugins.load("settings", name) for name in plugins.names("settings")}


def load(
    toml_path: Path | None,
    environ: Mapping[str, str] | None = None,
    sections: Mapping[str, type] | None = None,
) -> Settings:
    """Return the settings from `toml_path` (if it exists) and `environ` (default: the process's).

    Raises Invalid for unreadable TOML, unknown sections or keys (with a suggestion), wrong types and numbers out of
    range.
    """
    sections = sections if sections is not None else declared_sections()
    values: dict[str, dict[str, tuple[Any, str]]] = {}
    sources: list[tuple[str, Mapping[str, Any]]] = []
    if toml_path is not None and toml_path.exists():
        try:
            sources.append((str(toml_path), tomllib.loads(toml_path.read_text())))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Invalid(f"{toml_path} is not valid TOML: {error}.") from error
    sources.append(("environment", _environment(os.environ if environ is None else environ, sections)))
    for origin, tables in sources:
        for section, table in tables.items():
            _check_known(origin, section, table, sections)
            target = values.setdefault(section, {})
            target.update({key: (value, origin) for key, value in table.items()})
    return Settings(sections, values)


def _check_known(origin: str, section: str, table: Any, sections: Mapping[str, type]) -> None:
    if section not in sections:
        raise Invalid(
            f"Unknown settings section [{section}] in {origin}.", hint=did_you_mean(section, sections)
        )
    if not isinstance(table, Mapping):
        raise Invalid(f"[{section}] in {origin} must be a table.")
    known = [one.name for one in fields(sections[section])]
    for key in table:
        if key not in known:
            raise Invalid(
                f"Unknown setting {key!r} in [{section}] of {origin}.", hint=did_you_mean(key, known)
            )


def describe(cls: type) -> list[tuple[str, str, Any]]:
    """Return `(name, type, default)` of each field of a section, in order: for docs and `config show`."""
    hints = get_type_hints(cls)
    return [
        (
            f.name,
            getattr(hints[f.name], "__name__", str(hints[f.name])),
            None if f.default is MISSING else f.default,
        )
        for f in fields(cls)
    ]
