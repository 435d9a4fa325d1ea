# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The job templates as files: complete, without a secret, and of one mind with the playbooks about every variable."""

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
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleetops.agents.plugins.module_utils._options import ENVIRONMENT
from tests.unit.meta.test_roles import PLAYBOOKS, defaults, entry_points, rows, variables

ROOT = Path(__file__).resolve().parents[3]
PATTERN = ROOT / "extensions" / "patterns" / "fleet_ops"
DEFINITION: dict[str, Any] = json.loads((PATTERN / "meta" / "pattern.json").read_text())
RESOURCES: dict[str, Any] = DEFINITION["aap_resources"]
TEMPLATES: list[dict[str, Any]] = RESOURCES["controller_job_templates"]
# A question's type, by the type in a role's argument_specs. What may be empty or a list of words is asked for as text.
OF_TYPE = {
    "int": {"integer"},
    "float": {"float"},
    "bool": {"multiplechoice"},
    "list": {"multiselect"},
    "str": {"text", "multiplechoice"},
    "path": {"text"},
    "raw": {"text"},
}


def questions() -> Iterator[tuple[str, dict[str, Any]]]:
    for template in TEMPLATES:
        for question in template["survey"]["spec"]:
            yield template["playbook"].removesuffix(".yml"), question


def option(playbook: str, variable: str) -> dict[str, Any]:
    """What the argument_specs of the playbook's roles say of a variable; empty where only the playbook reads it."""
    text = (ROOT / "playbooks" / f"{playbook}.yml").read_text()
    for role in sorted(set(re.findall(r"name: fleetops\.agents\.(\w+)", text))):
        if variable in defaults(role):
            return entry_points(role)["main"]["options"][variable]
    return {}


def default_of(playbook: str, variable: str) -> Any:
    """What a variable is when nobody gives it: as the playbook sets it, or reads it, or else as its role has it."""
    text = (ROOT / "playbooks" / f"{playbook}.yml").read_text()
    for play in yaml.safe_load(text):
        if variable in play.get("vars", {}):
            return play["vars"][variable]
    read = re.search(rf"\b{variable}\s*\|\s*default\(([^,)]*)", text)
    if read and read[1] not in ("none", "omit", "''"):
        return yaml.safe_load(read[1])
    given = option(playbook, variable).get("default")
    return None if "{{" in str(given) or given == "" else given


def test_the_pattern_is_whole() -> None:
    assert DEFINITION["name"] == PATTERN.name
    assert {"schema_version", "title", "description", "short_description", "tags", "aap_resources"} <= DEFINITION.keys()
    assert len(DEFINITION["title"]) <= 64 and not DEFINITION["short_description"].endswith(".")
    assert [template["playbook"] for template in TEMPLATES if template.get("primary")] == ["rolling_redeploy.yml"]
    environment = RESOURCES["controller_execution_environment"]["name"]
    for template in TEMPLATES:
        assert template["name"] and template["description"].endswith(".")
        assert template["execution_environment"] == environment
        assert set(template["labels"]) <= set(RESOURCES["controller_labels"])
        # A run in check mode, with the own inventory and credential, is possible from each.
        for asked in ("inventory", "credential", "job_type", "diff_mode", "variables"):
            assert template[f"ask_{asked}_on_launch"] is True
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
def test_a_survey_asks_for_variables_of_its_playbook_in_their_types_and_with_their_defaults(playbook: str) -> None:
    asked = [question for name, question in questions() if name == playbook]
    assert asked
    assert len({question["variable"] for question in asked}) == len(asked)
    for question in asked:
        variable = question["variable"]
        assert variable in variables(playbook), variable
        told = option(playbook, variable)
        assert question["type"] == rows()[variable][2], variable
        if told:
            assert question["type"] in OF_TYPE[told["type"]], variable
        if "choices" in told:
            assert set(question["choices"]) == set(told["choices"]), variable
        if told.get("type") == "bool":
            assert question["choices"] == ["false", "true"], variable
        default = default_of(playbook, variable)
        said = re.search(r" Default: ([^ ]+)\.$", question["question_description"])
        if question["type"] in ("integer", "float"):
            # AWX wants a number as the default of these, the schema of patterns a text: so it is said in words.
            assert "default" not in question, variable
            assert (float(said[1]) if said else None) == (None if default is None else float(default)), variable
        elif said:
            assert "default" not in question and said[1] == str(default), variable
        elif question["required"]:
            assert "default" not in question, variable
        else:
            texts = [] if default is None else default if isinstance(default, list) else [str(default).lower()]
            assert question.get("default", "").splitlines() == texts, variable


def test_every_question_is_complete() -> None:
    for playbook, question in questions():
        where = (playbook, question["variable"])
        assert {"type", "question_name", "question_description", "variable", "required"} <= question.keys(), where
        assert isinstance(question["required"], bool), where
        assert question["question_description"].endswith("."), where
        assert re.fullmatch(r"fleetops_[a-z0-9_]{1,55}", question["variable"]), where
        assert ("choices" in question) == (question["type"] in ("multiplechoice", "multiselect")), where
        assert set(question.get("default", "").splitlines()) <= set(question.get("choices", [question.get("default")]))


def test_the_answers_that_a_survey_gives_are_accepted_by_the_roles() -> None:
    for playbook, question in questions():
        told = option(playbook, question["variable"])
        answers: dict[str, list[Any]] = {"integer": [question.get("min", 0)], "float": [0.5], "text": [""]}
        for answer in answers.get(question["type"], question.get("choices", [])):
            # AWX gives a multiselect as a list.
            given = [answer] if question["type"] == "multiselect" else answer
            spec = {question["variable"]: {key: told[key] for key in ("type", "choices", "elements") if key in told}}
            errors = ArgumentSpecValidator(spec).validate({question["variable"]: given}).error_messages
            assert errors == [], (playbook, question["variable"])


def test_the_credential_injects_what_the_collection_reads_and_nothing_holds_a_secret() -> None:
    [kind] = RESOURCES["controller_credential_types"]
    fields = {field["id"]: field for field in kind["inputs"]["fields"]}
    assert kind["injectors"]["env"] == {ENVIRONMENT[name]: f"{{{{ {name} }}}}" for name in ("api_url", "api_key")}
    assert set(kind["inputs"]["required"]) == set(fields) == {"api_url", "api_key"}
    assert fields["api_key"]["secret"] is True
    assert [question for _name, question in questions() if question["type"] == "password"] == []
    assert [question for _name, question in questions() if re.search(r"key|token|secret", question["variable"])] == []
    # The key's name is only in the credential type.
    rest = json.dumps({name: made for name, made in RESOURCES.items() if name != "controller_credential_types"})
    assert "API_KEY" not in rest and "api_key" not in rest


def test_the_inventory_source_reads_a_file_of_the_project() -> None:
    [source] = RESOURCES["controller_inventory_sources"]
    assert source["inventory"] in [inventory["name"] for inventory in RESOURCES["controller_inventories"]]
    assert yaml.safe_load((ROOT / source["source_path"]).read_text())["plugin"] == "fleetops.agents.fleet"
