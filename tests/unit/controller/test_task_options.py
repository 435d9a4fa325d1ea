# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a task before a module gets them: YAML types are refused, or converted as JSON converts them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from ansible_collections.fleetops.agents.plugins.action.api_request import _as_json, _host_of
from ansible_collections.fleetops.agents.plugins.module_utils._client.transport import _plain_query
from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, execute
from ansible_collections.fleetops.agents.plugins.module_utils._module.options import (
    check_ids,
    check_values,
    open_client,
    secret_texts,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import SettingsError
from tests.integration.module_task import operation_of


def test_a_date_becomes_text_as_a_value_and_as_a_key() -> None:
    day = date(2026, 11, 23)
    given = {"content": {day: [{day: day}], datetime(2026, 11, 23, 8): 1, ("a", 1): 2, 7: True, None: None}}
    assert _as_json(given) == {
        "content": {
            "2026-11-23": [{"2026-11-23": "2026-11-23"}],
            "2026-11-23T08:00:00": 1, "('a', 1)": 2, "7": True, "null": None,
        }
    }  # fmt: skip


def test_the_key_is_masked_in_every_spelling_but_a_short_header_only_if_its_name_says_that_it_is_secret() -> None:
    headers = {"X-Tenant": "eu", "X-Gateway": "g" * 16, "Authorization": "Bearer abcd", "X-Version": 1}
    given = {"api_key": 'a/"b', "extra_headers": headers, "instance_id": "i"}
    hidden = secret_texts(given, operation_of("instance_health_info").argument_spec())
    assert {'a/"b', "a%2F%22b", "g" * 16, "Bearer abcd", "abcd"} <= hidden
    assert not hidden & {"eu", "1", "i"}


ID = "d3580219-2889-4c0a-9f3e-5b1a7c2d4e6f"


@pytest.mark.parametrize(
    ("variables", "host"),
    [
        ({"fleetops_instance_id": ID}, "agent-007.nyc3"),
        ({"fleetops_instance_id": f" {{{ID.upper()}}} "}, "agent-007.nyc3"),
        ({}, ""),
        ({"fleetops_instance_id": ID.replace("d", "e")}, ""),
        ({"fleetops_instance_id": "{{ id_of_the_instance }}"}, ""),
        ({"fleetops_instance_id": [ID]}, ""),
        ({"fleetops_instance_id": ID, "inventory_hostname": "localhost"}, ""),
    ],
    ids=["same", "other spelling", "no variable", "other instance", "template", "no text", "this machine"],
)
def test_a_message_uses_the_host_name_only_if_the_host_is_that_instance(variables: dict[str, Any], host: str) -> None:
    of_task = {"inventory_hostname": "agent-007.nyc3", **variables}
    assert _host_of({"instance_id": ID}, of_task) == host
    assert _host_of({}, of_task) == ""


def test_a_message_names_the_host_or_otherwise_the_id_as_the_server_spells_it() -> None:
    context = Context({"instance_id": ID.upper()})
    context.use_spelling_of({"instance_id": ID})
    assert (context.instance, context.instance_first) == (f"instance {ID}", f"Instance {ID}")
    context = Context({"instance_id": ID}, host="agent-007.nyc3")
    assert context.instance == context.instance_first == "agent-007.nyc3"


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("update_policy", {"max_parallel_rollouts": True}),
        ("update_policy", {"maintenance_window_start_hour_utc": False}),
        ("rollout_plan", {"canary": True}),
        ("rollout_gate", {"soak": False}),
        ("api_request", {"request_timeout": True}),
    ],
)
def test_a_boolean_is_not_a_number(module: str, options: dict[str, Any]) -> None:
    operation = operation_of(module)
    spec = operation.argument_spec()
    ((name, value),) = options.items()
    assert spec[name]["type"] in ("int", "float")
    with pytest.raises(ValueError, match=f"{name} must be a number, but it is the boolean {value}"):
        check_values(options, spec)
    # For a module that runs without the action plugin, Ansible has already converted the value to a float.
    if spec[name]["type"] == "int":
        result = execute(operation, Context(options))
        assert result["failed"] and result["msg"].startswith(f"{name} must be a number"), result


def test_a_number_is_accepted_in_any_spelling() -> None:
    spec = operation_of("update_policy").argument_spec()
    for value in (1, "1", 0, None, 1.0):
        check_values({"max_parallel_rollouts": value, "retries": value, "validate_certs": True}, spec)


def test_a_boolean_inside_an_option_is_not_a_number() -> None:
    with pytest.raises(ValueError, match="most must be a number"):
        check_values({"stream": {"run": "x", "most": True}}, operation_of("rollout_gate").argument_spec())


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("rollout", {"state": "cancelled", "rollout_id": ""}),
        ("rollout", {"state": "paused", "rollout_id": " "}),
        ("rollout", {"only_if_outdated": [ID, None]}),
        ("rollout_info", {"rollout_id": ""}),
        ("rollout_target", {"rollout_id": ID, "target_id": ""}),
        ("instance_action_info", {"instance_id": ID, "action_id": ""}),
        ("instance_memory", {"instance_id": ID, "content": "a fact", "customer_id": ""}),
        ("instance_health_info", {"instance_id": ""}),
    ],
)
def test_an_empty_id_is_refused_and_does_not_count_as_left_out(module: str, options: dict[str, Any]) -> None:
    name = list(options)[-1]
    with pytest.raises(ValueError, match=f"^{name} is empty: give an id"):
        check_ids(options)
    result = execute(operation_of(module), Context(options))
    assert result["failed"] and result["msg"].startswith(f"{name} is empty: give an id"), result


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("rollout_info", {"status": ""}),
        ("rollout_info", {"status": ["failed", None]}),
        ("instance_action_info", {"action": [" "]}),
        ("instance_audit_info", {"outcome": ""}),
        ("instance_audit_info", {"source": [""]}),
        ("instance_audit_info", {"tool_name": [""]}),
    ],
)
def test_a_filter_with_an_empty_text_is_refused_since_it_would_select_nothing(
    module: str, options: dict[str, Any]
) -> None:
    ((name, _value),) = options.items()
    spec = operation_of(module).argument_spec()
    with pytest.raises(ValueError, match=f"^{name} contains an empty text: name what to select"):
        check_values(options, spec)
    check_values({name: ["failed"]}, spec)
    check_values({name: None}, spec)


@pytest.mark.parametrize("value", [True, 0, [None], [1]])
def test_a_record_that_is_no_mapping_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^stream must be a mapping, but it is "):
        check_values({"stream": value}, operation_of("instance_runtime").argument_spec())


@pytest.mark.parametrize("value", [None, True, ["secret-of-the-gateway"], {"a": "secret-of-the-gateway"}])
def test_a_header_whose_value_is_no_text_is_refused_without_its_value(value: Any) -> None:
    given = {"api_url": "https://fleet.example", "api_key": "a-key-for-nothing", "request_timeout": 5, "retries": 0}
    with pytest.raises(SettingsError, match=r"^extra_headers: the value of X-Tenant must be text") as caught:
        open_client({**given, "extra_headers": {"X-Tenant": value}}.get)
    assert "secret-of" not in str(caught.value)


def test_a_list_in_a_query_is_one_parameter_for_each_value() -> None:
    given = {"source": ["agent", 1, True, None], "force": False, "limit": 5, "since": None}
    assert urlencode(_plain_query(given), doseq=True) == "source=agent&source=1&source=true&force=false&limit=5"


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], [["a"]]])
def test_a_query_with_a_nested_value_is_refused(value: Any) -> None:
    options = {"method": "GET", "path": "/v1/instances/fleet/updates/policy", "query": {"filter": value}}
    result = execute(operation_of("api_request"), Context(options))
    assert result["failed"] and result["msg"].startswith("query: filter must be text, a number, "), result
