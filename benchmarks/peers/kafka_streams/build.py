"""Builds the Kafka Streams peer: jars by Maven and classes by javac, both kept in the user's cache folder."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

from tools.errors import MissingProgramError, ToolError
from tools.kafka_jars import COPY_GOAL, cache_folder, find_java

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
    if not jars.is_dir():
        _make(jars, _fetch)
    if not classes.is_dir():
        _make(classes, lambda folder: _compile(jars, folder))
    return f"{classes}:{jars}/*"


def _digest(files: list[Path]) -> str:
    return sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _make(target: Path, work: Callable[[Path], None]) -> None:
    """Let `work` fill a folder that then appears whole, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / "made"
        made.mkdir()
        work(made)
        if not target.is_dir():
            made.rename(target)


def _fetch(folder: Path) -> None:
    maven = _program("mvn", "maven")
    print(f"fetching Kafka Streams {STREAMS_VERSION} by Maven (90 MB, once)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as work:
        shutil.copy(POM, work)
        command = [maven, "-q", "-B", COPY_GOAL, "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
        _run(command, work)


def _compile(jars: Path, folder: Path) -> None:
    sources = [str(source) for source in sorted(SOURCES.rglob("*.java"))]
    _run([_program("javac", "openjdk-17-jdk-headless"), "-cp", f"{jars}/*", "-d", str(folder), *sources], ".")


def _run(command: list[str], folder: str) -> None:
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise ToolError(f"{Path(command[0]).name} failed: {(answer.stdout + answer.stderr)[-2_000:]}")


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingProgramError(
            f"the Kafka Streams peer needs {name}: install it (Debian: apt-get install {package})"
        )
    return path
