"""The cache of a gateway: finds answers that were given before, and keeps new ones.

Order of a look-up: memory of this process; the table all processes share, if it is known to have the answer; then,
where the route's policy is semantic, the nearest request of the same bucket. None of it waits for the database
unless the database is known to have the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from penstock.core import clock, log
from penstock.core.deferred import deferred
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.gateway.cache import digest as digests
from penstock.gateway.cache import store
from penstock.gateway.cache.directives import Directives, directives
from penstock.gateway.cache.memory import Entry, Memory
from penstock.gateway.cache.model import ALL_ROUTES, HASHED, CachePolicy, CacheStats, Embedder, Hit
from penstock.gateway.cache.nearest import Nearest, packed
from penstock.gateway.cache.shared import Shared
from penstock.gateway.cache.standing import Standing
from penstock.gateway.cache.storable import storable
from penstock.gateway.cache.store import Row
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation
from penstock.gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from penstock.gateway.cache import embed
else:
    embed = deferred("penstock.gateway.cache.embed")  # numpy comes with the first text to measure

Embed = Callable[[Scope, str, Embedder, str], Awaitable[list[float]]]
"""(project, route, embedder, text) → its vector, of a provider's embedding model."""
_SHARED = Scope().project
"""The project whose routes, and so whose caches, the others of its tenant inherit."""
_log = log.get("gateway")


class Cache:
    """One per web process. `start` before the first call, `close` at the end; counters since the start."""

    def __init__(self, home: Home, *, embed: Embed | None = None) -> None:
        """`embed` serves policies whose embedder is a provider's model; without it these are exact only."""
        settings = home.settings.section(GatewaySettings)
        self._home = home
        self.embed = embed
        self.memory = Memory(settings.cache_memory_mb * 1024 * 1024)
        self.nearest = Nearest()
        self.shared = Shared(
            home, self.memory, self.nearest, limit_bytes=settings.cache_disk_mb * 1024 * 1024
        )
        self.standing = Standing()
        self.hits = self.semantic_hits = self.misses = self.bypasses = self.stored = self.refused = 0

    def start(self) -> None:
        """Read the policies and what is kept, and watch for changes; raises what reading the database raises."""
        self.shared.start()

    def close(self) -> None:
        """Write what is still queued."""
        self.shared.close()

    def policy(self, scope: Scope, route: str) -> CachePolicy | None:
        """Return the policy in force: the project's, or that of the tenant's default project, for routes alike."""
        policies = self.shared.policies
        held = policies.get(scope)
        found = None if held is None else held.get(route) or held.get(ALL_ROUTES)
        if found is not None or scope.project == _SHARED:
            return found
        held = policies.get(Scope(scope.tenant))
        return None if held is None else held.get(route) or held.get(ALL_ROUTES)

    def plan(
        self,
        scope: Scope,
        route: str,
        key_id: str | None,
        operation: Operation,
        headers: dict[bytes, bytes],
        envelope: Envelope,
        *,
        variant: str = "",
    ) -> "CachePlan | None":
        """Return what the cache can do for a call, or None when its route keeps nothing.

        `envelope` is the request as it would go out, after the guards on input. `key_id` is the key's or, without
        one, the person's id. `variant` tells apart calls whose answers differ for a reason outside of the request:
        which stand-ins the caller's guards can put originals back for.
        """
        if not self.shared.policies:
            return None
        policy = self.policy(scope, route)
        if policy is None:
            return None
        asked = directives(headers)
        if not (asked.look or asked.keep) or digests.is_stateful(envelope):
            self.bypasses += 1
            return CachePlan(self, policy, scope, route, operation, envelope)
        whose = digests.who(scope, route, (key_id or "") if policy.scope == "key" else None, variant)
        plan = CachePlan(self, policy, scope, route, operation, envelope)
        plan.prepare(whose, digests.digest(whose, operation, headers, envelope), asked, headers)
        return plan

    def stats(self, scope: Scope) -> CacheStats:
        """Return what is kept for the project, and what this process did; reads the database."""
        with self._home.read() as uow:
            entries, size = store.totals(uow.conn, scope)
        return CacheStats(
            entries=entries,
            bytes=size,
            memory_entries=len(self.memory),
            memory_bytes=self.memory.size,
            hits=self.hits,
            semantic_hits=self.semantic_hits,
            misses=self.misses,
            bypasses=self.bypasses,
            stored=self.stored,
            refused=self.refused,
            dropped=self.shared.dropped,
        )


class CachePlan:
    """What the cache does for one call: look, and later keep the answer."""

    __slots__ = (
        "_asked", "_bucket", "_cache", "_digest", "_envelope", "_headers", "_measured", "_operation", "_policy",
        "_route", "_scope", "_vector", "_whose", "state",
    )  # fmt: skip

    def __init__(
        self,
        cache: Cache,
        policy: CachePolicy,
        scope: Scope,
        route: str,
        operation: Operation,
        envelope: Envelope,
    ) -> None:
        self._cache = cache
        self._policy = policy
        self._scope = scope
        self._route = route
        self._operation = operation
        self._envelope = envelope
        self._digest = b""
        self._bucket: bytes | None = None
        self._vector: Any = None
        self._measured = False
        self.state = "bypass"
        """`hit`, `miss` or `bypass`: the answer's header `x-penstock-cache`, and what the trace says."""

    def prepare(self, whose: bytes, digest: bytes, asked: Directives, headers: dict[bytes, bytes]) -> None:
        """Set which request this is and what its headers ask for."""
        self._whose, self._digest, self._asked, self._headers = whose, digest, asked, headers
        self.state = "miss"

    @property
    def _active(self) -> bool:
        return bool(self._digest)

    def find_now(self) -> Hit | None:
        """Return the answer if this process holds it; never waits."""
        if not self._active or not self._asked.look:
            return None
        now = clock.now_ns() / 1e9
        entry = self._cache.memory.get(self._digest, now)
        return None if entry is None else self._hit(self._digest, entry, now, "exact", 1.0)

    async def find(self) -> Hit | None:
        """Return the answer if any process holds it, or one of the same meaning; counts a miss when there is none."""
        hit = self.find_now()
        if hit is None and self._active and self._asked.look:
            now = clock.now_ns() / 1e9
            hit = await self._from_table(self._digest, now, "exact", 1.0)
            if hit is None and self._policy.mode == "semantic":
                hit = await self._nearest(now)
        if hit is None and self._active:
            self._cache.misses += 1
        return hit

    async def _from_table(self, digest: bytes, now: float, kind: str, similarity: float) -> Hit | None:
        if not self._cache.shared.holds(digest, now):
            return None
        try:
            entry = await asyncio.to_thread(self._cache.shared.load, self._scope, digest)
        except PenstockError as error:
            _log.warning("the shared cache is out of reach: %s", error)
            return None
        if entry is None or entry.expires <= now:
            return None
        return self._hit(digest, entry, now, kind, similarity)

    async def _nearest(self, now: float) -> Hit | None:
        if not await self._measure():
            return None
        assert self._bucket is not None
        for near in self._cache.nearest.find(self._bucket, self._vector, self._policy.threshold):
            entry = self._cache.memory.get(near.digest, now)
            if entry is not None:
                hit = self._hit(near.digest, entry, now, "semantic", near.similarity)
            else:
                hit = await self._from_table(near.digest, now, "semantic", near.similarity)
            if hit is not None:
                return hit
        return None

    async def _measure(self) -> bool:
        """Work out bucket and vector of the request, once; returns whether it has any."""
        if self._vector is not None or self._measured:
            return self._vector is not None
        self._measured = True
        embedder = self._policy.embedder
        found = digests.meaning(self._whose, self._operation, self._headers, self._envelope)
        if found is None:
            return False
        text, bucket = found
        if embedder.provider == HASHED:
            self._vector = embed.embed(text)
        elif not await self._ask(embedder, text):
            return False
        self._bucket = sha256(bucket + f"{embedder.provider}/{embedder.model}".encode()).digest()
        return True

    async def _ask(self, embedder: Embedder, text: str) -> bool:
        """Set the vector that a provider's model gives the text; returns whether there is one."""
        ask, standing, key = self._cache.embed, self._cache.standing, (self._scope, embedder)
        if ask is None or not standing.worth_asking(key):
            return False
        try:
            self._vector = embed.unit(await ask(self._scope, self._route, embedder, text))
        except PenstockError as error:
            standing.failed(key, error)
            return False
        standing.worked(key)
        return True

    def _hit(self, digest: bytes, entry: Entry, now: float, kind: str, similarity: float) -> Hit | None:
        age = max(0.0, now - entry.made)
        limit = self._asked.max_age
        if age > self._policy.ttl or (limit is not None and age > limit):
            return None
        self._cache.shared.used(digest)
        self._cache.hits += 1
        self._cache.semantic_hits += kind == "semantic"
        self.state = "hit"
        return Hit(entry.body, age, kind, similarity)

    async def keep(self, body: bytes, *, streamed: bool = False) -> bool:
        """Keep a whole answer of status 200 in the caller's shape; returns whether it was.

        `streamed` answers were put together from a stream: what that may lose makes them unfit to keep. Semantic
        policies measure the request first, if the look-up has not.
        """
        if self._active and self._asked.keep and self._policy.mode == "semantic":
            await self._measure()
        return self.store(body, streamed=streamed)

    def store(self, body: bytes, *, streamed: bool = False) -> bool:
        """Like `keep`, without ever waiting: a semantic policy keeps it for exact matches if nothing was measured."""
        if not self._active or not self._asked.keep:
            return False
        if len(body) > self._policy.max_entry_kb * 1024:
            self._cache.refused += 1
            return False
        kept = storable(self._operation, body, self._envelope, streamed=streamed)
        if kept is None:
            self._cache.refused += 1
            return False
        made = clock.now_ns() / 1e9
        expires = made + self._policy.ttl
        self._cache.memory.put(self._digest, Entry(kept, made, expires))
        vector = None
        if self._bucket is not None:
            self._cache.nearest.add(self._bucket, self._digest, self._vector)
            vector = packed(self._vector)
        times = (int(made * 1000), int(expires * 1000))
        self._cache.shared.put(
            Row(self._digest, self._scope, self._route, kept, self._bucket, vector, *times)
        )
        self._cache.stored += 1
        return True

    def headers(self, hit: Hit | None) -> list[tuple[bytes, bytes]]:
        """Return what the answer's headers say about the cache."""
        found = [(b"x-penstock-cache", self.state.encode())]
        if hit is not None:
            found.append((b"age", b"%d" % hit.age))
            if hit.kind == "semantic":
                found.append((b"x-penstock-cache-similarity", b"%.4f" % hit.similarity))
        return found
