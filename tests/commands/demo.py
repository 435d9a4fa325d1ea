# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make demo`: a simulated fleet, the console, and a rolling redeploy that the console shows live.

With CONSOLE=0 there is no console, and the demo ends with the playbook's exit code after the recap. SIM_FAULTS (JSON,
see tests/simulator/README.md) causes failures: SIM_FAULTS='{"outcomes": {"agent-007": ["failed"]}}' make demo
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

from tests.simulator.running import Simulator, running_simulator

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
RECORD = CHECKOUT / ".demo"
INSTANCES = 24
# The simulator's clock runs in real time, so that the times in the API and in the run log agree.
# The shortest and the longest redeploy in seconds, with the console and without it.
DEPLOY_SECONDS, DEPLOY_SECONDS_UNWATCHED = (4.0, 9.0), (0.5, 1.5)
# Seconds in which the user can open the address.
BEFORE_IT_BEGINS = 5.0
MAX_PARALLEL = 4
CONSOLE = [sys.executable, "-m", "console"]
FOLLOW = ["--follow", "--quiet", "--health", "--updates", "--interval", "1s", "--idle-interval", "5s"]
FOLLOW += ["--details-interval", "60s"]


def main() -> int:
    """Run the demo. Returns the exit code of the playbook, 2 if something else failed, 130 if it was interrupted."""
    # SIGTERM has the same effect as Ctrl-C, so that the child processes are stopped too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    watched = os.environ.get("CONSOLE", "1") != "0"
    shutil.rmtree(RECORD, ignore_errors=True)
    (RECORD / "runs").mkdir(parents=True)
    try:
        faults = json.loads(os.environ.get("SIM_FAULTS") or "{}")
    except ValueError as bad:
        print(f"SIM_FAULTS is not JSON: {bad}", file=sys.stderr)
        return 2
    seconds = {"deploy_s": DEPLOY_SECONDS if watched else DEPLOY_SECONDS_UNWATCHED, "warmup_s": 0.5}
    with running_simulator(instances=INSTANCES, seed=1, speed=1.0, faults=faults, knobs=seconds) as sim:
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
        say(
            f"A simulated fleet of {INSTANCES} instances runs at {sim.url}, at most {MAX_PARALLEL} redeploys at a time."
        )
        return watch(sim, environment) if watched else record(sim, environment)


def record(sim: Simulator, environment: dict[str, str]) -> int:
    """Redeploy, then load the records. Returns the exit code of the playbook, or 2 if the sync failed."""
    code = roll(sim, environment)
    say("Loading the run log and the server's records into the console's database: python -m console sync --details")
    synced = subprocess.run([*CONSOLE, "sync", "--details"], cwd=CHECKOUT, env=environment, check=False)
    if synced.returncode != 0:
        return code or 2
    say("To watch a redeploy in a browser while it runs: make demo")
    return code


def watch(sim: Simulator, environment: dict[str, str]) -> int:
    """Start the console and a following sync, redeploy, and run until Ctrl-C or SIGTERM. Returns the exit code of the
    playbook, 2 if the console or the sync did not start, 130 if the demo was stopped before the playbook ended."""
    code = 130
    with ExitStack() as started:
        try:
            follower = started.enter_context(running("sync", FOLLOW, environment))
            if not waited_for(follower, lambda: "read once" in output_of("sync")):
                say(f"The sync did not read the fleet. Its output is in {RECORD / 'sync.log'}.")
                return 2
            port = free_port()
            address = f"http://127.0.0.1:{port}"
            console = started.enter_context(running("serve", ["--port", str(port)], environment))
            if not waited_for(console, lambda: healthy(address)):
                say(f"The console did not start. Its output is in {RECORD / 'serve.log'}.")
                return 2
            say(f"The console is at {address}   (Ctrl-C stops it and the fleet)")
            print(f"It follows the fleet. The redeploy begins in {BEFORE_IT_BEGINS:.0f} s.", flush=True)
            sleep(BEFORE_IT_BEGINS)
            code = roll(sim, environment)
            say(f"The console is still at {address}   (Ctrl-C stops it and the fleet)")
            console.wait()
        except KeyboardInterrupt:
            say("Stopping.")
    return code


def roll(sim: Simulator, environment: dict[str, str]) -> int:
    """Redeploy the fleet with the published runtime. Returns the exit code of the playbook."""
    say("Redeploying the fleet with the published runtime: playbooks/rolling_redeploy.yml")
    played = subprocess.Popen(
        [
            *("ansible-playbook", "-i", "inventories/demo/demo.fleet.yml", "playbooks/rolling_redeploy.yml"),
            *("-e", json.dumps({"fleetops_wait_interval": 0.4, "fleetops_healthy_reads": 2})),
        ],
        cwd=CHECKOUT,
        env=environment,
    )
    try:
        code = played.wait()
    except KeyboardInterrupt:
        # ansible-playbook stops its own workers.
        played.terminate()
        played.wait(60)
        raise
    peak = sim.in_flight()["maximum"]
    say(f"The playbook ended with exit code {code}. At most {peak} redeploys were in progress at a time.")
    return code


@contextmanager
def running(command: str, arguments: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of the console until the block ends. Its output goes to a log file with the name of the command."""
    with (RECORD / f"{command}.log").open("w") as log:
        process = subprocess.Popen(
            [*CONSOLE, command, *arguments],
            cwd=CHECKOUT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C must only reach this process, which stops the others.
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop(process)


def output_of(command: str) -> str:
    """The output of a command so far."""
    return (RECORD / f"{command}.log").read_text()


def waited_for(process: subprocess.Popen[bytes], condition: Callable[[], bool], within: float = 180.0) -> bool:
    """Wait until the condition is true. Returns False if the process ends or ``within`` seconds pass before that."""
    end = monotonic() + within
    while monotonic() < end and process.poll() is None:
        if condition():
            return True
        sleep(0.2)
    return False


def healthy(address: str) -> bool:
    """Whether the console responds."""
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=10):
            return True
    except (urllib.error.URLError, OSError):
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and its child processes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A free port of the loopback interface, preferably 8501."""
    for port in (8501, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


def say(text: str) -> None:
    """Print a line for the user."""
    print(f"\n==> {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
