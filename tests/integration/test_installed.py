# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation with ansible-galaxy has what the README says: its commands and the console work in any folder.

These tests use this environment's packages, but not the checkout that is linked into it; `make ee` does the same in
clean environments.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests import readme
from tests.conftest import BIN, CHECKOUT
from tests.simulator.running import running_simulator

pytestmark = pytest.mark.playbook

# Python reads this file at startup, after the link to the checkout.
UNLINKED = """
import sys
sys.path[:] = [path for path in sys.path if not path.endswith("/.venv/collections")]
"""
# The console does not need Ansible.
WITHOUT_ANSIBLE = """
sys.modules["ansible"] = None
"""


def clean(folder: Path, text: str = UNLINKED) -> dict[str, str]:
    """An environment without this project's variables, in which Python does not find the checkout."""
    (folder / "start").mkdir()
    (folder / "start" / "sitecustomize.py").write_text(text)
    hidden = ("ANSIBLE_", "FLEETOPS_", "SIM_", "PYTHON", "XDG_", "STREAMLIT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**kept, "PATH": f"{BIN}:/usr/bin:/bin", "PYTHONPATH": str(folder / "start"), "HOME": str(folder)}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("build")
    made = subprocess.run(
        [CHECKOUT / ".ci" / "copy", work / "source"], capture_output=True, text=True, timeout=300, check=True
    )
    build = [BIN / "ansible-galaxy", "collection", "build", "--output-path", work, made.stdout.strip()]
    subprocess.run(build, cwd=work, capture_output=True, timeout=300, check=True)
    [built] = work.glob("fleetops-agents-*.tar.gz")
    return built


# reports/2026-11 C6
def test_the_commands_of_the_readme_run_from_an_installation_in_any_folder(tarball: Path, tmp_path: Path) -> None:
    with running_simulator(instances=readme.INSTANCES, speed=50.0) as sim:
        readme.run(tarball, sim, tmp_path / "home", clean(tmp_path))


def test_the_blocks_of_ten_minutes_with_your_own_fleet_run_from_an_installation(tarball: Path, tmp_path: Path) -> None:
    guide = (CHECKOUT / "docs" / "docsite" / "rst" / "first_steps.rst").read_text()
    blocks = re.findall(r"^\.\. code-block:: bash\n\n((?:    .*\n|\n)+)", guide, re.MULTILINE)
    text = "\n".join(textwrap.dedent(block) for block in blocks)
    with running_simulator(instances=3, speed=50.0) as sim:
        swaps = {
            # The packages of this environment; `make ee` installs new ones.
            "python3 -m venv fleetops\n. fleetops/bin/activate\npip install ansible-core requests\n": "",
            "pip install -r fleetops/": "test -f fleetops/",
            "collection install fleetops.agents": f"collection install --offline {tarball}",
            "https://fleet.example.com": sim.url,
            "read -rs FLEETOPS_API_KEY": "read -r FLEETOPS_API_KEY",
            "console serve\n": "console serve --help\n",
            "THE_HASH": "$(plan_hash)",
            # A run without the hash is refused.
            " --forks 20": " --forks 20 -e fleetops_wait_interval=0.2 -e fleetops_plan_required=true",
        }
        for printed, here in swaps.items():
            assert printed in text, f"the guide no longer says {printed!r}"
            text = text.replace(printed, here)
        # The hash, as a reader copies it from the output of the check.
        tee = tmp_path / "output"
        taken = f"sed -nE 's/.*Plan hash: ([0-9a-f-]+).*/\\1/p' {tee} | head -1"
        start = f"set -euo pipefail\nshopt -s expand_aliases\nplan_hash() {{ {taken}; }}\nexec > >(tee {tee}) 2>&1\n"
        done = subprocess.run(
            ["bash", "-c", start + text], cwd=tmp_path, input=f"{sim.keys['admin']}\n", env=clean(tmp_path),
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "rolling_redeploy" in done.stdout
        journal = [entry for entry in sim.journal() if entry["method"] != "GET"]
    assert len(journal) == 3, "the run after the check redeploys each instance once, and nothing else is written"


# reports/2026-11 C6
@pytest.mark.parametrize("start", ["path", "module"])
def test_the_installed_console_needs_no_ansible_and_suggests_commands_that_work_where_it_was_started(
    tarball: Path, tmp_path: Path, start: str
) -> None:
    agents = tmp_path / "ansible_collections" / "fleetops" / "agents"
    agents.mkdir(parents=True)
    subprocess.run(["tar", "xzf", tarball, "-C", agents], check=True, timeout=300)
    environment = clean(tmp_path, UNLINKED + WITHOUT_ANSIBLE)
    command = [str(BIN / "python"), *(["-m", "console"] if start == "module" else [str(agents / "console")])]
    folder = agents if start == "module" else tmp_path

    def console(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    none = console("runs")
    prefix = "python -m console" if start == "module" else f"python {agents / 'console'}"
    assert none.returncode == 3 and f": {prefix} sync" in none.stderr, none.stderr
    # The python of PATH is the same program without the packages of the virtual environment, as if that is not active.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    path, environment["PATH"] = environment["PATH"], f"{tmp_path / 'bin'}:{environment['PATH']}"
    assert f": {BIN}/{prefix} sync" in console("runs").stderr
    environment |= {"PATH": path, "PYTHONSAFEPATH": "1"}
    command[1:] = [str(agents / "console")]
    assert f": python {agents / 'console'} sync" in console("runs").stderr
    del environment["PYTHONSAFEPATH"]
    synced = console("sync", "--no-api")
    assert synced.returncode == 0, synced.stderr
    assert console("rollouts").returncode == 0
    with running_simulator(instances=2, speed=50.0) as sim:
        environment |= sim.environment()
        synced = console("sync", "--details")
    assert synced.returncode == 0 and "instances audited 2" in synced.stdout, synced.stdout + synced.stderr


# reports/2026-11 C6
@pytest.mark.parametrize(
    ("arguments", "missing", "error"),
    [
        (["sync"], "requests", "ModuleNotFoundError"),
        (["runs"], "pandas", "ModuleNotFoundError"),
        # An older version lacks a name.
        ([], "sqlite_utils", "ImportError"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, arguments: list[str], missing: str, error: str
) -> None:
    block = f"""
import importlib.abc

class Lacks(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "{missing}":
            raise {error}(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Lacks())
"""
    environment = clean(tmp_path, UNLINKED + block) | {"FLEETOPS_CONSOLE_DB": str(tmp_path / "console.db")}
    environment |= {"FLEETOPS_API_URL": "http://127.0.0.1:9", "FLEETOPS_API_KEY": "x"}
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "console"), *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert f"package {missing} is missing or too old" in done.stderr
    assert f"-m pip install -r {CHECKOUT / 'console' / 'requirements.txt'}" in done.stderr
