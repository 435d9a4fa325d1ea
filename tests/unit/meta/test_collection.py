# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the project that no test of a feature checks: files of a module, groups, specs and documentation."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import ENDPOINTS
from ansible_collections.fleetops.agents.plugins.module_utils._module.options import ENVIRONMENT
from tests.integration.module_table import TABLE, module_of
from tests.integration.module_task import operation_of

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PACKAGE = "ansible_collections.fleetops.agents.plugins"


def documentation(module: str) -> dict[str, Any]:
    return yaml.safe_load(importlib.import_module(f"{PACKAGE}.modules.{module}").DOCUMENTATION)


def documented_options(module: str) -> dict[str, Any]:
    """The options of a module with those of its fragments."""
    merged: dict[str, Any] = {}
    page = documentation(module)
    for name in page["extends_documentation_fragment"]:
        fragment, _dummy, part = name.removeprefix("fleetops.agents.").partition(".")
        text = getattr(
            importlib.import_module(f"{PACKAGE}.doc_fragments.{fragment}").ModuleDocFragment,
            part.upper() or "DOCUMENTATION",
        )
        merged |= yaml.safe_load(text).get("options") or {}
    return merged | (page.get("options") or {})


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_its_files_and_its_action_groups(module: str) -> None:
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    assert module in groups["fleet"]
    assert (module in groups["instance"]) == module.startswith("instance_")
    action = importlib.import_module(f"{PACKAGE}.action.{module}").ActionModule
    assert issubclass(action, importlib.import_module(f"{PACKAGE}.action.api_request").ActionModule)
    assert action.operation is importlib.import_module(f"{PACKAGE}.modules.{module}").OPERATION


@pytest.mark.parametrize("module", MODULES)
def test_the_documented_options_agree_with_the_argument_spec(module: str) -> None:
    spec = importlib.import_module(f"{PACKAGE}.modules.{module}").OPERATION.argument_spec()
    documented = documented_options(module)
    assert set(spec) == set(documented)
    for name, entry in spec.items():
        assert entry.get("type", "str") == documented[name].get("type", "str"), name
        assert entry.get("default") == documented[name].get("default"), name
        assert entry.get("choices") == documented[name].get("choices"), name
        assert entry.get("required", False) == documented[name].get("required", False), name
        if name in ENVIRONMENT:
            assert ENVIRONMENT[name] in str(documented[name]["description"]), name
        if re.search(r"key|token|secret|password", name):
            assert entry.get("no_log") is True, name


@pytest.mark.parametrize("module", MODULES)
def test_the_documentation_of_a_module_is_complete(module: str) -> None:
    loaded = importlib.import_module(f"{PACKAGE}.modules.{module}")
    page = documentation(module)
    assert page["module"] == module
    fragments = page["extends_documentation_fragment"]
    assert "fleetops.agents.attributes" in fragments
    assert "fleetops.agents.connection" in fragments
    # Modules that only read share the texts about check mode, diff mode and idempotence.
    if module.endswith("_info") or "fleetops.agents.attributes.info" in fragments:
        assert "fleetops.agents.attributes.info" in fragments
        assert not {row.writes for case, row in TABLE.items() if module_of(case) == module if row.writes}
    else:
        assert {"check_mode", "diff_mode", "idempotent"} <= set(page["attributes"])
    examples = yaml.safe_load(loaded.EXAMPLES)
    assert len(examples) >= 3
    for task in examples:
        words = set(task) - {"name", "register", "until", "retries", "delay", "when", "run_once"}
        assert all(word.startswith(("fleetops.agents.", "ansible.builtin.")) for word in words), task
        assert "api_key" not in str(task)
    for name, entry in yaml.safe_load(loaded.RETURN).items():
        assert {"description", "returned", "type", "sample"} <= set(entry), name


def test_every_module_has_a_row_and_every_row_a_module() -> None:
    # tests/integration/test_every_module.py runs each row: twice, in check mode, with each fault.
    assert {module_of(case) for case in TABLE} == set(MODULES)


def test_every_endpoint_is_called_by_a_module() -> None:
    served = frozenset().union(*(row.serves for row in TABLE.values()))
    assert served == {endpoint.number for endpoint in ENDPOINTS.values()}


def test_only_rows_of_modules_that_write_list_a_write() -> None:
    named = {write for row in TABLE.values() for write in row.writes}
    assert named == {endpoint.name for endpoint in ENDPOINTS.values() if endpoint.writes}
    assert [case for case, row in TABLE.items() if module_of(case).endswith("_info") and row.writes] == []


def test_an_instance_module_is_tested_with_an_unknown_instance() -> None:
    on_instance = {case for case in TABLE if operation_of(module_of(case)).on_instance}
    assert {case for case in on_instance if TABLE[case].unknown != "instance_id"} == set()


def test_the_table_of_endpoints_agrees_with_the_contract() -> None:
    contract = yaml.safe_load((ROOT / "docs" / "contract" / "openapi.yaml").read_text())
    listed = {
        (operation["operationId"], method.upper(), path)
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
    }
    assert {(e.name, e.method, e.path) for e in ENDPOINTS.values()} == listed
    assert sorted(e.number for e in ENDPOINTS.values()) == list(range(1, 27))


def test_the_root_has_no_requirements_file_that_ansible_builder_would_install() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "requirements.txt" not in tracked


def test_links_in_the_readme_are_absolute() -> None:
    links = re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_messages_of_the_console_name_commands_as_the_console_was_started() -> None:
    # reports/2026-11 C6: `python -m console` works in one folder only.
    found = []
    for file in (ROOT / "console").rglob("*.py"):
        tree = ast.parse(file.read_text())
        documentation = {
            ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, DOCUMENTED)
        }
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        if file.name != "invocation.py" and any("python -m console" in text for text in texts - documentation):
            found.append(str(file.relative_to(ROOT)))
    assert found == [], "use console.settings.invocation.COMMAND"
