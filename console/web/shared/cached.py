# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cached reads of the database: a result is kept until the database changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import streamlit as st

from console.record.opening import DatabaseProblem
from console.record.read import frames, rollouts, runs
from console.record.read import freshness as freshness_queries
from console.record.read import operation as operation_queries
from console.settings.environment import load_settings

T = TypeVar("T")


@st.cache_data(max_entries=200, ttl=3600, show_spinner=False)
def _read(
    name: str,
    path: str,
    stamp: tuple[int, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    _query: Callable[..., Any],
) -> Any:
    return _query(Path(path), *args, **kwargs)


def ask(query: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run a function of ``console.record.read``; its result is kept until the database changes."""
    path = load_settings().database
    name = f"{query.__module__}.{query.__qualname__}"
    answer: T = _read(name, str(path), frames.database_version(path), args, kwargs, query)
    return answer


# Cached as a resource, because nothing modifies it and copying an operation of 20,000 instances takes 80 ms per run.
@st.cache_resource(max_entries=16, ttl=3600, show_spinner=False)
def _operation(path: str, version: tuple[int, ...], key: str, now: float) -> operation_queries.Operation | None:
    return operation_queries.operation(Path(path), key, now)


def operation(key: str, now: float) -> operation_queries.Operation | None:
    """One operation, shared by all sessions: it must not be changed."""
    path = load_settings().database
    return _operation(str(path), frames.database_version(path), key, now)


def targets_of(found: operation_queries.Operation, now: float) -> Callable[[], pd.DataFrame]:
    """A function that returns the targets of a rollout's operation, which are read only once for page and timeline."""
    # Not found.targets, because the timeline is cached for the current version of the database, which may be newer.
    return lambda: (operation(found.row["key"], now) or found).targets


def is_copy() -> bool:
    """Whether the database is a copy for review, which is never synced; False if the database cannot be read."""
    with suppress(DatabaseProblem):
        return ask(freshness_queries.freshness).copied_at is not None
    return False


# The two functions below return True if the database cannot be read. The page shows that error, and its automatic
# refresh continues, so that it shows the data as soon as the database can be read again.


def something_open() -> bool:
    """Whether anything may still change."""
    with suppress(DatabaseProblem):
        return ask(freshness_queries.freshness).open_work
    return True


def is_open(key: str) -> bool:
    """Whether a rollout or run may still change. A run may change until the rollouts that it started have ended."""
    with suppress(DatabaseProblem):
        rollout, run = ask(rollouts.rollout, key), ask(runs.run, key)
        if rollout is not None:
            return bool(rollout["is_open"])
        started = ask(rollouts.rollouts_of_run, key)
        return bool((started["is_open"] != 0).any()) or (run is not None and run["status"] == "running")
    return True
