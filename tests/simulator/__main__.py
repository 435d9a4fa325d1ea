# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.simulator`: serve one simulator on the loopback interface until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from tests.simulator.app import build
from tests.simulator.auth import ENVIRONMENT, key_ring
from tests.simulator.clock import parse_moment
from tests.simulator.world import World


def main(arguments: list[str] | None = None) -> int:
    options = _options().parse_args(arguments)
    ring = key_ring(dict(os.environ))
    start = time.time() if options.start is None else parse_moment(options.start)
    world = World(ring, options.instances, options.seed, options.speed, start, not options.no_history)
    try:
        world.configure(_document(options.faults or os.environ.get("SIM_FAULTS", "")))
    except (AttributeError, OSError, TypeError, ValueError) as problem:
        print(f"simulator: SIM_FAULTS or --faults cannot be used: {problem}", file=sys.stderr)
        return 2
    # The fleet lives as long as the process, so the garbage collector need not examine it.
    gc.freeze()
    listener = socket.create_server((options.host, options.port), backlog=512)
    # For a socket that it did not create, asyncio leaves Nagle's algorithm on, which delays each body by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    url = f"http://{options.host}:{listener.getsockname()[1]}"
    if "SIM_ADMIN_KEY" not in os.environ:
        _show_keys(ring.keys)
    asyncio.run(_serve(world, listener, url, options.stop_with_stdin))
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--instances", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--speed", type=float, default=10.0, help="virtual seconds per real second; 0 means a manual clock"
    )
    parser.add_argument("--start", help="virtual time at the start, ISO 8601 (default: now)")
    parser.add_argument("--no-history", action="store_true", help="do not create rollouts of the past days")
    parser.add_argument("--faults", help="JSON, or @file (default: SIM_FAULTS of the environment)")
    parser.add_argument("--stop-with-stdin", action="store_true", help="exit when standard input is closed")
    return parser


def _document(text: str) -> dict[str, Any]:
    """The JSON object that README.md describes; a JSON list is a list of fault plans."""
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    document = json.loads(text) if text.strip() else {}
    return {"plans": document} if isinstance(document, list) else document


def _show_keys(keys: dict[str, str]) -> None:
    for role, key in keys.items():
        if ENVIRONMENT[role] not in os.environ:
            print(f"simulator: generated key for the role {role}: {key}", file=sys.stderr)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again after it has stopped, and the exit code would not be 0.
        yield


async def _serve(world: World, listener: socket.socket, url: str, stop_with_stdin: bool) -> None:
    config = uvicorn.Config(
        build(world),
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        http="h11",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if stop_with_stdin:
        loop.add_reader(sys.stdin.fileno(), lambda: stop() if not os.read(sys.stdin.fileno(), 4096) else None)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    if server.started:
        print(f"ready {url}", flush=True)
    await serving


if __name__ == "__main__":
    sys.exit(main())
