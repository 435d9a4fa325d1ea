# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings that the serving process makes at startup."""

from __future__ import annotations

import socket
from pathlib import Path

from console.web.startup import disable_nagle


def test_accepted_connections_have_nodelay_even_if_the_listening_socket_has_no_protocol() -> None:
    with socket.socket(socket.AF_INET) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        # asyncio checks the protocol and would not change such a connection.
        assert listening.proto == 0
        before = len(list(Path("/proc/self/fd").iterdir()))
        assert disable_nagle() >= 1
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        with socket.create_connection(listening.getsockname()):
            accepted, _peer = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
