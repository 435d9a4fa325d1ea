# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules that write files: files that they never replace, impossible file names and values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, Operation, execute
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_line
from ansible_collections.fleetops.agents.plugins.modules import instance_memory_backup, report_file
from tests.unit.client.crooked_server import CrookedServer, crooked_server

GOOD = {"id": "m1", "content": "Invoices go out on Fridays."}
TOO_LONG = "n" * 300


@pytest.fixture
def server() -> Iterator[CrookedServer]:
    with crooked_server() as room:
        room.says({"memories": [GOOD], "count": 1})
        yield room


def run(
    operation: Operation, url: str = "http://127.0.0.1:9", *, check_mode: bool = False, **options: Any
) -> dict[str, Any]:
    given = {"api_url": url, "api_key": "k", "retries": 0, **options}
    if operation.on_instance:
        given["instance_id"] = "agent-1"
    checked = ArgumentSpecValidator(operation.argument_spec()).validate(given)
    assert not checked.error_messages, checked.error_messages
    return execute(operation, Context(checked.validated_parameters, check_mode=check_mode), diff_mode=True)


def backup(server: CrookedServer, path: Path, **options: Any) -> dict[str, Any]:
    return run(instance_memory_backup.OPERATION, server.url, path=str(path), **options)


@pytest.mark.parametrize("odd", [b"NaN", b"-Infinity", b"1e999"])
def test_a_number_that_json_does_not_have_becomes_null(server: CrookedServer, tmp_path: Path, odd: bytes) -> None:
    server.says(
        b'{"memories": [{"id": "m1", "content": "x", "score": ' + odd + b'}, {"id": "m2", "content": ' + odd + b"}]}"
    )
    file = tmp_path / "memory.json"
    saved = backup(server, file)
    assert saved["changed"] and saved["count"] == 2, saved
    assert json.loads(file.read_text(), parse_constant=pytest.fail)["memories"][0]["score"] is None
    assert backup(server, file)["changed"] is False
    assert backup(server, file, state="compared")["missing"] == []
    # A file written by an earlier version.
    file.write_bytes(file.read_bytes().replace(b"null", odd))
    assert backup(server, file, state="compared")["missing"] == []


@pytest.mark.parametrize(
    "content",
    [b"[defaults]\nforks = 5\n", b'{"instances": []}', b"\xff\xfe\x00", b'{"memories": [1]}', b"[" * 5000],
    ids=["ini", "other json", "no text", "no memories", "nested"],
)
def test_a_file_that_is_not_a_backup_is_never_replaced(server: CrookedServer, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ansible.cfg"
    file.write_bytes(content)
    refused = backup(server, file)
    assert refused["failed"] and not refused["changed"]
    assert f"{file}" in refused["msg"] and "Nothing was written. Name another path, or move" in refused["msg"]
    assert file.read_bytes() == content and server.seen == []
    file.write_bytes(b" \n")
    assert backup(server, file)["changed"]
    assert json.loads(file.read_text())["memories"] == [GOOD]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("~no-such-user/memory", "~no-such-user is not the home of a user"),
        ("$FLEETOPS_NO_SUCH/memory", "$FLEETOPS_NO_SUCH is not an environment variable"),
        ("/backup/memory\n", "it contains a line break or another control character"),
        ("/backup/\0", "it contains a line break or another control character"),
        ("backup/${FLEETOPS_NO_SUCH}", "${FLEETOPS_NO_SUCH} is not an environment variable"),
    ],
)
def test_a_path_with_an_unknown_user_or_variable_or_a_control_character_is_refused(
    server: CrookedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, why: str
) -> None:
    """Ansible replaces ~USER and $NAME in a path, but not an unknown user or variable."""
    monkeypatch.chdir(tmp_path)
    path = f"{given}/agent-001.json"
    for result in (run(report_file.OPERATION, path=path, content="x"), backup(server, Path(path))):
        assert result["failed"] and f"The path {printable_line(path)} cannot be used: {why}" in result["msg"], result
    assert list(tmp_path.iterdir()) == [] and server.seen == []
    # Such names are allowed elsewhere, such as in the name of a host.
    for name in ("./~no-such-user", "host~1", "host$FLEETOPS_NO_SUCH", "$5"):
        assert run(report_file.OPERATION, path=name, content="x")["changed"]


def test_a_folder_is_not_a_backup(server: CrookedServer, tmp_path: Path) -> None:
    assert "cannot be read: Is a directory. Nothing was written" in backup(server, tmp_path)["msg"]


# As of root, /dev/null would become a file. Reading a pipe blocks, and reading /dev/zero never ends.
@pytest.mark.parametrize("mode", [0o600, 0o644])
@pytest.mark.parametrize("is_link", [False, True], ids=["", "link"])
def test_a_pipe_is_neither_read_nor_replaced(server: CrookedServer, tmp_path: Path, mode: int, is_link: bool) -> None:
    pipe = path = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(mode)
    if is_link:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    for result in (
        run(report_file.OPERATION, path=str(path), content="x"),
        backup(server, path),
        backup(server, path, state="compared"),
    ):
        assert result["failed"] and not result["changed"], result
        assert f"{tmp_path}" in result["msg"] and "it is a device, a pipe or a socket" in result["msg"], result
    assert pipe.is_fifo() and path.is_symlink() == is_link and len(list(tmp_path.iterdir())) == 1 + is_link


def test_a_file_behind_a_link_that_the_system_does_not_follow_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, target = tmp_path / "report.md", tmp_path / "profile"
    target.write_text("mine")
    link.symlink_to(target)
    usual = Path.stat

    def refused(path: Path, **more: Any) -> os.stat_result:
        # As with fs.protected_symlinks, if another user has put the link into /tmp.
        if path == link and more.get("follow_symlinks", True):
            raise PermissionError(13, "Permission denied")
        return usual(path, **more)

    monkeypatch.setattr(Path, "stat", refused)
    result = run(report_file.OPERATION, path=str(link), content="x")
    assert "cannot be written, so it was not changed: Permission denied" in result["msg"]
    assert target.read_text() == "mine"


@pytest.mark.parametrize("name", [TOO_LONG, f"{TOO_LONG}/report"])
def test_an_impossible_file_name_is_reported_in_a_sentence(server: CrookedServer, tmp_path: Path, name: str) -> None:
    for result in (run(report_file.OPERATION, path=str(tmp_path / name), content="x"), backup(server, tmp_path / name)):
        assert result["failed"] and result["msg"].endswith(".") and "File name too long" in result["msg"], result


@pytest.mark.parametrize("name", ["file/report", "file/more/report", "folder", "locked/more/report", "new/report"])
def test_check_mode_predicts_whether_a_file_can_be_written(server: CrookedServer, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "locked").mkdir(mode=0o500)
    path = str(tmp_path / name)
    for one in (
        lambda **mode: run(report_file.OPERATION, path=path, content="x", **mode),
        lambda **mode: run(instance_memory_backup.OPERATION, server.url, path=path, **mode),
    ):
        predicted, done = one(check_mode=True), one()
        assert [done.get(key) for key in ("changed", "failed", "msg")] == [
            predicted.get(key) for key in ("changed", "failed", "msg")
        ]
        # The superuser may write into any folder.
        assert done["changed"] == (name == "new/report" or ("locked" in name and os.geteuid() == 0)), done
        if done["changed"]:
            (tmp_path / name).unlink()
