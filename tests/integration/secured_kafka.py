"""A broker as secured clusters have them: logins, TLS, access rules; and how to give and take rights."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from app.topics import Topics, topics_for
from tests.integration.kafka_kit import admin
from tools.kafka_security import Certificates, Security
from tools.local_kafka import LocalKafka

USERS = {f"user{number}": f"secret-{number}" for number in range(80)}
MODULE = "org.apache.kafka.common.security"

READ, WRITE, CREATE, DESCRIBE = AclOperation.READ, AclOperation.WRITE, AclOperation.CREATE, AclOperation.DESCRIBE
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP
TRANSACTIONAL_ID, CLUSTER = ResourceType.TRANSACTIONAL_ID, ResourceType.BROKER


class SecuredKafka:
    """The broker and who may do what on it."""

    def __init__(self, broker: LocalKafka, certificates: Certificates) -> None:
        self.broker = broker
        self.certificates = certificates
        self._users = iter(USERS)

    def new_user(self) -> "User":
        """Return a login that has no rights yet, and names of topics and a group of its own."""
        return User(self, next(self._users))


class User:
    """A login and the topics of the application that it runs."""

    def __init__(self, kafka: SecuredKafka, name: str) -> None:
        self.name = name
        self.password = USERS[name]
        self.prefix = f"{secrets.token_hex(3)}."
        self.app_id = f"app-{name}"
        self.topics: Topics = topics_for(self.prefix, self.app_id)
        self._kafka = kafka

    def settings(self, protocol: str = "SASL_PLAINTEXT", mechanism: str = "PLAIN", **more: Any) -> dict[str, Any]:
        """Return the settings for working as this user."""
        login = {"kafka_sasl_mechanism": mechanism, "kafka_username": self.name, "kafka_password": self.password}
        trust = {"kafka_ca_file": self._kafka.certificates.authority}
        return {
            "broker": f"kafka://{self._kafka.broker.address(protocol)}",
            "kafka_security_protocol": protocol,
            "app_id": self.app_id,
            "topic_prefix": self.prefix,
            "partitions": 2,
            "broker_timeout": 10,
            **(login if "SASL" in protocol else {}),
            **(trust if "SSL" in protocol else {}),
            **more,
        }

    def rights(self, *, principal: str | None = None) -> dict[str, AclBinding]:
        """Return everything a worker needs where its topics exist, by what each is for."""
        orders, updates, letters, state = self.topics
        who = principal or self.name

        def on(kind: ResourceType, name: str, operation: AclOperation, *, prefixed: bool = False) -> AclBinding:
            pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
            return AclBinding(kind, name, pattern, f"User:{who}", "*", operation, AclPermissionType.ALLOW)

        return {
            "read orders": on(TOPIC, orders, READ),
            "write orders": on(TOPIC, orders, WRITE),
            "write order-updates": on(TOPIC, updates, WRITE),
            "write dead-letters": on(TOPIC, letters, WRITE),
            "read state": on(TOPIC, state, READ),
            "write state": on(TOPIC, state, WRITE),
            "transactional id": on(TRANSACTIONAL_ID, f"{state}-", WRITE, prefixed=True),
            "group": on(GROUP, self.app_id, READ),
            **{f"describe {topic}": on(TOPIC, topic, DESCRIBE) for topic in self.topics},
        }

    def grant(self, *, without: str | None = None, principal: str | None = None) -> None:
        """Give all rights of a worker, or all but one."""
        bindings = self.rights(principal=principal)
        if without is not None:
            del bindings[without]
        client = admin(self._kafka.broker)
        for done in client.create_acls(list(bindings.values())).values():
            done.result(10)

    def withdraw(self, right: str) -> None:
        """Take one right away again."""
        binding = self.rights()[right]
        exactly = AclBindingFilter(
            binding.restype,
            binding.name,
            binding.resource_pattern_type,
            binding.principal,
            binding.host,
            binding.operation,
            binding.permission_type,
        )
        client = admin(self._kafka.broker)
        for done in client.delete_acls([exactly]).values():
            assert done.result(10)

    def create_topics(self, partitions: int = 2) -> None:
        """Make the topics as an administrator would."""
        compact = {self.topics.state: {"cleanup.policy": "compact"}}
        client = admin(self._kafka.broker)
        new = [NewTopic(topic, partitions, config=compact.get(topic, {})) for topic in self.topics]
        for done in client.create_topics(new).values():
            done.result(20)


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Start a broker with access rules and every kind of login (SCRAM-SHA-512 without TLS only)."""
    certificates = Certificates.make(folder / "certificates")
    security = Security(
        protocols=("SASL_PLAINTEXT", "SASL_SSL", "SSL"), users=USERS, certificates=certificates, access_rules=True
    )
    more = {
        "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": f"{MODULE}.scram.ScramLoginModule required;",
        "listener.name.ssl.ssl.client.auth": "required",
    }
    with LocalKafka(folder / "broker", security=security, properties=more) as broker:
        client = admin(broker)
        information = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        credentials: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(name, information, password.encode()) for name, password in USERS.items()
        ]
        for done in client.alter_user_scram_credentials(credentials).values():
            done.result(10)
        yield SecuredKafka(broker, certificates)
