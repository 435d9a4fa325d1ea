# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles and playbooks: their variables are specified, documented, and have the same default everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import is_blank
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.command_line import (
    SET_BY_PLAYBOOKS,
    STATS,
    variables_of,
)
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.given import typed
from tests.unit.meta.roles import PAGE, PLAYBOOKS, ROLES, ROOT, defaults, load, rows, variables


def entry_points(role: str) -> dict[str, Any]:
    return load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]


def words(folder: Path, files: str = "*.yml") -> set[str]:
    return {word for path in sorted(folder.glob(files)) for word in re.findall(r"\bfleetops_\w+", path.read_text())}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_specifies_the_variables_of_its_defaults_and_no_others(role: str) -> None:
    given = defaults(role)
    assert [name for name in given if not name.startswith("fleetops_")] == []
    assert entry_points(role)["main"]["options"].keys() == given.keys()
    for name, entry in entry_points(role).items():
        assert (ROOT / "roles" / role / "tasks" / f"{name}.yml").is_file(), name
        assert {"short_description", "description", "author", "version_added"} <= entry.keys(), name
        for variable, option in entry["options"].items():
            assert {"type", "description"} <= option.keys(), (name, variable)
            if (variable, name) == ("fleetops_result", "record"):
                continue
            assert variable in given, (name, variable)
            assert option.get("default") == given.get(variable), (name, variable)
            # The lookup fleetops.agents.given converts the value. Ansible would refuse a blank answer, and ansible-core
            # 2.18 an empty value (null) of type str or path.
            assert option["type"] == "raw" and "choices" not in option, (name, variable)


def test_a_loop_of_a_role_does_not_hide_the_item_of_a_play_that_includes_the_role_in_a_loop() -> None:
    for path in ROOT.glob("roles/*/tasks/*.yml"):
        loops = re.findall(r"^(?: *)loop: .*\n((?: .*\n)*)", path.read_text(), flags=re.MULTILINE)
        assert all("loop_var: fleetops_" in keywords for keywords in loops), path


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_every_variable_that_it_has(role: str) -> None:
    folder = ROOT / "roles" / role
    checked = words(ROOT / "plugins" / "module_utils" / "_rules", "run_variables.py")
    assert set(defaults(role)) <= words(folder / "tasks") | words(folder / "vars") | checked


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_of_a_role_has_a_row_for_each_variable(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text()
    assert re.findall(r"^\| `(fleetops_\w+)` \|", text, re.MULTILINE) == list(defaults(role))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_accepts_its_values_as_texts_of_a_survey_and_blank_ones_as_not_given(role: str) -> None:
    # reports/2026-11 C2
    for name, entry in entry_points(role).items():
        options = {variable: option for variable, option in entry["options"].items() if variable in defaults(role)}
        for blank in ("", None):
            answers = dict.fromkeys(options, blank)
            assert ArgumentSpecValidator(options).validate(answers).error_messages == [], name
        texts = {variable: as_text(option.get("default")) for variable, option in options.items()}
        assert ArgumentSpecValidator(options).validate(texts).error_messages == [], name
        for variable, default in defaults(role).items():
            if not is_blank(default) and "{{" not in str(default):
                assert typed(variable, as_text(default), default) == default


def as_text(value: Any) -> str:
    return "" if value is None else ",".join(value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_its_variables_through_the_lookup_given(role: str) -> None:
    """A variable read without the lookup may be the empty text of an unanswered question (reports/2026-11 C2)."""
    for folder in ("tasks", "vars"):
        for path in sorted((ROOT / "roles" / role / folder).glob("*.yml")):
            read = re.findall(r"\{\{.*?\}\}|(?:when|that|loop): [^\n]*", path.read_text(), re.DOTALL | re.MULTILINE)
            bare = re.sub(r"'[^']*'|_asked\.\w+", "", " ".join(read))
            assert set(re.findall(r"\bfleetops_\w+", bare)) & set(defaults(role)) == set(), path


def test_a_default_that_a_role_passes_to_the_lookup_given_is_that_of_its_variable() -> None:
    """The lookup reads the defaults of a role by itself, unless some variables are read apart from the others."""
    passed = set()
    for path in sorted((ROOT / "roles").glob("*/*/*.yml")):
        for given in re.findall(r"'fleetops\.agents\.given',\s*(\{.*?\})", path.read_text(), re.DOTALL):
            for name, value in re.findall(r"'(fleetops_\w+)': ('[^']*'|\w+)", given):
                of_roles = [defaults(role)[name] for role in ROLES if name in defaults(role)]
                assert of_roles and all(yaml.safe_load(value) == default for default in of_roles), (path, name)
                passed.add(name)
    assert {"fleetops_compare_versions", "fleetops_end_here", "fleetops_change"} <= passed


def test_the_inventory_does_not_override_variables_that_a_playbook_sets_itself() -> None:
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        for play in load(path):
            parts = [task.get("ansible.builtin.import_role", {}) for task in play.get("tasks", ())]
            roles = [part["name"].rpartition(".")[2] for part in parts if part and "tasks_from" not in part]
            read = {name for role in roles for name in defaults(role)}
            assert set(play.get("vars", ())) >= read & SET_BY_PLAYBOOKS, (path.name, play["name"])


def test_the_playbooks_page_has_a_row_for_each_variable_with_the_playbooks_that_accept_it() -> None:
    takers: dict[str, set[str]] = {}
    for playbook in PLAYBOOKS:
        for name in variables(playbook):
            takers.setdefault(name, set()).add(playbook)
    rolling = {
        p for p in PLAYBOOKS if "fleetops.agents.fleet_preflight" in (ROOT / "playbooks" / f"{p}.yml").read_text()
    }
    assert len(rolling) == 5
    documented = {
        name: set(re.findall(r"``(\w+)``", cells[0])) | (rolling if cells[0].startswith("rolling") else set())
        for name, cells in rows().items()
    }
    assert documented == takers


def test_the_playbooks_page_has_a_section_for_each_playbook() -> None:
    assert set(re.findall(r"^(\w+)\n-+$", PAGE.read_text(), re.MULTILINE)) >= set(PLAYBOOKS)


def _values(content: Any, key: str) -> list[Any]:
    """The values under a key, at any depth."""
    if isinstance(content, list):
        return [value for item in content for value in _values(item, key)]
    if not isinstance(content, dict):
        return []
    return [value for name, item in content.items() for value in ([item] if name == key else _values(item, key))]


def test_no_run_registers_a_variable_with_the_name_of_a_custom_stat() -> None:
    """An AWX workflow passes the stats of a node to later nodes as extra variables, which override all others."""
    files = [load(path) for folder in ("playbooks", "roles/*/tasks") for path in sorted(ROOT.glob(f"{folder}/*.yml"))]
    assert {name for stats in _values(files, "ansible.builtin.set_stats") for name in stats["data"]} == STATS
    # Otherwise Ansible merges a dictionary with that of an earlier run of the same command.
    assert [s for s in _values(files, "ansible.builtin.set_stats") if s.get("aggregate") is not False] == []
    kept = {*_values(files, "register"), *(n for facts in _values(files, "ansible.builtin.set_fact") for n in facts)}
    assert not kept & STATS


@pytest.mark.parametrize("option", ["change", "conversation_id", "customer_id", "override_reason", "plan_hash"])
def test_a_text_of_the_user_that_looks_like_a_number_stays_a_text(option: str) -> None:
    """ansible-core 2.18 with jinja2_native reads the result of a template as a number, unless it ends with string."""
    files = [load(path) for path in sorted(ROOT.glob("roles/*/tasks/*.yml"))]
    given = {value for value in _values(files, option) if isinstance(value, str) and value.endswith("or omit }}")}
    assert given and [value for value in given if not value.endswith(" | string or omit }}")] == []


def _tasks_of(content: Any, module: str) -> list[dict[str, Any]]:
    """The tasks of a module, at any depth."""
    if isinstance(content, list):
        return [task for item in content for task in _tasks_of(item, module)]
    if not isinstance(content, dict):
        return []
    found = [task for item in content.values() for task in _tasks_of(item, module)]
    return [*found, content] if module in content else found


@pytest.mark.parametrize("module", ["instance_memory", "instance_runtime", "instance_update", "rollout"])
def test_playbooks_pass_retry_if_absent_to_the_modules_whose_messages_suggest_it(module: str) -> None:
    name = f"fleetops.agents.{module}"
    files = [load(path) for folder in ("playbooks", "roles/*/tasks") for path in sorted(ROOT.glob(f"{folder}/*.yml"))]
    sending = [task for task in _tasks_of(files, name) if not task.get("check_mode")]
    assert sending
    assert [t["name"] for t in sending if "fleetops_retry_if_absent" not in str(t[name].get("retry_if_absent"))] == []


def test_an_option_that_a_message_says_to_set_has_a_variable_in_the_playbooks() -> None:
    code = "".join(path.read_text() for path in sorted((ROOT / "plugins").rglob("*.py")))
    named = set(re.findall(r"\{with_variable\('(\w+)'\)", code))
    assert "retry_if_absent" in named
    assert {f"fleetops_{option}" for option in named} <= set(variables_of(ROOT))
