"""The Kafka side of the engine's `Broker`."""

from app.settings import Settings
from app.topics import Topics
from app.transports.kafka.lease import KafkaLease, claim
from app.transports.kafka.membership import Membership


class KafkaBroker:
    """See `app.engine.broker.Broker`."""

    def __init__(self, settings: Settings, topics: Topics, membership: Membership) -> None:
        self._settings = settings
        self._topics = topics
        self._membership = membership

    async def claim(self, partition: int) -> KafkaLease:
        """Take the partition over by starting its transactional producer."""
        return await claim(self._settings, self._topics, partition)

    async def confirm(self, partition: int) -> bool:
        """Ask the group's coordinator whether this worker still owns the partition."""
        return await self._membership.confirm(partition)
