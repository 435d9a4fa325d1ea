# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation agrees with the code, modules that read do not write, and every file names its licence."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import ENDPOINTS
from ansible_collections.fleetops.agents.plugins.module_utils._module.options import CONNECTION_OPTIONS, ENVIRONMENT
from tests.unit.meta.documented import ROOT, documentation, fragment, loaded, texts

MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
OTHERS = [
    f"{folder}.{path.stem}"
    for folder in ("inventory", "lookup", "callback", "test")
    for path in sorted((ROOT / "plugins" / folder).glob("*.py"))
]


def tracked(*patterns: str) -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in names.decode().split("\0") if name and (path := ROOT / name).is_file()]


def sources(folder: str) -> Iterator[tuple[str, ast.Module]]:
    for path in tracked(f"{folder}/*.py"):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


# The client


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_client_has_a_method_of_each_endpoint_that_names_it(name: str) -> None:
    method = getattr(FleetClient, name)
    assert (method.__doc__ or "").startswith(f"E{ENDPOINTS[name].number}:")


def test_info_modules_send_no_write() -> None:
    writes = {name for name, endpoint in ENDPOINTS.items() if endpoint.writes} | {"raw", "write"}
    readers = [(name, tree) for name, tree in sources("plugins/modules") if name.endswith("_info.py")]
    assert readers
    for name, tree in readers:
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert used & writes == set(), name


# Who writes to the database


SQL = re.compile(
    r"\s*(insert\s+(or\s+\w+\s+)?into|update\s+\w+\s+set|delete\s+from|create\s+(table|view|index|unique))\b"
)


def test_only_the_store_and_its_migrations_write_sql() -> None:
    writers = {
        name
        for name, tree in sources("console")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value.lower())
    }
    assert writers, "no writer found: the pattern is wrong"
    assert {
        name for name in writers if not name.startswith(("console/record/schema/", "console/record/write/"))
    } == set()


# Documentation


@pytest.mark.parametrize("name", [f"modules.{module}" for module in MODULES] + OTHERS)
def test_references_in_the_documentation_exist(name: str) -> None:
    document = documentation(name)
    options = set(document["options"])
    parts = texts(name)
    text = parts["DOCUMENTATION"] + parts["RETURN"]
    # O(namespace.collection.plugin#type:option) is an option of another plugin.
    assert set(re.findall(r"\bO\(([a-z_]+)\b(?!\.)", text)) <= options
    returned = set(yaml.safe_load(parts["RETURN"] or "{}") or {})
    assert set(re.findall(r"\bRV\((?!ignore:|fleetops\.)([a-z_]+)", text)) <= returned
    for other, kind in re.findall(r"fleetops\.agents\.(\w+)#(\w+)", text):
        assert (ROOT / "plugins" / {"module": "modules"}.get(kind, kind) / f"{other}.py").is_file(), other
    for other, key in re.findall(r"\bRV\(fleetops\.agents\.(\w+)#module:([a-z_]+)", text):
        assert key in yaml.safe_load(texts(f"modules.{other}")["RETURN"]), (other, key)
    for entry in document.get("seealso", []):
        module = entry.get("module", "")
        assert not module.startswith("fleetops.agents.") or module.rpartition(".")[2] in MODULES, module


@pytest.mark.parametrize("module", MODULES)
def test_the_documentation_fragments_agree_with_the_operation(module: str) -> None:
    operation = loaded(f"modules.{module}").OPERATION
    used = set(yaml.safe_load(loaded(f"modules.{module}").DOCUMENTATION)["extends_documentation_fragment"])
    assert ("fleetops.agents.instance" in used) == operation.on_instance == module.startswith("instance_")
    assert ("fleetops.agents.attributes.instance" in used) == operation.on_instance
    assert ("fleetops.agents.wait" in used) == (operation.wait_timeout is not None)
    attributes = fragment(f"fleetops.agents.attributes{'.instance' if operation.on_instance else ''}")["attributes"]
    group = attributes["action_group"]
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    assert {name.removeprefix("fleetops.agents.") for name in group["membership"]} == {
        name for name, members in groups.items() if module in members
    }


@pytest.mark.parametrize("module", MODULES)
def test_examples_use_existing_options(module: str) -> None:
    for task in yaml.safe_load(loaded(f"modules.{module}").EXAMPLES):
        for name, options in task.items():
            if name.startswith("fleetops.agents."):
                spec = loaded(f"modules.{name.rpartition('.')[2]}").OPERATION.argument_spec()
                assert set(options or {}) <= set(spec), task["name"]


def test_modules_and_plugins_have_the_same_connection_options() -> None:
    ours, theirs = (fragment(f"fleetops.agents.connection{part}")["options"] for part in ("", ".plugins"))
    assert set(ours) == set(CONNECTION_OPTIONS)
    assert set(theirs) == set(CONNECTION_OPTIONS) - {"api_trace"}
    for name, entry in theirs.items():
        for key in ("type", "default", "required"):
            assert entry.get(key) == ours[name].get(key), (name, key)
        variables = [row["name"] for row in entry["env"]]
        assert variables == [ENVIRONMENT.get(name, "FLEETOPS_" + name.upper())], name
        assert [row["name"] for row in entry["vars"]] == [f"fleetops_{name}"]


@pytest.mark.parametrize("name", OTHERS)
def test_options_of_plugins_have_environment_variables(name: str) -> None:
    document = documentation(name)
    variables = [row["name"] for entry in document["options"].values() for row in entry.get("env", [])]
    # ANSIBLE_ variables come from Ansible's own fragments (cache).
    assert [v for v in variables if not v.startswith(("FLEETOPS_", "ANSIBLE_"))] == []
    secret = [option for option in document["options"] if re.search(r"key$|token|secret|passw", option)]
    for option in secret:
        assert "default" not in document["options"][option]


def test_the_newest_changelog_entry_is_the_version_or_fragments_exist() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    releases = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]
    newest = max(releases, key=lambda text: [int(part) for part in text.split("-")[0].split(".")])
    waiting = [path for path in tracked("changelogs/fragments") if path.suffix in (".yml", ".yaml")]
    assert newest == version or waiting
    named = {entry["name"] for release in releases.values() for entry in release.get("modules", [])}
    assert set(MODULES) <= named or waiting
    for name in [f"modules.{module}" for module in MODULES] + OTHERS:
        added = yaml.safe_load(texts(name)["DOCUMENTATION"])["version_added"]
        assert [int(part) for part in added.split(".")] <= [int(part) for part in version.split(".")], name


# Pages


def paragraphs(path: str) -> list[str]:
    """The paragraphs of a page, each on one line."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", (ROOT / path).read_text())]


# reports/2026-11 A5
def test_the_readme_says_which_exit_code_make_returns(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("demo:\n\t@exit 4\n")
    assert subprocess.run(["make", "-s", "-C", str(tmp_path), "demo"], capture_output=True, check=False).returncode == 2
    found = [text for text in paragraphs("README.md") if "make demo CONSOLE=0` ends" in text]
    assert len(found) == 1 and "otherwise 2" in found[0]


# reports/2026-11 F8
def test_no_page_shows_the_key_in_a_play_except_as_a_warning() -> None:
    text = " ".join(paragraphs("README.md") + paragraphs("docs/docsite/rst/playbooks.rst"))
    assert "Never set the key with `environment:`" in text
    for path in [*ROOT.glob("docs/docsite/rst/*.rst"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/README.md")]:
        for found in re.finditer(r"^( *)environment:\n((?:\1 +.*\n)+)", path.read_text(), re.M):
            if "FLEETOPS_API_KEY" in found[2]:
                before = path.read_text()[: found.start()].rpartition("\n\n")[0][-600:]
                assert re.search(r"never|not |instead of", before, re.I), f"{path}: {found[0]}"


# Files


# Generated files, files for tools, data, and the licences themselves.
NO_LICENCE_LINE = re.compile(
    r"^(LICENSES/|COPYING$|CHANGELOG|changelogs/(changelog|fragments)|docs/contract/(api-reference.txt|openapi.yaml)|docs/images/|tests/console/data/)"
    r"|\.(png|json|jsonl|lock)$|\.gitignore$|py\.typed$"
)


def test_every_tracked_file_names_its_licence() -> None:
    missing = []
    for path in tracked():
        name = str(path.relative_to(ROOT))
        licence = b"BSD-2-Clause" if name.startswith("plugins/module_utils/") else b"GPL-3.0-or-later"
        text = path.read_bytes()
        if text.strip() and not NO_LICENCE_LINE.search(name) and b"SPDX-License-Identifier: " + licence not in text:
            missing.append(name)
    assert not missing, " ".join(missing)


def test_no_file_lists_ignored_findings() -> None:
    names = [str(path.relative_to(ROOT)) for path in tracked()]
    assert [name for name in names if re.search(r"ignore-[\d.]+\.txt$|\.ansible-lint-ignore|\.mypy-ignore", name)] == []
