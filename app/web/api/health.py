"""`/healthz` and `/readyz`: for whoever starts, restarts and routes to this worker."""

from aiohttp import web

from app.web.answers import answer
from app.web.errors import ApiError, not_ready
from app.web.node import Node
from app.web.reading.own_status import joined


def health_routes(node: Node) -> list[web.RouteDef]:
    """Return the routes of probes."""

    async def healthz(_request: web.Request) -> web.Response:
        """Whether this process should live on."""
        if node.failure is not None:
            raise ApiError(503, "failing", f"the worker is ending: {node.failure}")
        return answer({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        """Whether this worker has its place in the group, and runs everything that it owns."""
        if node.failure is not None:
            raise not_ready(f"the worker is ending: {node.failure}")
        engine = node.engine
        if engine is None or not joined(node):
            raise not_ready("the worker has not joined its group yet")
        if not engine.ready():
            states = ", ".join(f"{lane.partition} {lane.state}" for lane in engine.status())
            raise not_ready(f"not all partitions of this worker are running: {states or 'it is stopping'}")
        return answer({"status": "ready"})

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]
