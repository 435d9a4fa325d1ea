# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics: what they count, that pruning changes no counter, and that the examples only use existing metrics."""

from __future__ import annotations

import json
import re
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from console.__main__ import main
from console.monitoring.metrics import MAX_VERSIONS, fleet_metrics
from console.record.read.fleet import Fleet
from console.record.read.operations import operations
from console.record.rows import Cursor
from console.record.write.maintenance import back_up
from console.record.write.store import open_store
from tests.console.support.facts import rows
from tests.console.support.promql import Parser
from tests.console.support.seeded import TENANT, fleet_rollout, ident, rollout_read, seed_small, target
from tests.console.support.seeded_instances import seed_details
from tests.console.support.served import CHECKOUT

pytestmark = pytest.mark.usefixtures("environment")

EXAMPLES = CHECKOUT / "extensions" / "monitoring"


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet from two years ago with runs, rollouts and details, and a backup."""
    folder = tmp_path_factory.mktemp("metrics")
    then = float(int(time.time())) - 700 * 86400
    seed_small(folder / "console.db", folder / "runs", then)
    seed_details(folder / "console.db", then)
    back_up(folder / "console.db", folder / "backup.db", then + 60)
    return folder / "console.db"


def metrics(database: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, list[Sample]]:
    capsys.readouterr()
    assert main(["metrics", "--db", str(database)]) == 0
    text = capsys.readouterr().out
    return text, parsed(text)


def parsed(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def values(samples: list[Sample], name: str, *labels: str) -> dict[tuple[str, ...], float]:
    found = [sample for sample in samples if sample.name == f"fleetops_{name}"]
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in found}


def lasting(samples: list[Sample]) -> dict[tuple[str, str], float]:
    """Every counter and every bucket."""
    return {
        (sample.name, json.dumps(sample.labels, sort_keys=True)): sample.value
        for sample in samples
        if sample.name.endswith(("_total", "_bucket", "_count", "_sum"))
    }


def test_the_metrics_agree_with_the_record(seeded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _text, samples = metrics(seeded, capsys)
    frame, total = operations(seeded, time.time(), size=1000)
    ended = frame[frame["verdict"] != "running"]
    counted = values(samples, "operations_total", "kind", "operation", "verdict")
    expected = ended.groupby(["kind", "name", "verdict"]).size().to_dict()
    assert {key: n for key, n in counted.items() if n} == expected
    assert sum(counted.values()) + sum(values(samples, "operations_running", "kind").values()) == total
    # Outcomes that have not occurred are exported as 0, so that the first one is an increase.
    assert counted["run", "rolling_redeploy", "lost"] == 0 and counted["run", "reboot", "lost"] == 1

    took = values(samples, "operation_duration_seconds_sum", "kind", "operation")
    seconds = ended[(ended["kind"] == "run") & (ended["name"] == "rolling_redeploy")]["seconds"].sum()
    assert took["run", "rolling_redeploy"] == pytest.approx(seconds)
    buckets = values(samples, "operation_duration_seconds_bucket", "kind", "operation", "le")
    run = [n for (kind, name, _le), n in buckets.items() if (kind, name) == ("run", "rolling_redeploy")]
    assert run == sorted(run) and run[0] == 0 and run[-1] == 1
    assert (
        buckets["rollout", "fleet rollout", "+Inf"]
        == values(samples, "operation_duration_seconds_count", "kind")["rollout",]
    )

    healths = values(samples, "instances", "tenant", "health")
    assert healths == {(TENANT, "healthy"): 19, (TENANT, "degraded"): 1, (TENANT, "unhealthy"): 0, (TENANT, "other"): 0}
    known = rows(seeded, "SELECT count(*) AS n FROM instances")[0]["n"]
    assert values(samples, "instances_not_read", "what") == dict.fromkeys(
        [("health",), ("runtime",), ("updates",)], known - 20
    )
    assert values(samples, "instances_runtime", "version") == {("2.4.0",): 20}
    in_flight = "SELECT count(*) AS n FROM rollout_targets WHERE status = 'in_progress'"
    assert values(samples, "redeploys_in_flight")[()] == rows(seeded, in_flight)[0]["n"] > 0
    assert values(samples, "redeploys_limit")[()] == 2
    upkeep = rows(seeded, "SELECT at FROM upkeep WHERE kind = 'backup'")[0]["at"]
    assert values(samples, "backup_timestamp_seconds")[()] == upkeep
    assert abs(values(samples, "metrics_timestamp_seconds")[()] - time.time()) < 600


def test_what_was_not_read_has_no_series_and_each_series_occurs_once() -> None:
    fleet = Fleet(
        tenant=TENANT, instances=40, health={"healthy": 0, "other": 0, "not read": 40}, health_at=None,
        versions=(("other", 2), *((f"2.{number}", 1) for number in range(36)), (None, 2)),
        published="2.1", published_others=(), on_published=1, updates={"runtime": 0, "skills": 0, "servers": 0},
        updates_read=0, in_flight=0, limit=None, window=None, operations={}, api_at=None, runs_at=None,
    )  # fmt: skip
    found = parsed(fleet_metrics([fleet], {}, backup_at=None, now=1.0))
    assert "fleetops_instances_update_waiting" not in {sample.name for sample in found}
    of_versions = values(found, "instances_runtime", "version")
    assert len(of_versions) == MAX_VERSIONS and of_versions["other",] == 2 + 7
    assert len({(sample.name, *sorted(sample.labels.items())) for sample in found}) == len(found)
    bare = replace(fleet, versions=((None, 40),), on_published=0)
    found = parsed(fleet_metrics([bare], {}, backup_at=None, now=1.0))
    assert "fleetops_instances_on_published_runtime" not in {sample.name for sample in found}


def test_no_label_names_an_instance_or_holds_an_id(seeded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, samples = metrics(seeded, capsys)
    ids = rows(
        seeded,
        "SELECT run_id AS id FROM runs UNION SELECT rollout_id FROM rollouts"
        " UNION SELECT target_id FROM rollout_targets UNION SELECT instance_id FROM instances"
        " UNION SELECT hostname FROM instances WHERE hostname IS NOT NULL",
    )
    assert len(ids) > 60 and not [row["id"] for row in ids if row["id"] in text]
    assert {label for sample in samples for label in sample.labels} == {
        "tenant", "health", "version", "what", "kind", "operation", "verdict", "le"
    }  # fmt: skip


def test_pruning_changes_no_counter(seeded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = lasting(metrics(seeded, capsys)[1])
    # A recent read, so that everything before it is old.
    with open_store(seeded) as store:
        store.put_cursor(Cursor("api", "another tenant", last_ts=time.time()))
    days = ["--results", "--failed-results", "--audit", "--health", "--actions", "--versions"]
    assert main(["prune", "--yes", "--db", str(seeded), *(part for name in days for part in (name, "1"))]) == 0
    assert rows(seeded, "SELECT count(*) AS n FROM host_results")[0]["n"] == 0
    assert lasting(metrics(seeded, capsys)[1]) == before
    with open_store(seeded) as store:
        store.put_rollouts([fleet_rollout(ident(9, 0x77), 4, 2, time.time() - 4000)])
    after = lasting(metrics(seeded, capsys)[1])
    assert all(after[key] >= n for key, n in before.items()) and sum(after.values()) > sum(before.values())


def test_no_counter_decreases_while_a_rollout_is_paused_and_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, ref, at = tmp_path / "console.db", ident(1, 0x7700), time.time() - 900
    seen = []
    for status, word, done in (("in_progress", "queued", None), ("paused", "cancelled", None),
                               ("in_progress", "in_progress", None), ("completed", "succeeded", at + 90)):  # fmt: skip
        with open_store(path) as store:
            store.put_tenant(TENANT, at)
            one = target(1, ref, word, at, at, done)
            store.put_rollouts([replace(rollout_read(ref, [one], status, at, done), read_at=at + len(seen))])
        samples = metrics(path, capsys)[1]
        ended = values(samples, "operations_total", "kind", "verdict")
        running = sum(values(samples, "operations_running", "kind").values())
        seen.append((running, sum(ended.values()), ended["rollout", "complete"]))
    assert seen == [(1, 0, 0), (0, 0, 0), (1, 0, 0), (0, 1, 1)]


def test_the_file_is_replaced_completely_and_has_the_requested_mode(
    seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fleet.prom"
    file.write_text("old")
    for mode in ("0644", "0640"):
        assert main(["metrics", "--db", str(seeded), "--output", str(file), "--mode", mode]) == 0
        assert stat.S_IMODE(file.stat().st_mode) == int(mode, 8)
    assert "fleetops_operations_total" in file.read_text() and list(tmp_path.iterdir()) == [file]
    written = file.read_text()
    capsys.readouterr()
    assert main(["metrics", "--db", str(seeded), "--output", str(tmp_path / "no" / "fleet.prom")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert main(["metrics", "--db", str(seeded), "--output", str(file)]) == 2
    assert capsys.readouterr().err.endswith(" -m pip install prometheus_client\n")
    assert main(["metrics", "--db", str(tmp_path / "none.db"), "--output", str(file)]) == 3
    assert file.read_text() == written


def asked_by_rules() -> Iterator[tuple[str, str]]:
    document = yaml.safe_load((EXAMPLES / "prometheus_rules.yml").read_text(encoding="utf-8"))
    assert set(document) == {"groups"}
    names = [group["name"] for group in document["groups"]]
    assert len(names) == len(set(names))
    for group in document["groups"]:
        assert set(group) == {"name", "rules"}
        for rule in group["rules"]:
            alert = {"alert", "expr", "for", "labels", "annotations"}
            assert set(rule) <= (alert if "alert" in rule else {"record", "expr"}), rule
            assert re.fullmatch(r"\d+[smhd]", rule.get("for", "1m"))
            for text in rule.get("annotations", {}).values():
                assert re.sub(r"\{\{ (\$labels\.\w+|\$value( \| \w+)?) \}\}", "", text).count("{") == 0, text
            yield rule.get("alert") or rule["record"], rule["expr"]


def asked_by_dashboard() -> Iterator[tuple[str, str]]:
    document = json.loads((EXAMPLES / "grafana_dashboard.json").read_text(encoding="utf-8"))
    numbers = [panel["id"] for panel in document["panels"]]
    assert len(numbers) == len(set(numbers))
    taken: set[tuple[int, int]] = set()
    variables = {variable["name"] for variable in document["templating"]["list"]}
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert not cells & taken and max(x for x, _y in cells) < 24, panel["title"]
        taken |= cells
        for query in panel["targets"]:
            used = set(re.findall(r"\$(\w+)", query["expr"]))
            assert used <= variables | {"__interval", "__range"}
            yield panel["title"], re.sub(r"\$__\w+", "1h", query["expr"])


# Metrics and labels that only the Prometheus rules create.
RECORDED = {"fleetops:operations_bad:increase1h": {"operation", "verdict"}}


def test_the_examples_use_existing_metrics_and_labels(seeded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, samples = metrics(seeded, capsys)
    there: dict[str, set[str]] = dict(RECORDED)
    for name in re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE):
        there[name] = set()
    for sample in samples:
        there.setdefault(sample.name, set()).update(sample.labels)
    asked = [*asked_by_rules(), *asked_by_dashboard()]
    assert len(asked) > 20
    used = set()
    for title, expression in asked:
        query = Parser(expression).parse()
        used |= query.metrics
        for metric in query.metrics:
            assert metric in there, f"{title}: {metric}"
            assert query.grouped <= there[metric], f"{title}: {metric} has no {query.grouped}"
        for metric, label in query.matched:
            assert label in there[metric], f"{title}: {metric} has no label {label}"
    # Every metric is used in an example.
    shown = {name.removesuffix("_bucket").removesuffix("_total") for name in used}
    assert {name.removesuffix("_total") for name in re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)} - shown == {
        "fleetops_operations_running", "fleetops_run_logs_read_timestamp_seconds"
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        "sum(a",
        "sum by tenant (a)",
        "a{b=c}",
        'a{b="c"',
        "a[5]",
        "a > ",
        "rate(a[5m])",
        "a b",
        "a{b~'c'}",
        "sum by (b) (a) - c",
    ],
)
def test_the_query_parser_refuses_invalid_queries(wrong: str) -> None:
    with pytest.raises(ValueError):
        Parser(wrong).parse()
