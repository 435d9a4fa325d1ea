# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For any answer that conforms to the contract, modules, the inventory and the lookups return a result or one clear
sentence, and the console stores the answer and can show it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import connect, endpoint_of
from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import ENDPOINTS
from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, execute
from ansible_collections.fleetops.agents.plugins.module_utils._module.options import CONNECTION_OPTIONS
from ansible_collections.fleetops.agents.plugins.module_utils._rules.batches import batch_sizes
from ansible_collections.fleetops.agents.plugins.plugin_utils._inventory.hosts import groups_of, hosts_of
from ansible_collections.fleetops.agents.plugins.plugin_utils._inventory.reading import enrich, read_fleet
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.policy import (
    PolicyError,
    parallel_limit,
    readable_window,
    update_policy,
)
from console.collect.api.records import rollout_row, target_rows
from console.collect.api.session import ApiOptions
from console.collect.sync import sync_once
from console.record.read import attention, audit, instances, stuck
from console.record.read import policy as policy_queries
from console.record.read import rollouts as rollout_queries
from console.record.rows import RolloutRead
from console.record.write.store import open_store
from console.settings.environment import ApiConnection, Settings
from console.text.file_formats import as_csv
from console.text.listing import listing
from tests.integration.module_table import TABLE, module_of
from tests.integration.module_task import operation_of
from tests.unit.client.crooked_server import CrookedServer, Reply, crooked_server

CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "docs" / "contract" / "openapi.yaml").read_text())
_SCRATCH = TemporaryDirectory()
MODULES = sorted({module_of(case) for case in TABLE})
ID = "4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"
FLEET = {"agent-001": ID, "agent-002": "5f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"}
# The least that a task of each module needs.
OPTIONS: dict[str, dict[str, Any]] = {
    # A file for any answer; the folder is removed when the test process ends.
    "instance_memory_backup": {"path": f"{_SCRATCH.name}/memory.json"},
    "report_file": {"path": f"{_SCRATCH.name}/report", "content": {"any": "answer"}},
    "api_request": {"path": "/v1/instances/fleet/updates/policy"},
    "fleet_state_info": {"instances": FLEET, "state": {"runtime_current": True}},
    "instance_memory": {"content": "x", "kind": "fact"},
    "instance_update_policy": {"runtime": "auto"},
    "rollout": {"state": "started"},
    "rollout_end": {"verdict": "pass"},
    "rollout_gate": {"next_batch": FLEET, "updated": {"agent-002": FLEET["agent-002"]}, "last_batch": ["agent-002"]},
    "rollout_info": {"rollout_id": ID, "gather": ["targets", "timeline"]},
    "rollout_plan": {"instances": FLEET},
    "rollout_report": {"instances": FLEET},
    "rollout_target": {"rollout_id": ID, "select": "failed"},
    "update_policy": {"max_parallel_rollouts": 3},
}


# Known words beside random ones, so that the code for the known words is reached too.
TEXTS = (
    st.text(max_size=8)
    | st.sampled_from(
        [
            "",
            "succeeded",
            "FAILED",
            "in progress",
            "uncertain",
            "queued",
            "healthy",
            "2026-01-01T00:00:00",
            "0",
            "-5",
            ID,
        ]
    )
    | st.sampled_from(["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z", "1764201600000", "22", "23:30", "nan"])
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": st.integers(-10, 10) | st.integers() | st.sampled_from([2**63, -(2**63), 10**400, 1764201600000]),
    "number": st.integers(-10, 10) | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "null": st.none(),
}
ANYTHING = st.recursive(
    st.one_of(*SCALARS.values()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def values_of(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Any value that conforms to a schema of the contract, with extra keys."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return st.deferred(lambda: values_of(CONTRACT["components"]["schemas"][name]))
    if "anyOf" in schema:
        return st.one_of(*(values_of(choice) for choice in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type")
    if kinds is None:
        return ANYTHING
    if isinstance(kinds, list):
        return st.one_of(*(values_of({**schema, "type": kind}) for kind in kinds))
    if kinds == "array":
        return st.lists(values_of(schema.get("items", {})), max_size=3)
    if kinds != "object":
        return SCALARS[kinds]
    known = {name: values_of(entry) for name, entry in schema.get("properties", {}).items()}
    required = {name: known[name] for name in schema.get("required", ())}
    optional = {name: strategy for name, strategy in known.items() if name not in required}
    extra = st.just({}) | st.dictionaries(TEXTS.filter(lambda key: key not in known), ANYTHING, max_size=2)
    filled = st.fixed_dictionaries(required, optional=optional)
    return st.tuples(extra, filled).map(lambda pair: {**pair[0], **pair[1]})


def answers_of(endpoint: Any) -> st.SearchStrategy[Any]:
    """Any successful answer of an endpoint."""
    answer = CONTRACT["paths"][endpoint.path][endpoint.method.lower()]["responses"]["200"]
    return values_of(answer["content"]["application/json"]["schema"])


READS = [endpoint for endpoint in ENDPOINTS.values() if not endpoint.writes]
ANSWERS = st.fixed_dictionaries({endpoint.name: answers_of(endpoint) for endpoint in READS})


@pytest.fixture(scope="module")
def server() -> Iterator[CrookedServer]:
    with crooked_server() as running:
        yield running


@pytest.mark.parametrize("module", MODULES)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers=ANSWERS)
def test_a_module_returns_a_result_or_one_sentence_for_any_conforming_answer(
    server: CrookedServer, module: str, answers: dict[str, Any]
) -> None:
    server.answer = lambda method, path, headers: Reply(answers[endpoint_of(method, urlsplit(path).path).name])
    server.seen.clear()
    operation = operation_of(module)
    given_options = {"api_url": server.url, "api_key": "k", **OPTIONS.get(module, {})}
    if operation.on_instance:
        given_options["instance_id"] = ID
    checked = ArgumentSpecValidator(operation.argument_spec(), **operation.rules).validate(given_options)
    assert not checked.error_messages, checked.error_messages
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    # In check mode, a module that acts still reads everything that it decides on, and sends no write.
    context = Context(checked.validated_parameters, check_mode=True, clock=lambda: now[0], sleep=sleep)
    result = execute(operation, context, diff_mode=True)
    assert json.dumps(result, default=str)
    assert isinstance(result["changed"], bool)
    if result.get("failed"):
        assert result["msg"].strip() and "Traceback" not in result["msg"]
    assert {method for method, _path, _headers in server.seen} <= {"GET"}


# reports/2026-11 D3


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers=ANSWERS)
def test_the_console_stores_and_shows_any_conforming_answer(server: CrookedServer, answers: dict[str, Any]) -> None:
    server.answer = lambda method, path, headers: Reply(answers[endpoint_of(method, urlsplit(path).path).name])
    server.seen.clear()
    with TemporaryDirectory() as folder:
        database = Path(folder) / "console.db"
        settings = Settings(database=database, run_log_dir=Path(folder) / "none")
        options = ApiOptions(details=("health", "updates", "actions", "memory"))
        with open_store(database) as store:
            # So that an instance is read whatever the rollouts contain.
            target = {
                "tenant": server.url,
                "rollout_id": "r",
                "target_id": "t",
                "instance_id": ID,
                "hostname": "agent-001",
            }
            known = target_rows(server.url, "r", [{**target, "id": "t"}], [])
            store.put_rollouts([RolloutRead(rollout_row(server.url, {"id": "r"}), known, 1.0)])
        for _dummy in range(2):
            report = sync_once(
                settings, connection=ApiConnection(server.url, "k", retries=0), run_logs=False, api_options=options
            ).api
            assert report is not None
        now = 1_795_000_000.0
        rollouts, _total = rollout_queries.rollouts(database)
        listing([dict(row) for row in rollouts.to_dict("records")], list(rollouts.columns), "json")
        for row in policy_queries.policies(database):
            policy_queries.state_of(policy_queries.Window.of_policy(row["raw"]), now)
            policy_queries.outside_window(database, row["tenant"])
            policy_queries.policy_changes(database, row["tenant"])
        attention.attention(database, now)
        stuck.stuck(database, now)
        instances.instance(database, ID)
        instances.health_checks(database, server.url, ID, 0.0)
        as_csv(instances.instance_targets(database, server.url, ID, now)[0])
        as_csv(instances.instance_actions(database, server.url, ID)[0])
        audit.audit_over_time(database, "source", audit.AuditSpan())
        audit.audit_events(database, audit.AuditCell(audit.span_of(0, "day", now)))
    assert {method for method, _path, _headers in server.seen} <= {"GET"}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers=ANSWERS)
def test_the_inventory_plugin_returns_hosts_and_what_is_missing_for_any_conforming_answer(
    server: CrookedServer, answers: dict[str, Any]
) -> None:
    server.answer = lambda method, path, headers: Reply(answers[endpoint_of(method, urlsplit(path).path).name])
    client = connect(server.url, "k", retries=0)
    try:
        fleet = read_fleet(client, fleet=2, single=2, workers=1)
        enriched = enrich(client, fleet.instances, updates=True, health=True, workers=1)
    finally:
        client.close()
    assert all(problem.strip() and "Traceback" not in problem for problem in fleet.problems + enriched.problems)
    hosts, _problems = hosts_of(enriched.instances, {}, by_id=False, enriched=("updates", "health"))
    assert len({host.name for host in hosts}) == len(hosts) == len(fleet.instances)
    assert set(groups_of(hosts).get("fleetops_instances", [])) == {host.name for host in hosts}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers=answers_of(ENDPOINTS["get_fleet_update_policy"]))
def test_the_lookups_return_a_limit_or_one_sentence_for_any_conforming_policy(
    server: CrookedServer, answers: dict[str, Any]
) -> None:
    server.answer = lambda method, path, headers: Reply(answers)
    options = {**dict.fromkeys(CONNECTION_OPTIONS), "api_url": server.url, "api_key": "k", "validate_certs": True}
    options |= {"request_timeout": 5, "retries": 0, "extra_headers": {}}
    # No cached policy.
    policy = update_policy(options.get, clock=count(0.0, 1e6).__next__)
    try:
        limit = parallel_limit(policy)
        readable_window(policy)
    except PolicyError as refusal:
        assert str(refusal).strip().endswith(".")
    else:
        assert 1 <= limit < 2**63
        assert batch_sizes(limit)[-1] == limit
