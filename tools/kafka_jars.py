"""Fetches Apache Kafka's jars by Maven, once per machine, into the user's cache folder."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.errors import MissingProgramError, ToolError

KAFKA_VERSION = "4.3.0"
JAVA_AT_LEAST = 17
LOG4J_VERSION = "2.24.3"
# Pinned, so that every Maven runs the same code.
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

ARTIFACTS = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-core", LOG4J_VERSION),
)


def cache_folder() -> Path:
    """Return where the jars are kept: `$XDG_CACHE_HOME/orderflow/kafka-<version>`."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "orderflow" / f"kafka-{KAFKA_VERSION}"


def find_java() -> str:
    """Return the path of a Java that can run Kafka; raises MissingProgramError with what to install."""
    install = f"install Java {JAVA_AT_LEAST} or newer (Debian: apt-get install openjdk-17-jre-headless)"
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        raise MissingProgramError(f"Kafka needs Java, and none is {'in JAVA_HOME' if home else 'in PATH'}: {install}")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', answer.stderr)
    if version is None:
        raise MissingProgramError(f"{java} -version does not say its version: {install}")
    if int(version[1]) < JAVA_AT_LEAST:
        raise MissingProgramError(f"Kafka {KAFKA_VERSION} does not run on Java {version[1]}: {install}")
    return java


def ensure_jars(folder: Path | None = None) -> Path:
    """Return the folder that holds Kafka's jars, fetching them first if need be.

    Safe to call from several processes at once: one fetches, the others wait. The folder appears whole or not at all.
    Raises MissingProgramError without Maven, ToolError if it fails.
    """
    return ensure_folder(
        folder or cache_folder(), lambda jars: copy_jars(pom(), jars, f"Kafka {KAFKA_VERSION}", "125 MB")
    )


def ensure_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return the folder after letting `fill` fill it, if it is not there. It appears whole or not at all.

    Safe to call from several processes at once: one fills it, the others wait. What `fill` raises goes to the caller.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as work:
                made = Path(work) / "made"
                made.mkdir()
                fill(made)
                made.rename(folder)
    return folder


def pom() -> str:
    """Return the Maven project that depends on what a broker needs."""
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        for group, artifact, version in ARTIFACTS
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>orderflow</groupId><artifactId>local-kafka</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>\n"
    )


def copy_jars(project: str, jars: Path, what: str, size: str) -> None:
    """Copy all that a Maven project (the text of its pom.xml) runs with into the folder `jars`.

    `what` and `size` name it to whoever waits. Raises MissingProgramError without Maven, ToolError if it fails.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingProgramError(
            f"{what} is not in {cache_folder().parent} yet, and fetching it needs Maven: "
            "install it (Debian: apt-get install maven)"
        )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "pom.xml").write_text(project)
        command = [maven, "-q", "-B", COPY_GOAL, "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        log = work / "maven.log"
        with log.open("w") as output:
            process = subprocess.Popen(command, cwd=work, stdout=output, stderr=subprocess.STDOUT)
            try:
                _show_progress(process, f"Fetching {what} by Maven ({size}, once; about half a minute)")
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode != 0:
            lines = [line for line in log.read_text().splitlines() if line.startswith("[ERROR]")]
            raise ToolError(f"Maven could not fetch {what}: {lines[0] if lines else 'it gave no reason'}")


def _show_progress(process: "subprocess.Popen[bytes]", text: str) -> None:
    terminal = sys.stderr.isatty()
    begin = time.monotonic()
    print(text, end="" if terminal else "\n", file=sys.stderr, flush=True)
    while True:
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            if terminal:
                print(f"\r{text} … {time.monotonic() - begin:.0f} s", end="", file=sys.stderr, flush=True)
        else:
            break
    if terminal:
        print(file=sys.stderr)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
