# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files through which the tasks of a stream share their state."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._steps import stream as stream_files
from ansible_collections.fleetops.agents.plugins.module_utils._steps.stream import NotAdmittedError, Stream

RULES: dict[str, Any] = {"max_failed": 0}
TASK: Any = SimpleNamespace(params={"stream": {"run": "one", "name": "agent-001"}})


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("written", [OSError(errno.ENOSPC, "No space left on device"), 3])
def test_a_failure_that_cannot_be_recorded_stops_the_stream(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream("one")
    stream.begin(RULES)

    def full(_descriptor: int, _line: bytes) -> int:
        if isinstance(written, OSError):
            raise written
        return int(written)

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        stream.record(TASK, "started", rollout="r1")
        assert stream._rules() == RULES, "an unrecorded start does not stop the stream"
        stream.record(TASK, "failed")
    with pytest.raises(NotAdmittedError, match="is its disk full"):
        stream._rules()


def test_a_running_stream_keeps_its_rules_however_old_they_are(own_folder: Path) -> None:
    running, ended = Stream("running"), Stream("ended")
    for stream in (running, ended):
        stream.begin(RULES)
    for file in own_folder.glob("*/stream-*"):
        os.utime(file, (time.time() - 8 * 86400.0,) * 2)
    running.record(TASK, "started", rollout="r1")
    Stream("next").begin(RULES)
    assert running._rules() == RULES
    assert not list(own_folder.glob("*/stream-ended.*"))


def full(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_read_of_the_hold_or_the_health_that_cannot_be_stored_stops_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kind in ("hold", "health"):
        stream = Stream(kind)
        stream.begin(RULES)
        with monkeypatch.context() as disk:
            disk.setattr(stream_files, "replace_text", full)
            stream._keep(kind, {})
        with pytest.raises(NotAdmittedError):
            stream._rules()
