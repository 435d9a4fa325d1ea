# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which folder may import what. docs/architecture.md says why."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COLLECTION = "ansible_collections.fleetops.agents."
NETWORK = ("requests", "urllib3", "http.client", "urllib.request", "socket", "httpx", "aiohttp", "ssl")


def modules(folder: str) -> list[Path]:
    found = sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)
    assert found, f"{folder} holds no Python file"
    return found


def imported(path: Path) -> Iterator[str]:
    """The absolute names that a file imports, without the name of the collection."""
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])]).removeprefix(COLLECTION)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def importers(folder: str, *names: str) -> set[str]:
    """The files of a folder that import one of the modules or a submodule."""
    return {
        str(path.relative_to(ROOT))
        for path in modules(folder)
        if any(found == name or found.startswith(name + ".") for found in imported(path) for name in names)
    }


SQLITE = ("sqlite3", "sqlite_utils")
CLIENT, RULES = "plugins.module_utils._client", "plugins.module_utils._rules"
MODULE, STEPS = "plugins.module_utils._module", "plugins.module_utils._steps"


@pytest.mark.parametrize(
    ("folder", "names", "allowed"),
    [
        ("plugins", ("console", "tests", "sqlite3", "sqlite_utils"), ()),
        ("plugins", NETWORK, ("plugins/module_utils/_client/transport.py", "plugins/plugin_utils/_run_log/origin.py")),
        ("extensions", NETWORK, ()),
        ("plugins", ("ansible.module_utils.urls",), ()),
        ("plugins/module_utils/_rules", ("ansible", CLIENT, MODULE, STEPS, "os", "pathlib", "subprocess"), ()),
        ("plugins/module_utils/_client", ("ansible", MODULE, STEPS), ()),
        ("plugins/module_utils/_module", (STEPS,), ()),
        ("tests/simulator", ("plugins", "console"), ()),
        ("tests/second_api", ("plugins", "console"), ()),
        ("console", ("tests", "ansible"), ()),
        ("console", ("requests", "urllib3", "httpx", "aiohttp"), ()),
        ("console", ("apprise",), ("console/notifications/send.py",)),
        ("console", ("prometheus_client",), ("console/monitoring/metrics.py",)),
        ("console/settings", ("streamlit", *SQLITE, "plotly"), ()),
        ("console/text", ("streamlit", *SQLITE, "plotly", "os", "socket"), ()),
        ("console/outcomes", ("streamlit", *SQLITE, "plotly", "pandas", "os", "pathlib", "socket", "time"), ()),
        ("console/record", ("streamlit", "plotly"), ()),
        ("console/collect", ("streamlit", *SQLITE, "plotly"), ()),
        ("console/act", ("streamlit", *SQLITE, "plotly"), ()),
        ("console/notifications", ("streamlit", *SQLITE, "plotly", "pandas"), ()),
        ("console/monitoring", ("streamlit", *SQLITE, "plotly"), ()),
        ("console/figures", ("streamlit", *SQLITE, "os", "socket"), ()),
        ("console/cli", ("streamlit", *SQLITE, "plotly"), ()),
        ("console/web", SQLITE, ()),
        ("console/web", ("plotly",), ("console/web/shared/plot.py",)),
    ],
)
def test_a_folder_imports_only_from_lower_folders(
    folder: str, names: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    assert importers(folder, *names) <= set(allowed)


# From bottom to top: a folder may import folders of earlier lines, but none of its own line.
LAYERS = [
    {"settings", "text"},
    {"outcomes"},
    {"record"},
    {"collect", "act", "monitoring", "notifications", "figures"},
    {"cli", "web"},
]


@pytest.mark.parametrize("level", range(len(LAYERS)))
def test_no_folder_of_the_console_imports_upwards_or_sideways(level: int) -> None:
    for folder in LAYERS[level]:
        above = {name for names in LAYERS[level:] for name in names} - {folder}
        assert importers(f"console/{folder}", *(f"console.{name}" for name in above)) == set(), folder


def test_every_folder_of_the_console_has_its_layer() -> None:
    folders = {path.name for path in (ROOT / "console").iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert folders == set().union(*LAYERS)


def test_no_plugin_uses_dynamic_imports_or_imports_from_another_tree() -> None:
    by_name = {"import_module", "__import__", "exec", "eval"}
    for path in modules("plugins"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ImportFrom):
                # Two levels: from one folder of plugins, or of module_utils, to the next.
                assert node.level <= 2, f"{place} imports from outside plugins"
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in by_name:
                pytest.fail(f"{place} imports by name")


def test_only_tests_import_the_simulator() -> None:
    listed = subprocess.run(
        ["git", "grep", "-liE", "simulator|_sim/", "--", "plugins", "console", "playbooks", "meta", "inventories"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert listed.stdout.split() == []


def test_no_test_file_imports_from_another() -> None:
    for path in modules("tests"):
        shared = [name for name in imported(path) if re.match(r"tests\..*\btest_", name)]
        assert shared == [], f"{path.relative_to(ROOT)}: move what is shared to a support module"
