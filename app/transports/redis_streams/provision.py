"""Waits for the server, makes sure that it can be trusted with state, and makes the topics or checks them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from redis import exceptions as redis_errors

from app.engine.errors import Inconsistent, Refused, Unavailable
from app.settings import Settings
from app.topics import topics_for
from app.transports.redis_streams.connection import CONNECT_SECONDS, Client, RedisServer
from app.transports.redis_streams.failures import describe, translated
from app.transports.redis_streams.keys import Keys, keys_for
from app.transports.redis_streams.scripts import Scripts

log = logging.getLogger(__name__)

START_SECONDS = 10.0
"""How long an unreachable server is tried before a command gives up."""

LOADING_SECONDS = 600.0
"""How long a server may take to load its data."""

RETRY_SECONDS = 0.25
OLDEST = (7, 0)

T = TypeVar("T")


async def when_ready(server: RedisServer, keys: Keys, work: Callable[[Client], Awaitable[T]]) -> T:
    """Return what `work` does with a client, once the server answers; it is done again when that goes away meanwhile.

    In a cluster that is on the node that holds our keys. Raises `Unavailable` after `START_SECONDS`, others at once.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    told = False
    while True:
        try:
            await _find_node(server, keys)
            async with aclosing(server.client(CONNECT_SECONDS)) as client:
                return await work(client)
        except Unavailable as error:
            loading = isinstance(error.__cause__, redis_errors.BusyLoadingError)
            if loading and not told:
                log.warning("The server %s is still loading its data; waiting for it", server.name)
                told = True
            waited = loop.time() - started
            if waited > (LOADING_SECONDS if loading else START_SECONDS):
                cause = describe(error.__cause__ or error)
                raise Unavailable(
                    f"no Redis at {server.name} (ORDERS_BROKER) within {waited:.0f} s: "
                    f"{cause}{server.hint(error.__cause__)}"
                ) from error
        await asyncio.sleep(RETRY_SECONDS)


async def _find_node(server: RedisServer, keys: Keys) -> None:
    await server.ensure()
    if server.slot is not None:
        return
    async with aclosing(server.client(CONNECT_SECONDS)) as client:
        with translated(f"connecting to {server.name}"):
            await client.ping()
            if (await client.info("cluster")).get("cluster_enabled"):
                server.slot = int(await client.execute_command("CLUSTER KEYSLOT", keys.topic("")))
    await server.ensure()


async def prepare(server: RedisServer, settings: Settings) -> None:
    """Wait for the server, check it, and make the topics; raises the engine's errors."""
    keys = keys_for(settings)

    async def look(client: Client) -> bool:
        keeps = await check_server(client, server, keys)
        await ensure_topics(client, keys, settings)
        return keeps

    if not await when_ready(server, keys, look):
        log.warning(
            "The server %s keeps no append-only file (appendonly no): a crash loses what came last", server.name
        )


async def check_server(client: Client, server: RedisServer, keys: Keys) -> bool:
    """Refuse a server that would lose or refuse what we write; returns whether it keeps an append-only file."""
    with translated(f"looking at {server.name}"):
        info = await client.info()
    _check(info, server.name)
    with translated(f"the commands that are needed on {server.name}"):
        await Scripts(client)("probe", [f"{keys.tag}:probe"], [])
    return bool(info.get("aof_enabled"))


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


async def ensure_topics(client: Client, keys: Keys, settings: Settings) -> None:
    """Make the topics that are not there; raises `Inconsistent` if one has another number of partitions."""
    for topic in topics_for(settings.topic_prefix, settings.app_id):
        with translated(f"making the topic {topic} ({keys.topic(topic)})"):
            await client.hsetnx(keys.topic(topic), "partitions", str(settings.partitions))
            count = int(await client.hget(keys.topic(topic), "partitions") or 0)
        if count != settings.partitions:
            raise Inconsistent(
                f"topic {topic} has {count} partitions, but ORDERS_PARTITIONS is {settings.partitions}; "
                f"set ORDERS_PARTITIONS={count}, or use other topics (ORDERS_TOPIC_PREFIX, ORDERS_APP_ID)"
            )
