# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make demo`: a fleet, the console in front of it, and a rolling redeploy that the console follows as it happens.

With CONSOLE=0 nobody watches: it ends after the recap with the playbook's exit code. SIM_FAULTS (JSON, see
tests/simulator/README.md) makes things go wrong: SIM_FAULTS='{"outcomes": {"agent-007": ["failed"]}}' make demo
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
# The fleet's clock is the wall's: what the API and the run log record of one redeploy then agrees, and nothing is in
# the future. A redeploy takes so many seconds, for somebody who watches and for nobody.
DEPLOY_SECONDS, DEPLOY_SECONDS_UNWATCHED = (4.0, 9.0), (0.5, 1.5)
# Seconds to open the address in.
BEFORE_IT_BEGINS = 5.0
MAX_PARALLEL = 4
CONSOLE = [sys.executable, "-m", "console"]
FOLLOW = ["--follow", "--quiet", "--health", "--updates", "--interval", "1s", "--idle-interval", "5s"]
FOLLOW += ["--details-interval", "60s"]


def main() -> int:
    """Run the demo; the exit code is the playbook's, 2 if something else failed, 130 if it was interrupted before."""
    # A stop by the system ends the same way as Ctrl-C, and the processes that were started end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    watched = os.environ.get("CONSOLE", "1") != "0"
    shutil.rmtree(RECORD, ignore_errors=True)
    (RECORD / "runs").mkdir(parents=True)
    try:
        faults = json.loads(os.environ.get("SIM_FAULTS") or "{}")
    except ValueError as bad:
        print(f"SIM_FAULTS is no JSON: {bad}", file=sys.stderr)
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
        say(f"A fleet of {INSTANCES} instances answers at {sim.url}; at most {MAX_PARALLEL} may be redeployed at once.")
        return watch(sim, environment) if watched else record(sim, environment)


def record(sim: Simulator, environment: dict[str, str]) -> int:
    """Redeploy, then load what was recorded; returns the exit code of the playbook, or 2."""
    code = roll(sim, environment)
    say("Loading the run and the server's record into the console's database: python -m console sync --details")
    synced = subprocess.run([*CONSOLE, "sync", "--details"], cwd=CHECKOUT, env=environment, check=False)
    if synced.returncode != 0:
        return code or 2
    say("See it in a browser, while it happens, with: make demo")
    return code


def watch(sim: Simulator, environment: dict[str, str]) -> int:
    """Open the console and follow the fleet, redeploy, and go on until Ctrl-C or SIGTERM. Returns the exit code of the
    playbook, 2 if the console or the follower did not start, 130 if it was stopped before the playbook ended."""
    code = 130
    with ExitStack() as started:
        try:
            follower = started.enter_context(running("sync", FOLLOW, environment))
            if not waited_for(follower, lambda: "read once" in output_of("sync")):
                say(f"The fleet was not read; what was said is in {RECORD / 'sync.log'}.")
                return 2
            port = free_port()
            address = f"http://127.0.0.1:{port}"
            console = started.enter_context(running("serve", ["--port", str(port)], environment))
            if not waited_for(console, lambda: healthy(address)):
                say(f"The console did not start; its output is in {RECORD / 'serve.log'}.")
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
    """Roll the published runtime through the fleet; returns the exit code of the playbook."""
    say("Rolling the published runtime through it: playbooks/rolling_redeploy.yml")
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
        # It stops its workers itself.
        played.terminate()
        played.wait(60)
        raise
    peak = sim.in_flight()["maximum"]
    say(f"The playbook ended with exit code {code}. Most redeploys in flight at once: {peak}.")
    return code


@contextmanager
def running(command: str, arguments: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command of the console until the block ends; what it says is in a file of its name."""
    with (RECORD / f"{command}.log").open("w") as log:
        process = subprocess.Popen(
            [*CONSOLE, command, *arguments],
            cwd=CHECKOUT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for this process, which stops the others.
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop(process)


def output_of(command: str) -> str:
    """What a command has said until now."""
    return (RECORD / f"{command}.log").read_text()


def waited_for(process: subprocess.Popen[bytes], is_so: Callable[[], bool], within: float = 180.0) -> bool:
    """Whether something becomes so while a process runs, before ``within`` seconds are over."""
    end = monotonic() + within
    while monotonic() < end and process.poll() is None:
        if is_so():
            return True
        sleep(0.2)
    return False


def healthy(address: str) -> bool:
    """Whether the console answers."""
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=10):
            return True
    except (urllib.error.URLError, OSError):
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
    sys.exit(main())
