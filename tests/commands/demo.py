# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make demo`: a fleet, a rolling redeploy, the recap, and the console in front of what was recorded.

With CONSOLE=0 it ends after the recap with the playbook's exit code. SIM_FAULTS (JSON, see tests/simulator/README.md)
makes things go wrong: SIM_FAULTS='{"outcomes": {"agent-007": ["failed"]}}' make demo CONSOLE=0
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from time import monotonic, sleep

from tests.simulator.running import running_simulator

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
RECORD = CHECKOUT / ".demo"
INSTANCES = 24
# Virtual seconds a second: a redeploy of half a minute takes about a second.
SPEED = 25.0
MAX_PARALLEL = 4


def main() -> int:
    """Run the demo; the exit code is the playbook's, or 2 if something else failed."""
    show_console = os.environ.get("CONSOLE", "1") != "0"
    shutil.rmtree(RECORD, ignore_errors=True)
    RECORD.mkdir()
    try:
        faults = json.loads(os.environ.get("SIM_FAULTS") or "{}")
    except ValueError as bad:
        print(f"SIM_FAULTS is no JSON: {bad}", file=sys.stderr)
        return 2
    with running_simulator(instances=INSTANCES, seed=1, speed=SPEED, faults=faults) as sim:
        sim.call("PATCH", "/v1/instances/fleet/updates/policy", {"max_parallel_rollouts": MAX_PARALLEL})
        sim.clear_journal()
        environment = {
            **os.environ,
            **sim.environment(),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(CHECKOUT / "inventories" / "demo" / "ansible.cfg"),
            "FLEETOPS_RUN_LOG_DIR": str(RECORD / "runs"),
            "FLEETOPS_CONSOLE_DB": str(RECORD / "console.db"),
        }
        if sys.stdout.isatty():
            environment.setdefault("ANSIBLE_FORCE_COLOR", "1")
        say(f"A fleet of {INSTANCES} instances answers at {sim.url}; at most {MAX_PARALLEL} may be redeployed at once.")
        say("Rolling the published runtime through it: playbooks/rolling_redeploy.yml")
        played = subprocess.run(
            [
                *("ansible-playbook", "-i", "inventories/demo/demo.fleet.yml", "playbooks/rolling_redeploy.yml"),
                *("-e", json.dumps({"fleetops_wait_interval": 0.4, "fleetops_healthy_reads": 2})),
            ],
            cwd=CHECKOUT,
            env=environment,
            check=False,
        )
        peak = sim.in_flight()["maximum"]
        say(f"The playbook ended with exit code {played.returncode}. Most redeploys in flight at once: {peak}.")
        say("Loading the run and the server's record into the console's database: python -m console sync --details")
        synced = subprocess.run(
            [sys.executable, "-m", "console", "sync", "--details"], cwd=CHECKOUT, env=environment, check=False
        )
        if synced.returncode != 0:
            return played.returncode or 2
        if show_console:
            serve(environment)
        else:
            say("See it in a browser with: make demo")
        return played.returncode


def serve(environment: dict[str, str]) -> None:
    """The console until Ctrl-C or SIGTERM; then it is stopped, and with the caller's end the fleet too."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = (RECORD / "console.log").open("w")
    console = subprocess.Popen(
        [sys.executable, "-m", "console", "serve", "--port", str(port)],
        cwd=CHECKOUT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        if not healthy(address, console):
            say(f"The console did not start; its output is in {RECORD / 'console.log'}.")
            return
        say(f"The console is at {address}   (Ctrl-C stops it and the fleet)")
        console.wait()
    except KeyboardInterrupt:
        say("Stopping.")
    finally:
        stop(console)
        log.close()


def healthy(address: str, console: subprocess.Popen[bytes], within: float = 180.0) -> bool:
    """Whether the console answers before ``within`` seconds are over."""
    end = monotonic() + within
    while monotonic() < end and console.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=10):
                return True
        except (urllib.error.URLError, OSError):
            sleep(0.2)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A port of the loopback interface that is free now: 8501 if it is."""
    for port in (8501, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


def say(text: str) -> None:
    """A line for the person who watches."""
    print(f"\n==> {text}", flush=True)


if __name__ == "__main__":
    # A stop by the system ends the same way as Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_signal: (_never for _never in ()).throw(KeyboardInterrupt))
    sys.exit(main())
