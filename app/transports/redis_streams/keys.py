"""Every key of an application on Redis. All share one hash tag, so that a Redis Cluster keeps them in one slot.

Key space (`T` = topic, `P` = partition, `G` = application id, which names the group and the state):

- `{tag}:topic:T` hash: `partitions`
- `{tag}:topic:T:P` stream: entries `0-<offset after the last record>` with `n` records packed in `r` (see entries.py)
- `{tag}:topic:T:P:offsets` hash: `end`, and `group:G` = the next offset of each group that reads the topic
- `{tag}:group:G:members` sorted set: worker → its last heartbeat, ms of the server's clock
- `{tag}:group:G:assignment` string: JSON, who shall own what (see membership.py)
- `{tag}:group:G:lease:P` hash: `token`, which rises with every claim, `owner` while there is one, and what its last
  commit left: `next` offset and number of `rows`, by which it shows when one was changed without the other
- `{tag}:state:G:P` hash: `<table>/<key>` → row
- `{tag}:sender:S` hash: `T:P` → number of the last entry of sender S there; expires
"""

from typing import NamedTuple

from app.settings import Settings


class Keys(NamedTuple):
    """The keys of the application `app_id` under the hash tag `tag`."""

    tag: str
    app_id: str

    def topic(self, topic: str) -> str:
        """What is known of a topic as a whole."""
        return f"{self.tag}:topic:{topic}"

    def stream(self, topic: str, partition: int) -> str:
        """The records of a partition."""
        return f"{self.tag}:topic:{topic}:{partition}"

    def offsets(self, topic: str, partition: int) -> str:
        """Where a partition ends, and how far its groups are."""
        return f"{self.tag}:topic:{topic}:{partition}:offsets"

    @property
    def group_field(self) -> str:
        """The field of `offsets` that is this application's own."""
        return f"group:{self.app_id}"

    @property
    def members(self) -> str:
        """The workers of the group."""
        return f"{self.tag}:group:{self.app_id}:members"

    @property
    def assignment(self) -> str:
        """Who shall own what."""
        return f"{self.tag}:group:{self.app_id}:assignment"

    def lease(self, partition: int) -> str:
        """Who owns a partition now."""
        return f"{self.tag}:group:{self.app_id}:lease:{partition}"

    def state(self, partition: int) -> str:
        """The rows of a partition."""
        return f"{self.tag}:state:{self.app_id}:{partition}"

    def sender(self, sender: str) -> str:
        """What a sender has written last."""
        return f"{self.tag}:sender:{sender}"


def keys_for(settings: Settings) -> Keys:
    """Return the keys of the application as it is set up."""
    prefix = settings.topic_prefix
    return Keys(f"{{orderflow/{prefix}}}" if prefix else "{orderflow}", settings.app_id)
