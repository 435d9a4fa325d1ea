# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a server answers that conforms to the contract, a module gives a result or one clear sentence."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._api.client import endpoint_of
from ansible_collections.fleetops.agents.plugins.module_utils._api.endpoints import ENDPOINTS
from ansible_collections.fleetops.agents.plugins.module_utils._operation import Context, execute
from tests.integration.module_table import TABLE, module_of
from tests.integration.module_task import operation_of
from tests.unit.api.crooked_server import CrookedServer, Said, crooked_server

CONTRACT = yaml.safe_load((Path(__file__).parents[1] / "contract" / "openapi.yaml").read_text())
_SCRATCH = tempfile.TemporaryDirectory()
MODULES = sorted({module_of(case) for case in TABLE})
ID = "4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"
FLEET = {"agent-001": ID, "agent-002": "5f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"}
# The least that a task of each module needs.
OPTIONS: dict[str, dict[str, Any]] = {
    # A file for whatever is answered; the folder goes with the test process.
    "instance_memory_backup": {"path": f"{_SCRATCH.name}/memory.json"},
    "report_file": {"path": f"{_SCRATCH.name}/report", "content": {"any": "answer"}},
    "api_request": {"path": "/v1/instances/fleet/updates/policy"},
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


# Words that people use beside those that nobody does, so that the branches behind them are reached too.
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", "succeeded", "FAILED", "in progress", "uncertain", "queued", "healthy", "2026-01-01T00:00:00", "0", "-5", ID]
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": st.integers(-10, 10) | st.integers(),
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
    """Whatever conforms to one of the contract's schemas, extra keys included."""
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
    """Whatever is a successful answer of an endpoint."""
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
@given(said=ANSWERS)
def test_any_conforming_answer_gives_a_result_or_one_sentence(
    server: CrookedServer, module: str, said: dict[str, Any]
) -> None:
    server.answer = lambda method, path, headers: Said(said[endpoint_of(method, urlsplit(path).path).name])
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

    # In check mode: a module that acts reads all that it decides upon, and the server hears no write.
    context = Context(checked.validated_parameters, check_mode=True, clock=lambda: now[0], sleep=sleep)
    result = execute(operation, context, diff_mode=True)
    assert json.dumps(result, default=str)
    assert isinstance(result["changed"], bool)
    if result.get("failed"):
        assert result["msg"].strip() and "Traceback" not in result["msg"]
    assert {method for method, _path, _headers in server.seen} <= {"GET"}
