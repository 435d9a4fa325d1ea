# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The README's commands, run by a shell as somebody types them who has installed the built tarball.

Nothing of them is left out but the demo, which needs a checkout. What differs from the printed text stands in
:func:`adapted`: where the tarball and the server are, the key, the port.
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
# Seconds for all commands together, and for one page; with room for a slow machine.
ALL_S, PAGE_S = 1800, 300


class Broken(Exception):
    """A command of the README does not do what it says: which, and what it said."""


def printed() -> list[str]:
    """The commands of the sections, in their order."""
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
    """The commands with what is another place here. Raises Broken when one of them is not there to be replaced."""
    swaps = {
        "collection install fleetops.agents": f"collection install --offline {tarball}",
        "https://fleet.example.com": url,
        "read -rs FLEETOPS_API_KEY": "read -r FLEETOPS_API_KEY",
    }
    text = "\n".join(commands)
    for said, here in swaps.items():
        if said not in text:
            raise Broken(f"The README no longer says: {said}")
        text = text.replace(said, here)
    # The example's own pauses are for real fleets; people change the copy, too.
    quick = json.dumps({"fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 1})
    changed = f"echo '{quick}' > inventories/production.example/group_vars/fleetops_instances.json"
    return re.sub(r"^(mkdir .*production\.example.*)$", rf"\1\n{changed}", text, flags=re.MULTILINE).splitlines()


def run(tarball: Path, sim: Simulator, home: Path, variables: Mapping[str, str]) -> str:
    """Install ``tarball`` and run every command from a folder below ``home``; says what was seen. Raises Broken.

    ``variables`` is the whole environment: its PATH has the commands and the Python of the installation.
    """
    folder = home / "anywhere"
    folder.mkdir(parents=True)
    ran_before(folder)
    commands = adapted(printed(), tarball, sim.url)
    serve = [command for command in commands if re.match(r"python \S+ serve\b", command)]
    if len(serve) != 1:
        raise Broken(f"The README serves the console by {serve}.")
    port = free_port()
    script = "\n".join(
        [
            *("set -e", "trap 'echo \"failed: $BASH_COMMAND\" >&2' ERR"),
            # Settings first, so that the playbooks' runs are in the record too.
            *sorted((command for command in commands if command not in serve), key=lambda one: one[:7] != "export "),
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
            seen = look_at(f"http://127.0.0.1:{port}", shell, folder)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        said = (folder / "output").read_text()
    if sim.admin_key in said:
        raise Broken("The key is in the output.")
    redeploys = len(sim.journal(operation_id="redeploy_runtime"))
    runs = json.loads((folder / "runs.json").read_text())
    rolled = [row for row in runs if "rolling_redeploy" in str(row)]
    if redeploys != INSTANCES or len(rolled) < 2 or len(runs) < 4:
        raise Broken(f"{redeploys} redeploys were sent, and the console lists these runs: {runs}\n{said}")
    return f"{len(commands)} commands of the README from an installed tarball, {seen} pages of its console"


def ran_before(folder: Path) -> None:
    """A folder of ansible-runner's artifacts, from a run of no interest."""
    playbook = folder / "runner" / "project" / "hello.yml"
    playbook.parent.mkdir(parents=True)
    playbook.write_text("[{hosts: localhost, gather_facts: false, tasks: [{ansible.builtin.debug: {}}]}]")
    command = [sys.executable, "-m", "ansible_runner", "run", str(folder / "runner"), "-p", playbook.name, "-q"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise Broken(f"ansible-runner: {done.stdout}{done.stderr}")
    (folder / "runner" / "artifacts").rename(folder / "artifacts")


def look_at(url: str, shell: subprocess.Popen[str], folder: Path) -> int:
    """Open every page once the console answers; how many there are. Raises Broken."""
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
