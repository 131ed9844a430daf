"""Logins, TLS and access rules as clusters ask for them: the right ones get in, the wrong ones are named."""

import asyncio
import time
from pathlib import Path

import pytest

from app.engine.errors import EngineError, Refused, Unavailable
from app.engine.step import Output
from app.settings import Settings
from app.topics import Topics
from app.transports.kafka import provision
from app.transports.kafka.lease import KafkaLease, claim
from app.transports.kafka.provision import ensure_topics, wait_for_kafka
from tests.integration.kafka_kit import committed, holding, names
from tests.integration.secured_kafka import SecuredKafka, User
from tools.kafka_security import Certificates

pytestmark = [
    pytest.mark.usefixtures("nothing_forgotten"),
    # aiokafka closes the connection of a refused login over TLS in the background, and a test may end before.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture
def user(secured: SecuredKafka) -> User:
    """A login without rights."""
    return secured.new_user()


async def one_step(settings: Settings) -> None:
    """Do everything a worker does: look at the topics, claim, load, read, commit rows and outputs."""
    await wait_for_kafka(settings)
    topics = names(settings)
    await ensure_topics(settings, topics)
    async with holding(settings) as lease:
        await lease.read(10)
        await lease.commit(0, [("t", [("a", b"1")])], outputs(topics))


def outputs(topics: Topics) -> list[Output]:
    """Return one output to each topic that steps write to."""
    return [Output(topic, 0, b"k", b"v") for topic in (topics.orders, topics.order_updates, topics.dead_letters)]


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [
        ("SASL_PLAINTEXT", "PLAIN"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-256"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-512"),
        ("SASL_SSL", "PLAIN"),
        ("SASL_SSL", "SCRAM-SHA-256"),
    ],
)
async def test_every_login_gets_in(secured: SecuredKafka, user: User, protocol: str, mechanism: str) -> None:
    """A whole step is done with each kind of login, with exactly the rights that are said to be needed."""
    user.create_topics()
    user.grant()
    settings = Settings(**user.settings(protocol, mechanism))
    await until_allowed(settings)
    await one_step(settings)
    assert len(committed(secured.broker, user.topics.order_updates)) == 1


async def test_a_client_certificate_gets_in(secured: SecuredKafka, user: User) -> None:
    """With TLS alone the certificate is who we are."""
    user.create_topics()
    user.grant(principal="orderflow")
    made = secured.certificates
    settings = Settings(**user.settings("SSL", kafka_cert_file=made.client, kafka_key_file=made.client_key))
    await until_allowed(settings)
    await one_step(settings)


async def until_allowed(settings: Settings) -> None:
    """Wait until the broker has heard of the rights just given."""
    begin = time.monotonic()
    while True:
        try:
            await ensure_topics(settings, names(settings))
            async with holding(settings):
                return
        except Refused:
            assert time.monotonic() - begin < 10


# --- who does not get in ----------------------------------------------------------------------------------------------


async def fails_at_once(settings: Settings, *names: str) -> Refused:
    """Check that the way in is refused at once, and the error tells all of these but no password."""
    begin = time.monotonic()
    with pytest.raises(Refused) as refused:
        await wait_for_kafka(settings)
    assert time.monotonic() - begin < 5
    text = str(refused.value)
    assert all(name in text for name in names), text
    assert "secret" not in text
    assert "\n" not in text
    return refused.value


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_refused_at_once(user: User, mechanism: str) -> None:
    """The error names the user and the settings to look at."""
    settings = Settings(**user.settings(mechanism=mechanism, kafka_password="secret-wrong"))
    await fails_at_once(settings, user.name, "ORDERS_KAFKA_PASSWORD")


async def test_a_mechanism_that_is_not_offered_is_named(user: User) -> None:
    """The error names it and the setting."""
    settings = Settings(**user.settings("SASL_SSL", "SCRAM-SHA-512"))
    await fails_at_once(settings, "SCRAM-SHA-512", "ORDERS_KAFKA_SASL_MECHANISM")


async def test_a_login_without_password_is_refused_before_anything_is_sent(user: User) -> None:
    """The error names the setting that is missing."""
    settings = Settings(**user.settings() | {"kafka_password": None})
    await fails_at_once(settings, "ORDERS_KAFKA_PASSWORD")


async def test_an_unknown_authority_is_refused(user: User, tmp_path: Path) -> None:
    """A certificate of an authority that nobody told us to trust ends it, whatever the login."""
    other = Certificates.make(tmp_path / "other")
    await fails_at_once(Settings(**user.settings("SASL_SSL", kafka_ca_file=other.authority)), "ORDERS_KAFKA_CA_FILE")
    await fails_at_once(Settings(**user.settings("SASL_SSL", kafka_ca_file=None)), "ORDERS_KAFKA_CA_FILE")


async def test_a_certificate_for_another_name_is_refused(user: User) -> None:
    """The name in the address must be one of the certificate's, or anybody with any certificate could answer."""
    settings = Settings(**user.settings("SASL_SSL"))
    elsewhere = settings.model_copy(update={"broker": settings.broker.replace("127.0.0.1", "127.1")})
    await fails_at_once(elsewhere, "127.1")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_a_ca_file_that_cannot_be_used_is_named(user: User, tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty or something else: the error names the setting and the file."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    await fails_at_once(Settings(**user.settings("SASL_SSL", kafka_ca_file=file)), f"ORDERS_KAFKA_CA_FILE={file}")


async def test_a_missing_client_certificate_is_told(
    secured: SecuredKafka, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that asks for one hangs up on us; the error points at the settings."""
    monkeypatch.setattr(provision, "START_SECONDS", 1.0)
    with pytest.raises(EngineError, match=r"ORDERS_KAFKA_(CERT_FILE|SECURITY_PROTOCOL)"):
        await wait_for_kafka(Settings(**user.settings("SSL")))


@pytest.mark.parametrize(
    ("ours", "theirs"), [("PLAINTEXT", "SSL"), ("PLAINTEXT", "SASL_PLAINTEXT"), ("SSL", "PLAINTEXT")]
)
async def test_the_wrong_protocol_is_told(
    secured: SecuredKafka, user: User, monkeypatch: pytest.MonkeyPatch, ours: str, theirs: str
) -> None:
    """Without an answer that means anything, the error asks about the setting."""
    monkeypatch.setattr(provision, "START_SECONDS", 1.0)
    settings = Settings(**user.settings(ours) | {"broker": f"kafka://{secured.broker.address(theirs)}"})
    with pytest.raises((Unavailable, Refused), match="ORDERS_KAFKA_SECURITY_PROTOCOL"):
        await wait_for_kafka(settings)


# --- rights that go while a worker runs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "named"),
    [
        ("write orders", "orders"),
        ("write order-updates", "order-updates"),
        ("write dead-letters", "dead-letters"),
        ("write state", "-state"),
        ("transactional id", "-state-0"),
        ("read orders", "orders"),
    ],
)
async def test_a_right_withdrawn_while_running_is_refused_and_undoes_the_step(
    secured: SecuredKafka, user: User, right: str, named: str
) -> None:
    """It is not taken for a fence, which would be tried again for ever, and nothing of the step is committed."""
    user.create_topics()
    user.grant()
    settings = Settings(**user.settings())
    await until_allowed(settings)
    topics = user.topics
    lease = await claim(settings, topics, 0)
    try:
        async for _ in lease.load():
            pass
        await lease.commit(0, [("t", [("a", b"0")])], outputs(topics))
        user.withdraw(right)
        refused = await until_refused(lease, topics, reads=right.startswith("read"))
    finally:
        await lease.release()
    assert named in str(refused)
    steps = len(committed(secured.broker, topics.order_updates))
    assert steps == len(committed(secured.broker, topics.dead_letters)) >= 1
    rows = [record for record in committed(secured.broker, topics.state) if record.key == b"t/a"]
    assert [record.value for record in rows] == [b"%d" % step for step in range(steps)]


async def until_refused(lease: KafkaLease, topics: Topics, *, reads: bool) -> Refused:
    """Work on until the broker has heard that a right is gone; returns how it said so."""
    begin, step = time.monotonic(), 0
    while True:
        assert time.monotonic() - begin < 10
        step += 1
        try:
            if reads:
                await lease.read(10)
            else:
                await lease.commit(0, [("t", [("a", b"%d" % step)])], outputs(topics))
        except Refused as refused:
            return refused


async def test_a_state_that_may_not_be_read_is_refused_while_it_is_empty(secured: SecuredKafka, user: User) -> None:
    """Else the missing right would show only after the first restart, with all the work behind it."""
    user.create_topics()
    user.grant(without="read state")
    settings = Settings(**user.settings())
    told = ""
    async with asyncio.timeout(10):
        while f"read topic {user.topics.state}" not in told:  # until the broker has heard of the other rights
            with pytest.raises(Refused) as refused:
                await one_load(settings)
            told = str(refused.value)


async def one_load(settings: Settings) -> None:
    """Claim and load."""
    async with holding(settings):
        pass
