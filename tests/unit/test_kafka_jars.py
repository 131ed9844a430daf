"""Fetching Kafka: once, whole, and with a clear word where Java or Maven is missing. Maven is a stand-in here."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.errors import MissingProgramError, ToolError
from tools.kafka_jars import KAFKA_VERSION, ensure_jars, find_java

ROOT = Path(__file__).parents[2]

MAVEN_THAT_WORKS = """#!/bin/sh
# Counts its calls, takes a moment, and writes into the folder of -DoutputDirectory.
echo called >> "$CALLS"
for argument; do case "$argument" in -DoutputDirectory=*) out="${argument#*=}";; esac; done
mkdir -p "$out"
sleep 0.5
cp pom.xml "$out/kafka.jar"
"""
MAVEN_THAT_FAILS = """#!/bin/sh
echo '[INFO] trying'
echo '[ERROR] no such host: repository'
exit 1
"""


def program(folder: Path, name: str, text: str) -> None:
    """Write an executable script."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def test_several_processes_fetch_once_and_all_find_it_whole(tmp_path: Path) -> None:
    """Four at once call Maven once; each returns only when the jars are there; nothing else is left behind."""
    program(tmp_path / "bin", "mvn", MAVEN_THAT_WORKS)
    calls, jars = tmp_path / "calls", tmp_path / "cache" / "kafka"
    code = (
        "import sys, pathlib; from tools.kafka_jars import ensure_jars; "
        "print(*ensure_jars(pathlib.Path(sys.argv[1])).iterdir())"
    )
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "CALLS": str(calls)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(jars)], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert outputs == [str(jars / "kafka.jar")] * 4
    assert calls.read_text().splitlines() == ["called"]
    assert KAFKA_VERSION in (jars / "kafka.jar").read_text()
    assert {path.name for path in jars.parent.iterdir()} == {"kafka", "kafka.lock"}


def test_a_failed_fetch_says_mavens_reason_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call tries again from the start."""
    program(tmp_path / "bin", "mvn", MAVEN_THAT_FAILS)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(ToolError, match="no such host: repository"):
        ensure_jars(tmp_path / "cache" / "kafka")
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"kafka.lock"}


def test_a_missing_maven_is_named_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mvn in PATH and without jars."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match="apt-get install maven"):
        ensure_jars(tmp_path / "cache" / "kafka")


def test_jars_that_are_there_need_no_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ensure_jars(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "none is in PATH"),
        ('openjdk version "11.0.2" 2019-01-15', "does not run on Java 11"),
        ('java version "1.8.0_292"', "does not run on Java 1"),
        ("something else", "does not say its version"),
    ],
)
def test_a_missing_or_old_java_is_named_with_what_to_install(
    answer: str | None, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka 4 needs Java 17."""
    if answer is not None:
        program(tmp_path, "java", f"#!/bin/sh\necho '{answer}' >&2\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(MissingProgramError, match=f"{fault}.*install Java 17"):
        find_java()


def test_java_home_goes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As other Java tools have it."""
    program(tmp_path / "bin", "java", "#!/bin/sh\necho 'openjdk version \"21\" 2023-09-19' >&2\n")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert find_java() == str(tmp_path / "bin" / "java")
