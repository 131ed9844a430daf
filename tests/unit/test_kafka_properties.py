"""The configuration of local brokers, in the forms that Java and the Docker image read."""

from itertools import pairwise

from tools.docker_kafka import IMAGE, VOLUME, run_command
from tools.kafka_properties import Listener, as_environment, as_text, broker_properties

PLAIN = Listener("PLAINTEXT", "PLAINTEXT", 1111)
TLS = Listener("SSL", "SSL", 2222)


def test_every_listener_has_an_address_and_a_protocol() -> None:
    """The controller listens too, but no client is told of it."""
    properties = broker_properties("data", [PLAIN, TLS], 3333)
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:1111,SSL://127.0.0.1:2222,CONTROLLER://127.0.0.1:3333"
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1111,SSL://127.0.0.1:2222"
    assert properties["listener.security.protocol.map"] == "PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT"
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:3333"


def test_what_the_caller_gives_wins() -> None:
    """Over our own choice, and beside it."""
    properties = broker_properties("data", [PLAIN], 3333, {"num.io.threads": "2", "auto.create.topics.enable": "true"})
    assert (properties["num.io.threads"], properties["auto.create.topics.enable"]) == ("2", "true")


def test_a_properties_file_keeps_backslashes() -> None:
    """Java reads a backslash as an escape."""
    assert as_text({"rule": "a\\b", "x": "1"}) == "rule=a\\\\b\nx=1\n"


def test_the_images_variables_spell_dots_and_underscores_as_it_reads_them() -> None:
    """A dot is one underscore, an underscore two, a dash three."""
    assert as_environment({"node.id": "1", "a_b-c.d": "x"}) == {"KAFKA_NODE_ID": "1", "KAFKA_A__B___C_D": "x"}


def test_the_container_keeps_its_data_and_is_reachable_from_this_machine_only() -> None:
    """A named volume outlives the container; the port is published on 127.0.0.1."""
    command = run_command(9092)
    assert command[:2] == ["docker", "run"]
    assert command[-1] == IMAGE
    pairs = list(pairwise(command))
    assert ("--publish", "127.0.0.1:9092:9092") in pairs
    assert ("--volume", f"{VOLUME}:/var/lib/kafka/data") in pairs
    assert ("--env", "KAFKA_LOG_DIRS=/var/lib/kafka/data") in pairs
    assert ("--env", "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:9092") in pairs
