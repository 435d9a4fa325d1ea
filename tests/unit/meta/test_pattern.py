# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The job templates as files: complete, without a secret, and in agreement with the playbooks about every variable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.fleetops.agents.plugins.module_utils._module.options import ENVIRONMENT
from ansible_collections.fleetops.agents.plugins.modules import rollout, rollout_plan
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.given import typed
from tests.unit.meta.roles import PLAYBOOKS, asked, defaults, rows, variables

ROOT = Path(__file__).resolve().parents[3]
PATTERN = ROOT / "extensions" / "patterns" / "fleet_ops"
DEFINITION: dict[str, Any] = json.loads((PATTERN / "meta" / "pattern.json").read_text())
RESOURCES: dict[str, Any] = DEFINITION["aap_resources"]
TEMPLATES: list[dict[str, Any]] = RESOURCES["controller_job_templates"]
# The type of a question, by the type of the variable's default. Without a default, it is text or a number.
OF_TYPE: dict[type, set[str]] = {
    int: {"integer"},
    float: {"float"},
    bool: {"multiplechoice"},
    list: {"multiselect"},
    str: {"text", "multiplechoice"},
    type(None): {"text", "integer"},
}


# Its default is a number in two playbooks, and the policy in the others.
ASKED_AS_TEXT = {"fleetops_batch_max"}


# The choices of the modules; a question may offer fewer than its playbook accepts.
CHOICES = {
    "fleetops_state": set(rollout_plan.OPERATION.options["state"]["choices"]) - {"updates", "checked"},
    "fleetops_growth": set(rollout_plan.OPERATION.options["growth"]["choices"]),
    "fleetops_on_active": set(rollout.OPERATION.options["on_active"]["choices"]),
    "fleetops_on_too_many": set(rollout.OPERATION.options["on_too_many"]["choices"]),
    "fleetops_recover_rungs": {"breakers", "power_cycle", "reboot"},
}


def questions() -> Iterator[tuple[str, dict[str, Any]]]:
    for template in TEMPLATES:
        for question in template["survey"]["spec"]:
            yield template["playbook"].removesuffix(".yml"), question


def default_of(playbook: str, variable: str) -> Any:
    """The default of a variable: as the playbook sets or reads it, or otherwise the default of its role."""
    text = (ROOT / "playbooks" / f"{playbook}.yml").read_text()
    for play in yaml.safe_load(text):
        if variable in play.get("vars", {}):
            return play["vars"][variable]
    roles = sorted(set(re.findall(r"name: fleetops\.agents\.(\w+)", text)))
    found = {name: default for role in roles for name, default in defaults(role).items()} | asked(playbook)
    return found[variable]


def test_the_pattern_is_complete() -> None:
    assert DEFINITION["name"] == PATTERN.name
    assert {"schema_version", "title", "description", "short_description", "tags", "aap_resources"} <= DEFINITION.keys()
    assert len(DEFINITION["title"]) <= 64 and not DEFINITION["short_description"].endswith(".")
    assert [template["playbook"] for template in TEMPLATES if template.get("primary")] == ["rolling_redeploy.yml"]
    environment = RESOURCES["controller_execution_environment"]["name"]
    for template in TEMPLATES:
        assert template["name"] and template["description"].endswith(".")
        assert template["execution_environment"] == environment
        assert set(template["labels"]) <= set(RESOURCES["controller_labels"])
        # Each template can be launched in check mode, with another inventory and credential.
        for prompt in ("inventory", "credential", "job_type", "diff_mode", "variables"):
            assert template[f"ask_{prompt}_on_launch"] is True
    assert {label for template in TEMPLATES for label in template["labels"]} == set(RESOURCES["controller_labels"])
    assert len({template["name"] for template in TEMPLATES}) == len(TEMPLATES)


def test_every_playbook_has_a_template_that_imports_it() -> None:
    assert sorted(template["playbook"].removesuffix(".yml") for template in TEMPLATES) == PLAYBOOKS
    assert sorted(path.stem for path in (PATTERN / "playbooks").iterdir()) == PLAYBOOKS
    for playbook in PLAYBOOKS:
        [imported] = yaml.safe_load((PATTERN / "playbooks" / f"{playbook}.yml").read_text())
        # By its path: galaxy-importer's lint does not find the collection's own playbooks by their full names.
        path = PATTERN / "playbooks" / imported["ansible.builtin.import_playbook"]
        assert path.resolve() == ROOT / "playbooks" / f"{playbook}.yml"
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "--syntax-check", "-i", "localhost,"]
    done = subprocess.run(
        [*command, *sorted(map(str, (PATTERN / "playbooks").glob("*.yml")))],
        cwd=PATTERN, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_survey_asks_for_variables_of_its_playbook_with_their_types_and_defaults(playbook: str) -> None:
    asked_for = [question for name, question in questions() if name == playbook]
    assert asked_for
    assert len({question["variable"] for question in asked_for}) == len(asked_for)
    for question in asked_for:
        variable = question["variable"]
        assert variable in variables(playbook), variable
        default = default_of(playbook, variable)
        assert question["type"] == rows()[variable][2], variable
        if variable not in ASKED_AS_TEXT:
            assert question["type"] in OF_TYPE[type(default)], variable
        if isinstance(default, bool):
            assert question["choices"] == ["false", "true"], variable
        if variable in CHOICES:
            assert set(question["choices"]) == CHOICES[variable], variable
        if default == "" or "{{" in str(default):
            default = None
        # AWX passes the default of a question as an extra variable, which would override the inventory. So the
        # description states it. AWX's editor of surveys needs the field for a question with choices.
        assert question.get("default") == ("" if "choices" in question else None), variable
        documented = re.search(r" Default: (.+)\.$", question["question_description"])
        if question["required"] or default is None:
            assert documented is None, variable
        elif question["type"] in ("integer", "float"):
            assert documented and float(documented[1]) == float(default), variable
        else:
            words = default if isinstance(default, list) else [str(default).lower()]
            assert documented and documented[1] == ", ".join(words), variable


def test_every_question_is_complete() -> None:
    for playbook, question in questions():
        where = (playbook, question["variable"])
        assert {"type", "question_name", "question_description", "variable", "required"} <= question.keys(), where
        assert isinstance(question["required"], bool), where
        assert question["question_description"].endswith("."), where
        assert re.fullmatch(r"fleetops_[a-z0-9_]{1,55}", question["variable"]), where
        assert ("choices" in question) == (question["type"] in ("multiplechoice", "multiselect")), where


def test_the_answers_of_a_survey_have_the_types_of_the_defaults() -> None:
    for playbook, question in questions():
        default = default_of(playbook, question["variable"])
        answers: dict[str, list[Any]] = {"integer": [question.get("min", 0)], "float": [0.5], "text": ["7"]}
        for answer in answers.get(question["type"], question.get("choices", [])):
            # AWX passes a multiselect as a list.
            given = [answer] if question["type"] == "multiselect" else answer
            typed(question["variable"], given, default)


def test_the_credential_provides_the_settings_of_the_collection_and_no_file_contains_a_secret() -> None:
    [kind] = RESOURCES["controller_credential_types"]
    fields = {field["id"]: field for field in kind["inputs"]["fields"]}
    assert kind["injectors"]["env"] == {ENVIRONMENT[name]: f"{{{{ {name} }}}}" for name in ("api_url", "api_key")}
    assert set(kind["inputs"]["required"]) == set(fields) == {"api_url", "api_key"}
    assert fields["api_key"]["secret"] is True
    assert [question for _name, question in questions() if question["type"] == "password"] == []
    assert [question for _name, question in questions() if re.search(r"key|token|secret", question["variable"])] == []
    # The name of the key is only in the credential type.
    rest = json.dumps({name: made for name, made in RESOURCES.items() if name != "controller_credential_types"})
    assert "API_KEY" not in rest and "api_key" not in rest


def test_the_workflow_runs_only_an_approved_plan_and_fails_if_its_run_fails() -> None:
    [workflow] = RESOURCES["controller_workflow_job_templates"]
    nodes = {node["identifier"]: node for node in RESOURCES["controller_workflow_job_template_nodes"]}
    assert {node["workflow_job_template"] for node in nodes.values()} == {workflow["name"]}
    of_name = {template["name"]: template for template in TEMPLATES}
    for node in nodes.values():
        assert ("approval_node" in node) != ("unified_job_template" in node)
        # AWX counts a workflow as successful if its failed node has a failure branch.
        assert {"failure_nodes", "always_nodes"} & node.keys() == set()
        if "unified_job_template" in node:
            template = of_name[node["unified_job_template"]]
            # A node without an answer to a required question cannot be launched.
            assert not any(question["required"] for question in template["survey"]["spec"])
    assert {name: node.get("success_nodes", []) for name, node in nodes.items()} == {
        "plan": ["approve"], "approve": ["run"], "run": ["report"], "report": [],
    }  # fmt: skip
    assert nodes["plan"]["unified_job_template"] == nodes["run"]["unified_job_template"]
    assert (nodes["plan"]["job_type"], nodes["run"]["job_type"]) == ("check", "run")
    assert nodes["run"]["extra_data"] == {"fleetops_plan_required": True}
    assert "fleetops_plan_required" in variables("rolling_redeploy")
    assert nodes["approve"]["approval_node"]["timeout"] > 0
    assert workflow["ask_variables_on_launch"] and workflow["ask_limit_on_launch"]


def test_the_inventory_source_reads_a_file_of_the_project() -> None:
    [source] = RESOURCES["controller_inventory_sources"]
    assert source["inventory"] in [inventory["name"] for inventory in RESOURCES["controller_inventories"]]
    assert yaml.safe_load((ROOT / source["source_path"]).read_text())["plugin"] == "fleetops.agents.fleet"
