# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loop of the event source."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError

from .api import Api, is_refusal
from .delivery import Delivery
from .errors import SourceError, as_sentence
from .instances import Instances
from .rollouts import Rollouts
from .settings import Settings, inventory_problem, read_settings
from .watermark import Watermark

log = logging.getLogger("fleetops.agents.eda.fleet")

# Seconds.
LONGEST_PAUSE = 60.0
# How many consecutive polls may be refused before the source ends. With the pauses between them, about half a minute.
MAX_REFUSED = 6


async def follow(queue: Any, args: Mapping[str, Any]) -> None:
    """Put the events of the fleet into ``queue`` until cancelled. ``args``: the options in the rulebook.

    Raises SourceError, with one sentence, for a permanent error.
    """
    try:
        if problem := inventory_problem(sys.argv, os.environ):
            raise SourceError(problem)
        settings = read_settings(args, os.environ)
        with Watermark(settings.watermark, settings.api_url) as mark:
            delivery = Delivery(settings, mark, queue, args.get("eda_feedback_queue"))
            api = Api(settings)
            try:
                await delivery.send()
                await _poll(settings, api, delivery)
            finally:
                api.close()
    except SourceError as error:
        # ansible-rulebook prints the traceback, which is not useful for an error of this kind.
        raise error.with_traceback(None) from None


async def _poll(settings: Settings, api: Api, delivery: Delivery) -> None:
    """Poll forever. Wait longer after each consecutive failure that concerns all calls.

    Raises SourceError if polls are refused again and again.
    """
    rollouts = Rollouts(settings, api, delivery)
    instances = Instances(settings, api, delivery, rollouts)
    failures, refused, down_since, next_instances = 0, 0, 0.0, 0.0
    while True:
        pause = settings.interval
        try:
            await rollouts.poll_first_page()
            if time.monotonic() >= next_instances:
                next_instances = time.monotonic() + settings.instance_interval
                await instances.poll()
            await rollouts.poll_other_pages()
            if failures:
                log.warning("The API answers again after %.0f s.", time.monotonic() - down_since)
            failures = refused = 0
        except ApiError as error:
            down_since = down_since if failures else time.monotonic()
            failures += 1
            refused = refused + 1 if is_refusal(error) else 0
            if refused == MAX_REFUSED:
                raise SourceError(as_sentence(error)) from None
            pause = min(2.0 ** (failures - 1), LONGEST_PAUSE) * (0.75 + 0.25 * random.random())  # noqa: S311
            next_instances = 0.0
            log.warning("%s Trying again in %.0f s (failure %s).", as_sentence(error), pause, failures)
        await asyncio.sleep(pause)
