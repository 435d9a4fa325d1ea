# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running simulator for tests: its process and a client for its control routes. Standard library only.

A server process imports the simulator once and forks each simulator, because the imports take longer than most tests.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import secrets
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO
from urllib.parse import urlencode

CHECKOUT = Path(__file__).resolve().parents[2]
KEY_VARIABLES = {
    "user": "SIM_USER_KEY",
    "admin": "SIM_INSTANCE_ADMIN_KEY",
    "tenant_admin": "SIM_TENANT_ADMIN_KEY",
    "tenant_admin_override": "SIM_ADMIN_KEY",
}
START_TIMEOUT_S = 300.0

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.simulator.__main__"])
_STARTING = threading.Lock()


class Simulator:
    """One simulator process. All seconds are virtual."""

    def __init__(self, url: str, keys: dict[str, str], process: BaseProcess) -> None:
        self.url = url
        self.keys = keys
        self.process = process

    @property
    def admin_key(self) -> str:
        """The key that may do everything, including override_window."""
        return self.keys["tenant_admin_override"]

    def environment(self) -> dict[str, str]:
        """The environment variables that a client process needs."""
        return {"FLEETOPS_API_URL": self.url, "FLEETOPS_API_KEY": self.admin_key}

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call a control route; `path` may omit /_sim. Raises ValueError with the answer if the status is not 200."""
        path = path if path.startswith("/_sim/") else "/_sim/" + path.lstrip("/")
        status, answer = self.call(method, path, body, key=None)
        if status != 200:
            raise ValueError(f"{method} {path}: {status} {answer}")
        return answer

    def call(self, method: str, path: str, body: Any = None, key: str | None = "") -> tuple[int, Any]:
        """Send a request with the admin key, another key, or None for no key. Returns the status and parsed JSON."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            headers["X-Api-Key"] = key or self.admin_key
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.loads(refusal.read() or b"null")

    def journal(self, **filters: Any) -> list[dict[str, Any]]:
        """Requests under /v1; filters: operation_id, method, status, role, executed, instance, fault, since, path."""
        return self.control("GET", "journal?" + urlencode(filters))

    def writes(self) -> list[dict[str, Any]]:
        """The requests that were not GET or HEAD."""
        return [row for row in self.journal() if row["method"] not in ("GET", "HEAD")]

    def clear_journal(self) -> None:
        self.control("POST", "journal/clear")

    def advance(self, seconds: float) -> float:
        """Advance the clock. Returns the new virtual time (epoch seconds)."""
        return self.control("POST", "advance", {"seconds": seconds})["now"]

    def fault(self, **plan: Any) -> None:
        """Add a fault plan, for example fault(operation="redeploy_runtime", reset_after=True, times=1)."""
        self.control("POST", "faults", plan)

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def knobs(self, **settings: Any) -> None:
        """Change knobs or any other setting of README.md."""
        self.control("PUT", "knobs", settings)

    def in_flight(self) -> dict[str, Any]:
        """{"now", "maximum", "violations": [...], "history": [...]}"""
        return self.control("GET", "in_flight")

    def state(self) -> dict[str, Any]:
        return self.control("GET", "state")

    def instance(self, name: str) -> dict[str, Any]:
        """The row of GET /_sim/state for a host name, short name or id."""
        for row in self.state()["instances"]:
            if name in (row["id"], row["hostname"], row["hostname"].partition(".")[0]):
                return row
        raise KeyError(name)

    @property
    def instance_ids(self) -> list[str]:
        return [row["id"] for row in self.state()["instances"]]


@contextmanager
def running_simulator(
    instances: int = 24,
    seed: int = 1,
    speed: float = 50.0,
    faults: Mapping[str, Any] | list[Mapping[str, Any]] | None = None,
    knobs: Mapping[str, Any] | None = None,
    arguments: tuple[str, ...] = (),
) -> Iterator[Simulator]:
    """A simulator on a free port until the block ends. `faults`: SIM_FAULTS of README.md, or a list of fault plans."""
    keys = {role: secrets.token_urlsafe(24) for role in KEY_VARIABLES}
    document = {"plans": faults} if isinstance(faults, list) else dict(faults or {})
    environment = {
        **os.environ,
        **{KEY_VARIABLES[role]: key for role, key in keys.items()},
        "SIM_FAULTS": json.dumps({**(knobs or {}), **document}),
    }
    command = ["--port", "0", "--stop-with-stdin"]
    command += ["--instances", str(instances), "--seed", str(seed), "--speed", str(speed), *arguments]
    stdin, to_stdin = _PROCESSES.Pipe(duplex=False)
    from_stdout, stdout = _PROCESSES.Pipe(duplex=False)
    from_stderr, stderr = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_serve, args=(command, environment, (stdin, stdout, stderr)))
    _start(process)
    for end in (stdin, stdout, stderr):
        end.close()
    messages: list[str] = []
    with to_stdin, _text(from_stdout) as output, _text(from_stderr) as errors:
        listener = threading.Thread(target=lambda: messages.extend(errors), daemon=True)
        listener.start()
        try:
            yield Simulator(_url(process, output, messages, listener), keys, process)
        finally:
            _stop(process, listener)
    if any("Traceback" in line for line in messages):
        raise RuntimeError("the simulator raised an exception:\n" + "".join(messages))


def _start(process: BaseProcess) -> None:
    """Start the process. With an empty __main__, multiprocessing does not import pytest in the child."""
    with _STARTING:
        program = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = program


def _serve(command: list[str], environment: dict[str, str], streams: tuple[Connection, ...]) -> None:
    """Run the simulator in the child process, with the given standard streams."""
    os.chdir(CHECKOUT)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = os.fdopen(0)
    from tests.simulator.__main__ import main

    raise SystemExit(main(command))


def _text(end: Connection) -> TextIO:
    """The pipe as a text file; closing the file closes the pipe."""
    number = os.dup(end.fileno())
    end.close()
    return os.fdopen(number, encoding="utf-8")


def _url(process: BaseProcess, output: TextIO, messages: list[str], listener: threading.Thread) -> str:
    alarm = threading.Timer(START_TIMEOUT_S, process.kill)
    alarm.start()
    line = output.readline()
    alarm.cancel()
    if not line.startswith("ready "):
        process.join()
        listener.join(60)
        raise RuntimeError(f"the simulator did not start (exit code {process.exitcode}):\n{''.join(messages)}")
    return line.split()[1]


def _stop(process: BaseProcess, listener: threading.Thread) -> None:
    process.terminate()
    process.join(60)
    if process.is_alive():
        process.kill()
        process.join()
    listener.join(60)
    process.close()
