# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watermark file on a full disk: the error is one sentence, no event is lost, and a repeated event is marked."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.delivery import Delivery
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.errors import SourceError
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.settings import read_settings
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.watermark import Watermark
from tests.eda.following import Event, Rules

URL = "http://127.0.0.1:9"


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Make writing more than ``size`` bytes to a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def event(number: int) -> Event:
    return {"id": f"event-{number}", "repeated": False, "meta": {"uuid": f"event-{number}"}}


class FullAfterPut(Rules):
    """A queue that makes the disk full when it receives an event. With ``blocks``, put() never returns."""

    def __init__(self, log: Path, *, blocks: bool = False) -> None:
        super().__init__()
        self._log, self._blocks = log, blocks

    async def put(self, item: Event) -> None:
        # There is still room for five bytes of the next line.
        limit = (self._log.stat().st_size + 5, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        if self._blocks:
            await asyncio.Event().wait()
        await super().put(item)


def sent(mark: Watermark, queue: Rules) -> list[tuple[str, bool]]:
    settings = read_settings({"api_url": URL, "api_key": "key-of-nobody"}, {})
    asyncio.run(Delivery(settings, mark, queue, None).send())
    return [(row["id"], row["repeated"]) for row in queue.events]


def test_a_disk_that_is_full_before_an_event_is_sent_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with Watermark(tmp_path / "mark", URL) as mark:
        mark.commit([event(1), event(2)])
        with no_file_longer_than(5), pytest.raises(SourceError) as ended:
            sent(mark, Rules())
    message = str(ended.value)
    assert message.startswith(f"The watermark file {tmp_path / 'mark.log'} cannot be written: ")
    assert "Free disk space" in message and message.endswith("The events that were not sent are sent then.")
    with Watermark(tmp_path / "mark", URL) as mark:
        assert sent(mark, Rules()) == [("event-1", False), ("event-2", False)]


def test_an_event_that_could_not_be_recorded_as_sent_is_repeated_and_marked(tmp_path: Path) -> None:
    with no_file_longer_than(resource.RLIM_INFINITY), Watermark(tmp_path / "mark", URL) as mark:
        mark.commit([event(1), event(2)])
        with pytest.raises(SourceError, match="cannot be written"):
            sent(mark, FullAfterPut(tmp_path / "mark.log"))
    # The partly written line was removed.
    assert (tmp_path / "mark.log").read_text() == "put event-1\n"
    with Watermark(tmp_path / "mark", URL) as mark:
        assert sent(mark, Rules()) == [("event-1", True), ("event-2", False)]


def test_stopping_ansible_rulebook_on_a_full_disk_is_not_an_error(tmp_path: Path) -> None:
    async def stop(mark: Watermark) -> None:
        settings = read_settings({"api_url": URL, "api_key": "key-of-nobody"}, {})
        queue = FullAfterPut(tmp_path / "mark.log", blocks=True)
        task = asyncio.create_task(Delivery(settings, mark, queue, None).send())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with no_file_longer_than(resource.RLIM_INFINITY), Watermark(tmp_path / "mark", URL) as mark:
        mark.commit([event(1)])
        asyncio.run(stop(mark))


def test_the_error_for_a_state_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    with Watermark(tmp_path / "mark", URL) as mark, no_file_longer_than(5), pytest.raises(SourceError) as ended:
        mark.commit([event(1)])
    assert f"The watermark file {tmp_path / 'mark'} cannot be written: " in str(ended.value)
    assert "Free disk space" in str(ended.value)


@pytest.mark.parametrize("path", ["~no-such-user-here/mark", "mark\0"])
def test_an_invalid_path_of_the_watermark_is_refused_with_one_sentence(path: str) -> None:
    with pytest.raises(SourceError, match="watermark is "):
        read_settings({"api_url": URL, "api_key": "key-of-nobody", "watermark": path}, {})


def test_a_link_to_the_watermark_file_is_kept_and_both_paths_share_one_lock(tmp_path: Path) -> None:
    real, link = tmp_path / "volume" / "mark", tmp_path / "mark"
    link.symlink_to(real)
    with Watermark(link, URL) as mark:
        mark.commit([event(1)])
        with pytest.raises(SourceError, match="is in use by another ansible-rulebook"):
            Watermark(real, URL).__enter__()
    assert link.is_symlink()
    with Watermark(real, URL) as mark:
        assert [row["id"] for row in mark.outbox] == ["event-1"]
