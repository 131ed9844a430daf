"""A real Valkey server for one data folder, started on demand and shared by several processes."""

from app.transports.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
