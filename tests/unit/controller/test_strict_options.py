# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All parts parse booleans, numbers and texts the same: empty counts as not set, invalid values are refused by name."""

# reports/2026-11 C1

from __future__ import annotations

import importlib
import itertools
import math
import os
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import boolean as boolean_of_ansible

from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, Operation, execute
from ansible_collections.fleetops.agents.plugins.module_utils._module.options import CONNECTION_OPTIONS
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import SettingsError, boolean, number
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.errors import SourceError
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.settings import read_settings
from console.settings.environment import SettingsError as ConsoleSettingsError
from console.settings.environment import load_api
from tests.conftest import CHECKOUT
from tests.unit.meta.documented import documentation
from tests.unit.plugin_options import PluginOptions, Refused, plugin_options

MODULES = "ansible_collections.fleetops.agents.plugins.modules."
CONNECTION = {"FLEETOPS_API_URL": "https://fleet.example", "FLEETOPS_API_KEY": "a-key-for-nothing"}
WORDS = ["true", "Yes", "on", "1", "T", "y", "FALSE", "no", "off", "0", "f", "N"]
NO_BOOLEANS = ["ture", "enabled", "2", "-1", "none", "null", "{{ true }}", "trueish"]


def of_a_module(**_environment: str) -> dict[str, Any]:
    operation = Operation(run=lambda context: None)
    return ArgumentSpecValidator(operation.argument_spec()).validate({}).validated_parameters


def of_an_inventory(**options: Any) -> dict[str, Any]:
    return ANSIBLE.read("inventory", "fleet", direct={"plugin": "fleetops.agents.fleet", **options})


def of_a_lookup(name: str = "update_policy", **variables: Any) -> dict[str, Any]:
    return ANSIBLE.read("lookup", name, variables=variables)


def of_the_console(**_environment: str) -> dict[str, Any]:
    return vars(load_api())


def of_the_event_source(**_environment: str) -> dict[str, Any]:
    try:
        return read_settings({}, os.environ)._asdict()
    except SourceError as refused:
        raise SettingsError(str(refused)) from None


PARTS = [of_a_module, of_an_inventory, of_a_lookup, of_the_console, of_the_event_source]
REFUSALS = (SettingsError, Refused, ConsoleSettingsError)


ANSIBLE: PluginOptions


@pytest.fixture(scope="module", autouse=True)
def ansible_process() -> Iterator[None]:
    global ANSIBLE
    with plugin_options() as ANSIBLE:
        yield


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FLEETOPS_")]:
        monkeypatch.delenv(name)
    for name, value in CONNECTION.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("empty", ["", " ", "\t"])
def test_an_empty_variable_counts_as_not_set_in_every_part(
    part: Any, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = part()
    for name in ("VALIDATE_CERTS", "CA_PATH", "REQUEST_TIMEOUT", "RETRIES", "API_TRACE", "EXTRA_HEADERS"):
        monkeypatch.setenv(f"FLEETOPS_{name}", empty)
    with_empty = part()
    assert with_empty["validate_certs"] is True and with_empty["ca_path"] is None
    assert with_empty["request_timeout"] == without["request_timeout"] > 0
    assert {name: with_empty[name] for name in with_empty} == without


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("word", NO_BOOLEANS)
def test_an_invalid_boolean_is_refused_with_the_name_of_its_variable_in_every_part(
    part: Any, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETOPS_VALIDATE_CERTS", word)
    with pytest.raises(REFUSALS, match=r"FLEETOPS_VALIDATE_CERTS is .*: it must be true or false"):
        part()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("word", WORDS)
def test_every_part_accepts_the_same_words_for_booleans(part: Any, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETOPS_VALIDATE_CERTS", f" {word} ")
    assert part()["validate_certs"] is boolean_of_ansible(word)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("text", ["soon", "nan", "inf", "1e999", "true", "1,5"])
def test_an_invalid_time_limit_is_refused_with_the_name_of_its_variable(
    part: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETOPS_REQUEST_TIMEOUT", text)
    with pytest.raises(REFUSALS, match="FLEETOPS_REQUEST_TIMEOUT is"):
        part()


@pytest.mark.parametrize("part", [part for part in PARTS if part is not of_the_event_source])
@pytest.mark.parametrize("text", ["three", "2.5", "nan"])
def test_an_invalid_number_of_retries_is_refused_with_the_name_of_its_variable(
    part: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETOPS_RETRIES", text)
    with pytest.raises(REFUSALS, match=r"FLEETOPS_RETRIES is .*whole number"):
        part()


@pytest.mark.parametrize("part", [of_a_module, of_an_inventory, of_a_lookup])
@pytest.mark.parametrize("name", sorted(CONNECTION))
def test_a_missing_address_or_key_is_reported_with_the_name_of_its_variable(
    part: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, " ")
    with pytest.raises(REFUSALS, match=f"is not set: set it, or {name} in the environment"):
        part()


def test_an_option_wins_over_an_invalid_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETOPS_VALIDATE_CERTS", "ture")
    spec = Operation(run=lambda context: None).argument_spec()
    assert (
        ArgumentSpecValidator(spec).validate({"validate_certs": False}).validated_parameters["validate_certs"] is False
    )
    assert of_a_lookup(fleetops_validate_certs="no")["validate_certs"] is False


@pytest.mark.parametrize("value", ["{{ true }}", "ture", 2, [], "enabled", 0.5])
@pytest.mark.parametrize("option", ["validate_certs", "strict", "cache"])
def test_an_inventory_file_with_an_invalid_boolean_is_refused(option: str, value: Any) -> None:
    with pytest.raises(Refused, match=rf"^{option} is .*: it must be true or false"):
        of_an_inventory(**{option: value})


@pytest.mark.parametrize(
    ("kind", "plugin", "mistyped", "meant"),
    [
        ("inventory", "fleet", "instanses", "instances"),
        ("inventory", "fleet", "keyed_group", "keyed_groups"),
        ("lookup", "batches", "canry", "canary"),
        ("lookup", "plan_order", "wave", "waves"),
        ("lookup", "update_policy", "validate_cert", "validate_certs"),
    ],
)
def test_an_option_that_a_plugin_does_not_have_is_refused(kind: str, plugin: str, mistyped: str, meant: str) -> None:
    with pytest.raises(Refused, match=rf"^{mistyped} is not an option of this plugin \(but {meant} is\)\.$"):
        ANSIBLE.read(kind, plugin, direct={mistyped: "x"})
    with pytest.raises(Refused, match=r"^colour is not an option of this plugin\.$"):
        ANSIBLE.read(kind, plugin, direct={"colour": "blue"})


def test_a_lookup_can_be_the_loop_of_a_task() -> None:
    """For with_..., ansible-core 2.18 passes wantlist to the plugin. Newer versions do not."""
    assert ANSIBLE.read("lookup", "plan_order", direct={"wantlist": True}) == ANSIBLE.read("lookup", "plan_order")


@pytest.mark.parametrize("option", ["compose", "groups", "extra_headers"])
def test_an_option_that_is_no_mapping_is_refused_by_its_name(option: str) -> None:
    with pytest.raises(Refused, match=rf"^{option} must be a mapping; in an environment variable, write it as JSON\.$"):
        of_an_inventory(**{option: ["x"]})


def test_empty_options_of_an_inventory_use_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    documented = documentation("inventory.fleet")["options"]
    own = {
        row["name"]: name
        for name, entry in documented.items()
        for row in entry.get("env") or []
        if row["name"].startswith("FLEETOPS_") and row["name"] not in CONNECTION
    }
    assert len(own) > 10
    for variable in own:
        monkeypatch.setenv(variable, "")
    options = of_an_inventory()
    assert {name: options[name] for name in own.values()} == {
        name: documented[name].get("default") for name in own.values()
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WORKERS", "many"), ("ROLLOUTS", "1.5"), ("STRICT", "perhaps"), ("ON_PARTIAL", "ignore"), ("HOSTNAME", "ip")],
)
def test_an_invalid_variable_of_an_inventory_option_is_refused_by_name(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FLEETOPS_INVENTORY_{variable}", value)
    with pytest.raises(Refused, match=f"^FLEETOPS_INVENTORY_{variable} is "):
        of_an_inventory()


def test_headers_from_the_environment_are_json_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETOPS_EXTRA_HEADERS", '{"X-Tenant": "blue"}')
    assert of_an_inventory()["extra_headers"] == of_a_lookup()["extra_headers"] == {"X-Tenant": "blue"}
    monkeypatch.setenv("FLEETOPS_EXTRA_HEADERS", "X-Gateway: secret-of-the-gateway")
    with pytest.raises(Refused, match=r"^FLEETOPS_EXTRA_HEADERS must be a mapping") as caught:
        of_a_lookup()
    assert "secret-of" not in str(caught.value)


def test_an_empty_variable_of_the_lookup_batches_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CANARY", "MAX", "GROWTH"):
        monkeypatch.setenv(f"FLEETOPS_BATCH_{name}", "")
    options = of_a_lookup("batches", fleetops_batch_canary=None, fleetops_batch_growth=" ")
    assert (options["canary"], options["batch_max"], options["growth"], options["request_timeout"]) == (
        1,
        None,
        "fixed",
        5,
    )


def test_with_an_empty_variable_the_run_log_does_not_write_into_the_current_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLEETOPS_RUN_LOG_DIR", "")
    monkeypatch.setenv("FLEETOPS_RUN_LOG_RESULT_LIMIT", "")
    options = ANSIBLE.read("callback", "run_log")
    assert (options["spool_dir"], options["result_limit"]) == (None, 65536)
    monkeypatch.setenv("FLEETOPS_RUN_LOG_RESULT_LIMIT", "much")
    with pytest.raises(Refused, match=r"^FLEETOPS_RUN_LOG_RESULT_LIMIT is 'much'"):
        ANSIBLE.read("callback", "run_log")


def test_a_template_in_a_variable_of_a_lookup_is_not_a_boolean() -> None:
    with pytest.raises(Refused, match=r"^fleetops_validate_certs is .*templates are not evaluated here"):
        of_a_lookup(fleetops_validate_certs="{{ true }}")


@pytest.mark.parametrize(("value", "meant"), [(True, True), (0, False), (1.0, True), ("Off", False)])
def test_yaml_values_are_accepted_as_booleans(value: Any, meant: bool) -> None:
    assert boolean("x", value) is meant


@pytest.mark.parametrize("value", [True, None, [], math.inf, "", "1 2"])
def test_an_invalid_number_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match=r"^x is .*: it must be a number$"):
        number("x", value)


@pytest.mark.parametrize("module", sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py")))
def test_a_time_or_a_count_out_of_range_is_refused_by_every_module(module: str) -> None:
    """No comparison with NaN is true, so NaN would disable the limit."""
    operation = importlib.import_module(MODULES + module).OPERATION
    numbers = [name for name, entry in operation.argument_spec().items() if entry.get("type") in ("int", "float")]
    assert numbers
    for name, value in itertools.product(numbers, (math.nan, math.inf, -math.inf, 1e300, -(10**30), 10**400, 10**9)):
        result = execute(operation, Context({name: value}))
        option = f"{name} (FLEETOPS_{name.upper()})" if name in CONNECTION_OPTIONS else name
        assert result["failed"] and result["msg"].startswith(f"{option} is {value}: it must be a number of"), result
