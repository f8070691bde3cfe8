"""The prompts that calls use, compiled, in memory: a call that uses a known one touches no database."""

import asyncio
from typing import NamedTuple

from penstock.core import log
from penstock.core.errors import Invalid, NotFound, Unavailable
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.prompts import service
from penstock.prompts.service import Compiled

_log = log.get("gateway")
MAX_KNOWN = 5_000


class Wanted(NamedTuple):
    """A version of a prompt as a caller names it."""

    scope: Scope
    name: str
    version: int | None = None
    label: str | None = None


class _Known(NamedTuple):
    revision: int
    compiled: Compiled


class Shelf:
    """The prompts of one process. `refresh` runs in a thread; everything else belongs to the event loop."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._known: dict[Wanted, _Known] = {}
        self._loading: dict[Wanted, asyncio.Task[Compiled]] = {}
        self._revision = -1

    def refresh(self) -> None:
        """Notice that labels or versions have changed; called several times a second, in a thread."""
        if self._known:
            self._revision = service.revision(self._home)

    async def get(self, wanted: Wanted) -> Compiled:
        """Return the prompt, at most a moment behind the database; raises NotFound, Invalid, Unavailable.

        While the database cannot be read, what was known stays good.
        """
        known = self._known.get(wanted)
        if known is not None and known.revision == self._revision:
            return known.compiled
        task = self._loading.get(wanted)
        if task is None:
            task = self._loading[wanted] = asyncio.create_task(self._load(wanted), name="gateway prompt")
            task.add_done_callback(lambda done: self._loaded(wanted, done))
        try:
            return await asyncio.shield(task)
        except (NotFound, Invalid):
            self._known.pop(wanted, None)
            raise
        except Exception as error:
            if known is None:
                raise Unavailable("The prompt cannot be read just now.", retry_after=1) from error
            _log.warning("the prompt %s stays as it was: %s", known.compiled.version.ref, error)
            return known.compiled

    def _loaded(self, wanted: Wanted, done: asyncio.Task[Compiled]) -> None:
        self._loading.pop(wanted, None)
        if not done.cancelled():
            done.exception()  # every caller may have left before it came

    async def _load(self, wanted: Wanted) -> Compiled:
        revision, compiled = await asyncio.to_thread(self._read, wanted)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[wanted] = _Known(revision, compiled)
        self._revision = max(self._revision, revision)
        return compiled

    def _read(self, wanted: Wanted) -> tuple[int, Compiled]:
        revision = service.revision(self._home)
        scope, name, version, label = wanted
        return revision, service.compiled(self._home, scope, name=name, version=version, label=label)
