# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of a run log and its folder: complete lines in all cases, and a lock that child processes do not keep."""

from __future__ import annotations

import datetime
import errno
import fcntl
import os
import resource
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible import constants

from ansible_collections.fleetops.agents.plugins.callback.run_log import _checked
from ansible_collections.fleetops.agents.plugins.module_utils._steps.whole_file import FileError
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.log_file import LogFile

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def in_child(work: Callable[[], bool]) -> bool:
    """Whether ``work`` returns true in a forked process."""
    pid = os.fork()
    if pid == 0:
        answer = 1
        try:
            answer = 0 if work() else 1
        finally:
            os._exit(answer)
    return os.waitpid(pid, 0)[1] == 0


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit the size of files of this process: writes are cut short at ``size``, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def can_lock(path: Path) -> bool:
    with path.open("r+b") as opened:
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def test_a_write_that_is_cut_short_leaves_complete_lines_and_the_next_one_continues(tmp_path: Path) -> None:
    log_file = LogFile(tmp_path, str(uuid.uuid4()), NOW)
    log_file.append(b"first")
    with file_size_limit(10), pytest.raises(OSError, match="too large"):
        log_file.append(b"second")
    assert log_file.path.read_bytes() == b"first\n"
    log_file.append(b"third")
    assert log_file.path.read_bytes() == b"first\nthird\n"
    log_file.close()


def test_the_lock_belongs_to_this_process_only(tmp_path: Path) -> None:
    log_file = LogFile(tmp_path, str(uuid.uuid4()), NOW)
    assert not in_child(lambda: can_lock(log_file.path))
    # A child that closes its inherited descriptor does not release the lock.
    assert in_child(lambda: log_file.close() is None)
    assert not in_child(lambda: can_lock(log_file.path))
    log_file.close()
    assert in_child(lambda: can_lock(log_file.path))


def test_an_existing_file_is_never_written_to(tmp_path: Path) -> None:
    run_id = str(uuid.uuid4())
    LogFile(tmp_path, run_id, NOW).close()
    with pytest.raises(FileExistsError):
        LogFile(tmp_path, run_id, NOW)


def test_a_removed_file_is_an_error(tmp_path: Path) -> None:
    log_file = LogFile(tmp_path, str(uuid.uuid4()), NOW)
    log_file.path.unlink()
    with pytest.raises(FileNotFoundError, match="removed during the run"):
        log_file.check_name()
    assert not log_file.is_open


# reports/2026-11 F11
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_created_folders_are_accessible_to_the_owner_only_for_any_umask(tmp_path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        log_file = LogFile(tmp_path / "state" / "fleetops" / "runs", str(uuid.uuid4()), NOW)
    finally:
        os.umask(old)
    made = [log_file.path.parent, *log_file.path.parent.parents][:3]
    assert [path.stat().st_mode & 0o777 for path in (*made, log_file.path)] == [0o700, 0o700, 0o700, 0o600]
    assert log_file.remark is None


def test_a_folder_that_others_can_write_to_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    remark = LogFile(tmp_path, str(uuid.uuid4()), NOW).remark
    assert remark is not None
    assert "has mode 0777" in remark and f"chmod 700 {tmp_path}" in remark


class Disk:
    """A disk with ``room`` bytes left for the files that are written to. At its end a write is cut short."""

    def __init__(self, room: int, patch: pytest.MonkeyPatch) -> None:
        self._room, self._files, self._write = room, set[int](), os.write
        patch.setattr(os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        self._files.add(fd)
        free = self._room - sum(os.fstat(one).st_size for one in self._files)
        if free <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(fd, data[:free])


# reports/2026-11 F9
def test_the_last_line_has_reserved_space_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "filler").open("wb") as filler:
        disk = Disk(200_000, monkeypatch)
        log_file = LogFile(tmp_path, str(uuid.uuid4()), NOW)
        log_file.reserve(40_000)
        log_file.append(b"first")
        with pytest.raises(OSError, match="No space left"):
            while True:
                disk.write(filler.fileno(), b"x" * 4096)
        with pytest.raises(OSError, match="No space left"):
            log_file.append(b"y" * 9000)
        last = b"z" * 30_000
        log_file.append_last(last)
        log_file.close()
    assert log_file.path.read_bytes() == b"first\n" + last + b"\n"
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".jsonl"]


def test_the_last_line_has_reserved_space_below_a_file_size_limit(tmp_path: Path) -> None:
    with file_size_limit(20_000):
        log_file = LogFile(tmp_path, str(uuid.uuid4()), NOW)
        with pytest.raises(OSError, match="too large"):
            for _line in range(100):
                log_file.append(b"y" * 999)
        log_file.append_last(b"z" * 8000)
        log_file.close()
    assert log_file.path.read_bytes().endswith(b"y\n" + b"z" * 8000 + b"\n")


@pytest.mark.parametrize(
    ("folder", "refused"),
    [
        ("{here}/runs", ""),
        ("{config}/runs", ""),
        ("/srv/~old/runs", ""),
        ("{here}/~nouser/runs", "~nouser is not the home of a user"),
        ("{config}/~nouser/runs", "~nouser is not the home of a user"),
        ("{here}/$NOPE/runs", "$NOPE is not an environment variable"),
        ("/srv/$NOPE/runs", "The path /srv/$NOPE/runs cannot be used: $NOPE is not an environment variable"),
    ],
)
def test_a_folder_that_ansible_could_not_resolve_is_refused(
    folder: str, refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, config = tmp_path / "here", tmp_path / "config"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(constants, "CONFIG_FILE", str(config / "ansible.cfg"))
    given = Path(folder.format(here=here, config=config))
    try:
        assert _checked(given) == given and not refused
    except FileError as bad:
        assert refused and refused in str(bad)
