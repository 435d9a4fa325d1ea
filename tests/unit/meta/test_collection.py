# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The house's rules that no single test of a feature would notice: walls, groups, specs, documentation, licences."""

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

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PACKAGE = "ansible_collections.fleetops.agents.plugins"


def documentation(module: str) -> dict[str, Any]:
    return yaml.safe_load(importlib.import_module(f"{PACKAGE}.modules.{module}").DOCUMENTATION)


def documented_options(module: str) -> dict[str, Any]:
    """The options of a module with those of its fragments."""
    merged: dict[str, Any] = {}
    told = documentation(module)
    for name in told["extends_documentation_fragment"]:
        fragment, _dummy, part = name.removeprefix("fleetops.agents.").partition(".")
        text = getattr(
            importlib.import_module(f"{PACKAGE}.doc_fragments.{fragment}").ModuleDocFragment,
            part.upper() or "DOCUMENTATION",
        )
        merged |= yaml.safe_load(text).get("options") or {}
    return merged | (told.get("options") or {})


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_where_it_must_be(module: str) -> None:
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    assert module in groups["fleet"]
    assert (module in groups["instance"]) == module.startswith("instance_")
    action = importlib.import_module(f"{PACKAGE}.action.{module}").ActionModule
    assert issubclass(action, importlib.import_module(f"{PACKAGE}.action.api_request").ActionModule)
    assert action.operation is importlib.import_module(f"{PACKAGE}.modules.{module}").OPERATION


@pytest.mark.parametrize("module", MODULES)
def test_the_documentation_says_what_the_spec_does(module: str) -> None:
    spec = importlib.import_module(f"{PACKAGE}.modules.{module}").OPERATION.argument_spec()
    told = documented_options(module)
    assert set(spec) == set(told)
    for name, entry in spec.items():
        assert entry.get("type", "str") == told[name].get("type", "str"), name
        assert entry.get("default") == told[name].get("default"), name
        assert entry.get("choices") == told[name].get("choices"), name
        assert entry.get("required", False) == told[name].get("required", False), name
        if name in ENVIRONMENT:
            assert ENVIRONMENT[name] in str(told[name]["description"]), name
        if re.search(r"key|token|secret|password", name):
            assert entry.get("no_log") is True, name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_documented_whole(module: str) -> None:
    loaded = importlib.import_module(f"{PACKAGE}.modules.{module}")
    told = documentation(module)
    assert told["module"] == module
    fragments = told["extends_documentation_fragment"]
    assert "fleetops.agents.attributes" in fragments
    assert "fleetops.agents.connection" in fragments
    # Those that write nothing share what is said of check mode, diff and idempotence.
    if module.endswith("_info") or "fleetops.agents.attributes.info" in fragments:
        assert "fleetops.agents.attributes.info" in fragments
        assert not {row.writes for case, row in TABLE.items() if module_of(case) == module if row.writes}
    else:
        assert {"check_mode", "diff_mode", "idempotent"} <= set(told["attributes"])
    examples = yaml.safe_load(loaded.EXAMPLES)
    assert len(examples) >= 3
    for task in examples:
        words = set(task) - {"name", "register", "until", "retries", "delay", "when", "run_once"}
        assert all(word.startswith(("fleetops.agents.", "ansible.builtin.")) for word in words), task
        assert "api_key" not in str(task)
    for name, entry in yaml.safe_load(loaded.RETURN).items():
        assert {"description", "returned", "type", "sample"} <= set(entry), name


def test_the_table_of_endpoints_is_the_contract() -> None:
    contract = yaml.safe_load((ROOT / "docs" / "contract" / "openapi.yaml").read_text())
    listed = {
        (operation["operationId"], method.upper(), path)
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
    }
    assert {(e.name, e.method, e.path) for e in ENDPOINTS.values()} == listed
    assert sorted(e.number for e in ENDPOINTS.values()) == list(range(1, 27))


def test_versions_agree_and_nothing_is_ignored() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    releases = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]
    assert version in releases or list((ROOT / "changelogs" / "fragments").glob("*.yml")), (
        "a version without its changelog"
    )
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in tracked if "sanity/ignore" in name] == []
    assert "requirements.txt" not in tracked, "ansible-builder would take a requirements.txt of the root"


def test_every_source_file_names_its_licence() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.py", "plugins", "playbooks", "meta/runtime.yml", "README.md", "CONTRIBUTING.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    missing = []
    for name in tracked.stdout.splitlines():
        text = (ROOT / name).read_text()
        wanted = "BSD-2-Clause" if name.startswith("plugins/module_utils/") else "GPL-3.0-or-later"
        if text.strip() and f"SPDX-License-Identifier: {wanted}" not in text:
            missing.append(name)
    assert missing == []


def test_links_of_the_readme_are_whole() -> None:
    links = re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_a_command_of_the_console_is_told_as_it_works_where_it_was_started() -> None:
    # reports/2026-11 C6: `python -m console` works in one folder alone.
    told = []
    for file in (ROOT / "console").rglob("*.py"):
        tree = ast.parse(file.read_text())
        documentation = {
            ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, DOCUMENTED)
        }
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        if file.name != "invocation.py" and any("python -m console" in text for text in texts - documentation):
            told.append(str(file.relative_to(ROOT)))
    assert told == [], "take console.settings.invocation.COMMAND"
