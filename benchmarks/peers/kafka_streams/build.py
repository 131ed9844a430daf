"""Builds the Kafka Streams peer: jars by Maven and classes by javac, both kept in the user's cache folder."""

import re
import shutil
import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path

from tools.errors import MissingProgramError, ToolError
from tools.kafka_jars import cache_folder, copy_jars, ensure_folder, find_java

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
SOURCES = HERE / "src"
LOG4J = SOURCES / "log4j2.properties"


def _streams_version() -> str:
    found = re.search(r"<artifactId>kafka-streams</artifactId>\s*<version>(.+?)</version>", POM.read_text())
    assert found is not None
    return found[1]


STREAMS_VERSION = _streams_version()


@cache
def java() -> str:
    """Return the path of the Java that runs it."""
    return find_java()


@cache
def class_path() -> str:
    """Return the class path, after fetching and compiling what is not there yet. Raises tools' errors."""
    base = cache_folder().with_name(f"kafka-streams-{STREAMS_VERSION}")
    jars = base / f"jars-{_digest([POM])}"
    classes = base / f"classes-{_digest([POM, *sorted(SOURCES.rglob('*.java'))])}"
    ensure_folder(jars, lambda folder: copy_jars(POM.read_text(), folder, f"Kafka Streams {STREAMS_VERSION}", "90 MB"))
    ensure_folder(classes, lambda folder: _compile(jars, folder))
    return f"{classes}:{jars}/*"


def _digest(files: list[Path]) -> str:
    return sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _compile(jars: Path, classes: Path) -> None:
    javac = shutil.which("javac")
    if javac is None:
        raise MissingProgramError(
            "the Kafka Streams peer needs javac: install it (Debian: apt-get install openjdk-17-jdk-headless)"
        )
    command = [javac, "-cp", f"{jars}/*", "-d", str(classes), *map(str, sorted(SOURCES.rglob("*.java")))]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise ToolError(f"javac failed: {(answer.stdout + answer.stderr)[-2_000:]}")
