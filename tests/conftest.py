# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for all tests: a simulator, and ansible-playbook running against it."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.commands.browser import left_out, needs_browser
from tests.simulator.running import Simulator, running_simulator

# No deadline, because an example may take long on a busy machine.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

CHECKOUT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
# The tests and what they start use the programs of this environment, also if it is not on the path. This is set before
# the console is imported, which looks for python on the path.
os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
STATE = pytest.StashKey[Path]()
_TESTS = itertools.count()


NOT_RUN = pytest.StashKey[list[str]]()


# After -k and -m, so that only tests that would have run are listed.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With BROWSER=0, deselect the tests that need a browser. They are listed at the end."""
    if not left_out():
        return
    browser_tests = [item for item in items if needs_browser(item)]
    items[:] = [item for item in items if item not in browser_tests]
    config.hook.pytest_deselected(items=browser_tests)
    config.stash[NOT_RUN] = [item.nodeid for item in browser_tests]
    # With pytest-xdist, each worker collects all tests, and the controlling process prints the list.
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = config.stash[NOT_RUN]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Copy the list of deselected tests from a pytest-xdist worker."""
    if "left_out" in (output := getattr(node, "workeroutput", {})):
        node.config.stash[NOT_RUN] = output["left_out"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (names := config.stash.get(NOT_RUN, None)) is not None:
        terminalreporter.section("not run (BROWSER=0)")
        for name in names:
            terminalreporter.line(f"NOT RUN {name}")
        terminalreporter.line(f"{len(names)} browser tests not run")


@dataclass
class PlaybookRun:
    """A finished run of ansible-playbook: its exit code, output, run log folder, and recap."""

    rc: int
    stdout: str
    stderr: str
    run_logs: Path
    recap: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def total(self, counter: str) -> int:
        """The sum of a recap counter (ok, changed, failed, ...) over all hosts."""
        return sum(row[counter] for row in self.recap.values())

    def events(self) -> list[dict[str, Any]]:
        """The events of the run log, in order. Runs of the same second are ordered by their end, not by their ids."""
        files = sorted(self.run_logs.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(line) for path in files for line in path.open()]

    @property
    def artifacts(self) -> dict[str, Any]:
        """The set_stats data of the last playbook, as AWX shows it."""
        ends = [event["event_data"] for event in self.events() if event["event"] == "playbook_on_stats"]
        assert ends, self.output
        return ends[-1]["artifact_data"]

    @property
    def report(self) -> dict[str, Any]:
        """The report of a playbook among its artifacts."""
        return self.artifacts["fleetops_report"]


def read_recap(text: str) -> dict[str, dict[str, int]]:
    """The recap in the output of a playbook: host -> counter -> number."""
    lines = text.rpartition("PLAY RECAP")[2].splitlines()[1:]
    rows = (re.match(r"(\S+)\s+:\s+(ok=.*)", line) for line in lines)
    return {row[1]: {name: int(n) for name, n in (pair.split("=") for pair in row[2].split())} for row in rows if row}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each test its own state folder, so that it does not use that of another test or of the user."""
    os.environ["XDG_STATE_HOME"] = str(item.config.stash[STATE] / f"{next(_TESTS)}")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[STATE] = Path(tempfile.mkdtemp(prefix="fleetops-state-"))


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[STATE], ignore_errors=True)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A fleet of six instances, with a clock that is forty times as fast as real time."""
    with running_simulator(instances=6, speed=40.0) as sim:
        yield sim


@pytest.fixture
def playbook_environment(tmp_path: Path) -> Callable[[Simulator], dict[str, str]]:
    """The environment of a controller for a simulator, with the run log and HOME in the folder of the test."""

    def environment(sim: Simulator) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "FLEETOPS_", "SIM_"))}
        return {
            **kept,
            **sim.environment(),
            "HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / ".local" / "state"),
            "ANSIBLE_CONFIG": str(CHECKOUT / "inventories" / "demo" / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "ansible-tmp"),
            "FLEETOPS_RUN_LOG_DIR": str(tmp_path / "runs"),
            "TMPDIR": str(tmp_path),
        }

    return environment


@pytest.fixture
def run_playbook(
    tmp_path: Path, playbook_environment: Callable[[Simulator], dict[str, str]]
) -> Callable[..., PlaybookRun]:
    """Runs ansible-playbook with the inventory plugin: ``run_playbook(sim, "x.yml", "--check", e={...})``."""

    def run(
        sim: Simulator,
        playbook: str | Path,
        *arguments: str,
        e: Mapping[str, Any] | None = None,
        inventory: str | Path = CHECKOUT / "inventories" / "demo" / "demo.fleet.yml",
        env: Mapping[str, str] | None = None,
        timeout: float = 180,
    ) -> PlaybookRun:
        command = ["ansible-playbook", "-i", str(inventory), str(playbook), *arguments]
        if e:
            command += ["-e", json.dumps(dict(e))]
        done = subprocess.run(
            command,
            cwd=CHECKOUT,
            env={**playbook_environment(sim), **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return PlaybookRun(done.returncode, done.stdout, done.stderr, tmp_path / "runs", read_recap(done.stdout))

    return run
