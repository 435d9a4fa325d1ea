# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the commands of the README in a shell, as a user does who has installed the built tarball.

Only the demo is left out, because it needs a checkout. :func:`adapted` changes the tarball, the server and the prompt
for the key.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.console.support.every_page import declared_pages
from tests.console.support.fake_awx import TOKEN, running_awx
from tests.console.support.served import free_port
from tests.console.support.visitor import Visitor
from tests.simulator.running import Simulator

CHECKOUT = Path(__file__).resolve().parents[1]
README = CHECKOUT / "README.md"
SECTIONS = (
    *("Installation", "Roll the published runtime through the fleet", "The record, and the console"),
    "AWX and Automation Platform",
)
INSTANCES = 3
# The timeouts in seconds for all commands together and for one page, long enough for a slow machine.
ALL_S, PAGE_S = 1800, 300


class Broken(Exception):
    """A command of the README does not work. The message contains the output."""


def printed() -> list[str]:
    """The commands in the sections, in their order."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^#{2,3} ", README.read_text(), flags=re.MULTILINE):
        heading, _newline, text = part.partition("\n")
        blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        found[heading.strip()] = [
            line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")
        ]
    if missing := [section for section in SECTIONS if not found.get(section)]:
        raise Broken(f"The README has no commands under {', '.join(missing)}.")
    return [command for section in SECTIONS for command in found[section]]


def adapted(commands: list[str], tarball: Path, url: str) -> list[str]:
    """The commands, adapted to the test. Raises Broken if a text to replace is not in the README."""
    swaps = {
        "collection install fleetops.agents": f"collection install --offline {tarball}",
        "https://fleet.example.com": url,
        "read -rs FLEETOPS_API_KEY": "read -r FLEETOPS_API_KEY",
    }
    text = "\n".join(commands)
    for printed_text, replacement in swaps.items():
        if printed_text not in text:
            raise Broken(f"The README no longer contains: {printed_text}")
        text = text.replace(printed_text, replacement)
    # The pauses of the example are meant for real fleets, so the copy is changed.
    quick = json.dumps({"fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 1})
    changed = f"echo '{quick}' > inventories/production.example/group_vars/fleetops_instances.json"
    return re.sub(r"^(mkdir .*production\.example.*)$", rf"\1\n{changed}", text, flags=re.MULTILINE).splitlines()


def run(tarball: Path, sim: Simulator, home: Path, variables: Mapping[str, str]) -> str:
    """Run every command, including the installation of ``tarball``, in a folder below ``home``. Returns a summary.

    ``variables`` is the complete environment. Its PATH contains the commands and the Python of the installation.
    Raises Broken if a command does not work.
    """
    folder = home / "anywhere"
    folder.mkdir(parents=True)
    create_artifacts(folder)
    commands = adapted(printed(), tarball, sim.url)
    serve = [command for command in commands if re.match(r"python \S+ serve\b", command)]
    if len(serve) != 1:
        raise Broken(f"The README must contain one command that serves the console, but it contains {serve}.")
    port = free_port()
    script = "\n".join(
        [
            *("set -e", "trap 'echo \"failed: $BASH_COMMAND\" >&2' ERR"),
            # The settings come first, so that the runs of all playbooks are recorded.
            *sorted(
                (command for command in commands if command not in serve), key=lambda command: command[:7] != "export "
            ),
            "python $console runs --format json > runs.json",
            re.sub(r"serve\b", f"serve --port {port}", serve[0], count=1),
        ]
    )
    with running_awx() as awx, (folder / "output").open("w+") as output:
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
            env={**variables, "HOME": str(home), "FLEETOPS_AWX_URL": awx.url, "FLEETOPS_AWX_TOKEN": TOKEN},
            start_new_session=True,
        )  # fmt: skip
        try:
            assert shell.stdin is not None
            shell.stdin.write(f"{sim.admin_key}\n")
            shell.stdin.close()
            seen = open_pages(f"http://127.0.0.1:{port}", shell, folder)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        printed_output = (folder / "output").read_text()
    if sim.admin_key in printed_output:
        raise Broken("The output contains the key.")
    redeploys = len(sim.journal(operation_id="redeploy_runtime"))
    runs = json.loads((folder / "runs.json").read_text())
    rolled = [row for row in runs if "rolling_redeploy" in str(row)]
    if redeploys != INSTANCES or len(rolled) < 2 or len(runs) < 4:
        raise Broken(f"{redeploys} redeploys were sent, and the console lists these runs: {runs}\n{printed_output}")
    return f"{len(commands)} commands of the README from an installed tarball, {seen} pages of its console"


def create_artifacts(folder: Path) -> None:
    """Create a folder with the artifacts of a run by ansible-runner."""
    playbook = folder / "runner" / "project" / "hello.yml"
    playbook.parent.mkdir(parents=True)
    playbook.write_text("[{hosts: localhost, gather_facts: false, tasks: [{ansible.builtin.debug: {}}]}]")
    command = [sys.executable, "-m", "ansible_runner", "run", str(folder / "runner"), "-p", playbook.name, "-q"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise Broken(f"ansible-runner: {done.stdout}{done.stderr}")
    (folder / "runner" / "artifacts").rename(folder / "artifacts")


def open_pages(url: str, shell: subprocess.Popen[str], folder: Path) -> int:
    """Wait for the console, open every page, and return the number of pages. Raises Broken."""
    end = time.monotonic() + ALL_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=10).close()
            break
        except (urllib.error.URLError, OSError):
            if shell.poll() is not None or time.monotonic() > end:
                raise Broken(f"exit code {shell.poll()}:\n{(folder / 'output').read_text()}") from None
            time.sleep(0.2)
    pages = declared_pages()
    with Visitor(url, timeout=PAGE_S) as visitor:
        for name in pages:
            visit = visitor.open("" if name == "overview" else name)
            if visit.errors or not visit.headings:
                raise Broken(f"The page {name} shows {visit.errors or 'no heading'}.")
    return len(pages)
