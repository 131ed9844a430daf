"""Alerts, dashboard and services of `monitoring`, judged by the real programs, and asked of a real worker."""

import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.waiting import wait_until
from tests.workers import ROOT, Worker, Workers
from tools.local_kafka import free_port

MONITORING = ROOT / "monitoring"
DOCUMENT = (ROOT / "docs" / "monitoring.md").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
CONFIG: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
GROUPS: list[dict[str, Any]] = yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "grafana" / "dashboards" / "orderflow.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

OUR_METRIC = re.compile(r"(?<![\w:])orderflow_\w+(?![\w:])")
ON_LOOPBACK = re.compile(r"127\.0\.0\.1:\d+:\d+")
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+")

TOKEN = "of-the-workers"
RECORDS = 1_000
SCRAPED = '{__name__=~"orderflow_(events|dead_letters|web_requests)_total"}'
SECONDS = 40


def provisioned(path: str, kind: str) -> dict[str, Any]:
    """Return the only thing of its kind that Grafana is set up with."""
    (found,) = yaml.safe_load((MONITORING / "grafana" / "provisioning" / path).read_text())[kind]
    return dict(found)


SOURCE = provisioned("datasources/prometheus.yml", "datasources")
PROVIDER = provisioned("dashboards/orderflow.yml", "providers")
QUERIES = {
    f"{panel['title']}, {target['refId']}": target["expr"]
    .replace("$__rate_interval", "1m")
    .replace("$job", "orderflow")
    for panel in PANELS
    for target in panel["targets"]
}


def program(name: str) -> str:
    """Return the path of a program of Prometheus; where there is none, the test is skipped, or fails if CI is set."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            raise AssertionError(f"there is no {name}")
        pytest.skip(f"NOT TESTED with {name}: it is not installed (Debian: apt-get install prometheus)")
    return found


def promtool(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    """Run it in the folder of the rules, with something on its standard input."""
    command = [program("promtool"), *arguments]
    return subprocess.run(command, cwd=MONITORING, input=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    ["check config --lint=all --lint-fatal prometheus.yml", "check rules --lint=all --lint-fatal rules.yml"],
)
def test_the_configuration_and_the_rules_are_valid(arguments: str) -> None:
    """The program promtool finds no fault with them."""
    done = promtool(*arguments.split())
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_only_then() -> None:
    """All cases of `rules_test.yml` hold."""
    done = promtool("test", "rules", "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_both_ways() -> None:
    """`rules_test.yml` has a case in which it fires, and one in which it does not."""
    tests = yaml.safe_load((MONITORING / "rules_test.yml").read_text())["tests"]
    cases = {(case["alertname"], bool(case.get("exp_alerts"))) for test in tests for case in test["alert_rule_test"]}
    assert cases == {(rule["alert"], fires) for rule in ALERTS for fires in (True, False)}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_says_how_bad_it_is_and_what_to_do(rule: Mapping[str, Any]) -> None:
    """It has a severity, a summary and a description; docs/monitoring.md knows it."""
    assert rule["labels"]["severity"] in {"warning", "critical", "{{ $labels.level }}"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert all(rule["annotations"].values())
    assert f"`{rule['alert']}`" in DOCUMENT


def test_panels_have_ids_places_and_the_source_that_is_there() -> None:
    """No two have an id, a title or a place in common, and all ask the data source that Grafana is set up with."""
    source = {"type": "prometheus", "uid": SOURCE["uid"]}
    assert all(panel["datasource"] == source for panel in PANELS)
    assert [variable["datasource"] for variable in DASHBOARD["templating"]["list"]] == [source]
    for unique in ("id", "title"):
        assert len({panel[unique] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    taken = [(at["x"] + x, at["y"] + y) for at in places for x in range(at["w"]) for y in range(at["h"])]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_the_services_fit_the_configuration() -> None:
    """Prometheus asks each worker where it listens; Grafana asks Prometheus, and finds the dashboard."""
    workers = [service["environment"]["ORDERS_WEB_URL"] for name, service in SERVICES.items() if "worker-" in name]
    (job,) = CONFIG["scrape_configs"]
    (static,) = job["static_configs"]
    assert [f"http://{target}" for target in static["targets"]] == workers
    assert SOURCE["url"] == "http://prometheus:9090"
    assert SOURCE["jsonData"]["timeInterval"] == CONFIG["global"]["scrape_interval"]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    dashboards = mounts["./monitoring/grafana/dashboards"]
    assert PROVIDER["options"]["path"] == dashboards
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{dashboards}/orderflow.json"


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_a_service_is_pinned_published_on_this_machine_only_and_changes_no_file_of_ours(name: str) -> None:
    """The image has a version, the port is not open to the network, and our files are there, mounted read-only."""
    service = SERVICES[name]
    assert PINNED.fullmatch(service["image"])
    assert all(ON_LOOPBACK.fullmatch(port) for port in service["ports"])
    ours = [volume.split(":") for volume in service["volumes"] if volume.startswith(".")]
    assert ours
    for path, _, mode in ours:
        assert (ROOT / path).exists()
        assert mode == "ro"


def test_whoever_looks_at_grafana_may_do_no_more() -> None:
    """Strangers are viewers, and there is no user to log in as."""
    settings = SERVICES["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


class Prometheus(NamedTuple):
    """A running Prometheus, and the worker that it scrapes."""

    url: str
    worker: Worker

    def ready(self) -> bool:
        """Whether it answers queries."""
        try:
            with urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310 - our own address
                return True
        except HTTPError as error:
            error.close()
        except OSError:  # nobody listens yet
            pass
        return False

    def get(self, path: str, **parameters: str) -> Any:
        """Return what its API answers; fails with its message if that is an error."""
        address = f"{self.url}/api/v1/{path}?{urlencode(parameters)}"
        try:
            with urlopen(address, timeout=10) as response:  # noqa: S310 - our own address
                return json.load(response)["data"]
        except HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def query(self, expression: str) -> list[Any]:
        """Return the samples of an expression, each with its labels and its value."""
        answer = self.get("query", query=expression)
        assert answer["resultType"] == "vector"
        return list(answer["result"])

    def wait_for(self, expression: str) -> None:
        """Wait until an expression has a sample."""
        wait_until(lambda: bool(self.query(expression)), SECONDS, expression, self.worker.tail)

    def scraped(self) -> str:
        """Return what it gets from the worker."""
        request = Request(f"{self.worker.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})  # noqa: S310
        with urlopen(request, timeout=10) as response:  # noqa: S310 - the worker's own address
            return str(response.read().decode())


@contextmanager
def running(folder: Path, worker: Worker) -> Iterator[Prometheus]:
    """A Prometheus with our rules that scrapes a worker each second, with the token; it has ended at the end."""
    job = {
        "job_name": "orderflow",
        "authorization": {"credentials": TOKEN},
        "static_configs": [{"targets": [worker.url.removeprefix("http://")]}],
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(MONITORING / "rules.yml")],
        "scrape_configs": [job],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    prometheus = Prometheus(f"http://127.0.0.1:{free_port()}", worker)
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        f"--web.listen-address={prometheus.url.removeprefix('http://')}",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: process.poll() is not None or prometheus.ready(), SECONDS, "Prometheus", log.read_text)
        assert process.poll() is None, log.read_text()
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen a worker accept events, and find some dead."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("monitoring")
    with Workers(folder, {"ORDERS_WEB_TOKEN": TOKEN}) as workers:
        (worker,) = workers.start()
        with running(folder, worker) as prometheus:
            prometheus.wait_for("sum(orderflow_partitions_owned) == max(orderflow_partitions)")
            sent = worker.command("emit", "--sample", str(RECORDS), "--invalid", "0.03")
            assert sent.returncode == 0, sent.stderr
            prometheus.wait_for(f"sum(orderflow_records_read_total) == {RECORDS}")
            prometheus.wait_for(f"min(count_over_time({SCRAPED}[1m])) >= 2")
            prometheus.wait_for('ALERTS{alertstate="firing"}')
            yield prometheus
        worker.stop()


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    """Prometheus has loaded all of them, and says of none that it failed."""

    def health() -> list[str]:
        return [rule["health"] for group in prometheus.get("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: "unknown" not in health(), SECONDS, "all rules to be evaluated")
    assert health() == ["ok"] * len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert", rule.get("record")))
def test_each_rules_expression_can_be_asked_of_a_real_worker(prometheus: Prometheus, rule: Mapping[str, Any]) -> None:
    """Labels that do not match, or a name that is no function, would be an error."""
    prometheus.query(rule["expr"])


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_each_query_of_the_dashboard_has_a_number_to_show(prometheus: Prometheus, query: str) -> None:
    """Of a worker that has accepted events and found some dead, no panel stays empty."""
    assert "$" not in query
    assert any(not math.isnan(float(sample["value"][1])) for sample in prometheus.query(query))


def test_rules_dashboard_and_document_name_metrics_that_there_are(prometheus: Prometheus) -> None:
    """Every name in an expression is one of the worker's, and docs/monitoring.md has all of them."""
    names = set(re.findall(r"^(orderflow_\w+)[{ ]", prometheus.scraped(), re.MULTILINE))
    for expression in (*QUERIES.values(), *(rule["expr"] for rule in RULES)):
        assert set(OUR_METRIC.findall(expression)) <= names
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in names}
    assert set(re.findall(r"^\| `(orderflow_\w+)` ", DOCUMENT, re.MULTILINE)) == families


def test_the_workers_metrics_are_as_prometheus_wants_them(prometheus: Prometheus) -> None:
    """The program promtool has no complaint about their names, types and texts."""
    done = promtool("check", "metrics", given=prometheus.scraped())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_worker_that_is_well_raises_no_alert_but_that_of_new_causes(prometheus: Prometheus) -> None:
    """Each cause fires with its first letters, though its counter appears with them; no other alert is even pending."""
    causes = {sample["metric"]["cause"] for sample in prometheus.query("orderflow_dead_letters_total > 0")}
    assert len(causes) > 1

    def raised() -> set[tuple[str, str, str]]:
        labels = [sample["metric"] for sample in prometheus.query("ALERTS")]
        return {(each["alertname"], each["alertstate"], each.get("cause", "")) for each in labels}

    expected = {("OrderflowNewCause", "firing", cause) for cause in causes}
    wait_until(lambda: raised() == expected, SECONDS, "an alert for each cause", lambda: f"alone: {raised()}")
