"""Waits for the server, makes sure that it can be trusted with state, and makes the topics or checks them."""

import asyncio
import logging
from typing import Any

from redis import exceptions as redis_errors

from app.engine.errors import EngineError, Inconsistent, Refused, Unavailable
from app.settings import Settings
from app.topics import topics_for
from app.transports.redis_streams.connection import Client, RedisServer, describe, translated
from app.transports.redis_streams.keys import Keys, keys_for
from app.transports.redis_streams.scripts import Scripts

log = logging.getLogger(__name__)

START_SECONDS = 10.0
"""How long an unreachable server is tried before a command gives up."""

LOADING_SECONDS = 600.0
"""How long a server may take to load its data."""

RETRY_SECONDS = 0.25
OLDEST = (7, 0)


async def wait_for_redis(server: RedisServer) -> None:
    """Return once the server answers; raises `Unavailable` after `START_SECONDS`, `Refused` at once.

    In a cluster, from then on the node is spoken to that holds our keys.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    told = False
    while True:
        try:
            await server.ensure()
            client = server.client()
            try:
                with translated(f"connecting to {server.name}"):
                    await client.ping()
            finally:
                await client.aclose()
        except Unavailable as error:
            loading = isinstance(error.__cause__, redis_errors.BusyLoadingError)
            if loading and not told:
                log.warning("The server %s is still loading its data; waiting for it", server.name)
                told = True
            if loop.time() - started > (LOADING_SECONDS if loading else START_SECONDS):
                cause = describe(error.__cause__ or error)
                raise Unavailable(
                    f"no Redis at {server.name} (ORDERS_BROKER) within {loop.time() - started:.0f} s: {cause}"
                ) from error
        else:
            return
        await asyncio.sleep(RETRY_SECONDS)


async def prepare(server: RedisServer, settings: Settings) -> None:
    """Wait for the server, check it, and make the topics; raises the engine's errors."""
    await wait_for_redis(server)
    keys = keys_for(settings)
    await find_node(server, keys)
    client = server.client()
    try:
        with translated(f"looking at {server.name}"):
            _check(await client.info(), server.name)
            await _check_rights(client, keys, server.name)
            await _ensure_topics(client, keys, settings)
    finally:
        await client.aclose()


def _check(info: dict[str, Any], name: str) -> None:
    """Refuse a server that would lose or refuse what we write."""
    version = str(info.get("redis_version", "0.0"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise Refused(f"the server {name} is Redis {version}; 7.0 is the oldest that works (or Valkey 8)")
    if info.get("role") == "slave":
        raise Refused(f"the server {name} is a replica and takes no writes; name its primary in ORDERS_BROKER")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise Refused(
            f"the server {name} has maxmemory-policy {policy}: it would delete state when its memory is full; "
            "set it to noeviction (redis-cli CONFIG SET maxmemory-policy noeviction, and in its configuration file)"
        )
    if not info.get("aof_enabled"):
        log.warning("The server %s keeps no append-only file (appendonly no): what it forgets in a crash is lost", name)


async def _check_rights(client: Client, keys: Keys, name: str) -> None:
    probe = f"{keys.tag}:probe"
    try:
        await Scripts(client)("probe", [probe], [])
        await client.xread({probe: "0-0"}, count=1)
        await client.hscan(probe, count=1)
        await client.hget(probe, "f")
        await client.hlen(probe)
    except redis_errors.RedisError as error:
        with translated(f"the commands that are needed on {name} (keys {keys.tag}:*)"):
            raise
        raise EngineError(describe(error)) from error  # translated always raises; this tells the type checker so


async def find_node(server: RedisServer, keys: Keys) -> None:
    """In a Redis Cluster, go to the node that holds the slot of our hash tag."""
    client = server.client()
    try:
        with translated(f"looking for the cluster of {server.name}"):
            if not (await client.info("cluster")).get("cluster_enabled"):
                return
            slot = int(await client.execute_command("CLUSTER KEYSLOT", keys.topic("")))
            raw: list[Any] = await client.execute_command("CLUSTER SLOTS")
    finally:
        await client.aclose()
    for slots, (host, port, *_) in _slots(raw):
        if slot in slots:
            server.moved(host, port)
            return
    raise Unavailable(f"no node of the cluster of {server.name} holds slot {slot}")


def _slots(raw: Any) -> list[tuple[range, tuple[str, int]]]:
    """Return who holds which slots, from the answer in whichever shape the client gives it."""
    if isinstance(raw, dict):
        return [(range(low, high + 1), found["primary"][:2]) for (low, high), found in raw.items()]
    return [
        (range(int(low), int(high) + 1), (host.decode() if isinstance(host, bytes) else host, int(port)))
        for low, high, (host, port, *_), *_ in raw
    ]


async def _ensure_topics(client: Client, keys: Keys, settings: Settings) -> None:
    for topic in topics_for(settings.topic_prefix, settings.app_id):
        await client.hsetnx(keys.topic(topic), "partitions", str(settings.partitions))
        count = int(await client.hget(keys.topic(topic), "partitions") or 0)
        if count != settings.partitions:
            raise Inconsistent(
                f"topic {topic} has {count} partitions, but ORDERS_PARTITIONS is {settings.partitions}; "
                f"set ORDERS_PARTITIONS={count}, or use other topics (ORDERS_TOPIC_PREFIX, ORDERS_APP_ID)"
            )
