# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a hold: a file on this machine, or an address that gets no secret."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context
from ansible_collections.fleetops.agents.plugins.module_utils._rules.hold import Reading
from ansible_collections.fleetops.agents.plugins.module_utils._steps.hold import check_hold, read_hold
from tests.unit.client.crooked_server import crooked_server

SETTINGS: dict[str, Any] = {"validate_certs": True, "ca_path": None, "request_timeout": 5.0}
KEY = "key-that-must-stay-here"


def test_a_file_holds_the_run_while_it_exists_and_gives_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hold"
    assert read_hold(str(file), SETTINGS) == Reading(False, f"the file {file}")
    file.write_text("Migration of the database, ask Ann\nand more\n")
    assert read_hold(str(file), SETTINGS) == Reading(True, f"the file {file} (Migration of the database, ask Ann)")
    file.write_bytes(b"")
    assert read_hold(str(file), SETTINGS).held is True
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_hold("~/hold", SETTINGS).held is True


def test_anything_with_the_name_of_the_file_holds_the_run(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "dangling", "pipe"):
        assert read_hold(str(tmp_path / name), SETTINGS).held is True, name


def test_a_file_in_a_missing_folder_is_unknown(tmp_path: Path) -> None:
    reading = read_hold(str(tmp_path / "not-mounted" / "hold"), SETTINGS)
    assert (reading.held, "the folder of" in reading.said) == (None, True)
    (tmp_path / "file").write_text("")
    assert read_hold(str(tmp_path / "file" / "hold"), SETTINGS).held is None


@pytest.mark.parametrize(("status", "held"), [(200, True), (404, False), (302, None), (503, None), (401, None)])
def test_an_address_is_judged_by_its_status_and_gets_no_secret(
    status: int, held: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETOPS_API_KEY", KEY)
    with crooked_server() as server:
        server.says(b"x" * 100_000, status, Location=f"{server.url}/elsewhere", Set_Cookie="session=1")
        reading = read_hold(f"{server.url}/hold?token=s3cret", SETTINGS)
        assert reading.held is held
        assert "s3cret" not in reading.said
        assert [(method, path) for method, path, _headers in server.seen] == [("GET", "/hold?token=s3cret")]
        sent = {name.lower(): value for name, value in server.seen[0][2].items()}
        assert not {"x-api-key", "authorization", "cookie"} & set(sent)
        assert KEY not in str(sent)


def test_an_address_that_does_not_answer_within_the_time_limit_is_unknown() -> None:
    with crooked_server() as server:
        gone = server.url
    reading = read_hold(f"{gone}/hold?token=s3cret", SETTINGS)
    assert reading.held is None and "did not answer" in reading.said and "s3cret" not in reading.said
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/hold"
        reading = read_hold(address, {**SETTINGS, "request_timeout": 0.3})
        assert reading.held is None and "no answer within the time limit" in reading.said


@pytest.mark.parametrize(("timeout", "interval", "slept"), [(5, 10, [5]), (25, 10, [10, 10, 5]), (0, 10, [])])
def test_a_held_run_waits_no_longer_than_configured(
    tmp_path: Path, timeout: float, interval: float, slept: list[float]
) -> None:
    (tmp_path / "hold").touch()
    pauses: list[float] = []
    options = {"hold": str(tmp_path / "hold"), "hold_timeout": timeout, "hold_interval": interval}
    context = Context(options, clock=lambda: sum(pauses), sleep=pauses.append)
    check = check_hold(context)
    assert (check.verdict, pauses) == ("fail", slept)


def test_an_unreadable_hold_is_read_four_times_whatever_the_time_limit(tmp_path: Path) -> None:
    pauses: list[float] = []
    options = {"hold": str(tmp_path / "gone" / "hold"), "hold_timeout": 5, "hold_interval": 10}
    check = check_hold(Context(options, clock=lambda: sum(pauses), sleep=pauses.append))
    assert (check.verdict, pauses) == ("inconclusive", [10, 10, 10])


def test_an_address_with_an_untrusted_certificate_is_unknown(tmp_path: Path) -> None:
    reading = read_hold("https://127.0.0.1:1/hold", {**SETTINGS, "ca_path": str(tmp_path / "no.pem")})
    assert reading.held is None and "no.pem does not exist" in reading.said
