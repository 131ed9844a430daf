"""Who was fenced may commit all the same."""

import re
import secrets
from typing import Any

from app.transports.kafka import lease as kafka_lease
from tests.faults.defects.defect import PAUSE_PAST_SESSION, Defect
from tests.faults.defects.lua import leave_out_of_commit

DEFECT = Defect(
    name="no-fence",
    what="who was fenced may commit all the same",
    brokers=("redis", "embedded", "kafka"),
    moves=(PAUSE_PAST_SESSION,),
    seconds=40,
    evidence=r"too often|outcomes|instead of once",
    workers=2,
    settings={"session_timeout": 3.0, "broker_timeout": 30.0},  # a commit under way outlasts the pause
    length=7.0,
)

CHECKS = re.compile(r"local lease = .*?(?=may_write)", re.DOTALL)


def plant() -> None:
    """Kafka: a transactional id that nobody else has. Redis: neither token nor offset are checked.

    (On Redis each of the two checks alone still keeps totals right, so one alone missing cannot be told from outside.)
    """
    kafka: Any = kafka_lease
    producer = kafka.AIOKafkaProducer

    def unfenced(*args: Any, transactional_id: str, **options: Any) -> Any:
        return producer(*args, transactional_id=f"{transactional_id}-{secrets.token_hex(4)}", **options)

    kafka.AIOKafkaProducer = unfenced
    leave_out_of_commit(CHECKS)
