# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of metrics by a module: its options, and repeated queries if there is no answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import env_fallback

from .._client.metrics import ask
from .._client.settings import check_header_value, check_timeout
from .._module.operation import Context
from .._module.options import Spec
from .._rules.gate import Check
from .._rules.metric_checks import MetricCheck, checks_of, judge

# The options of a module that checks metrics.
METRIC_OPTIONS: Spec = {
    "metric_checks": {"type": "raw"},
    "metric_url": {"type": "str"},
    "metric_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["FLEETOPS_METRIC_TOKEN"])},
    "metric_timeout": {"type": "float", "default": 10},
}
# The number of attempts, after which a server that does not answer is inconclusive, and the seconds between them.
_TRIES, _PAUSE = 3, 2.0


def metric_checks(context: Context) -> list[MetricCheck]:
    """The checks from the options. Fails, or raises SettingsError, if an option is invalid."""
    params = context.params
    try:
        checks = checks_of(params["metric_checks"])
    except ValueError as problem:
        context.fail(str(problem))
    url = (params["metric_url"] or "").strip()
    if checks and not url:
        context.fail("metric_checks need metric_url, the address of Prometheus.")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        _port = parts.port
    except ValueError:
        usable = False
    if checks and not usable:
        context.fail("metric_url must be an address such as https://prometheus.example.com, without a query.")
    if checks and "@" in urlsplit(url).netloc:
        context.fail("metric_url contains a user name or password. Set FLEETOPS_METRIC_TOKEN instead.")
    check_timeout("metric_timeout", params["metric_timeout"])
    check_header_value("metric_token (FLEETOPS_METRIC_TOKEN)", _token(params) or "")
    return checks


def judge_metrics(context: Context) -> list[Check]:
    """The verdict of each check. A query without an answer is repeated twice."""
    return [_judge(context, check) for check in metric_checks(context)]


def _token(params: Mapping[str, Any]) -> str | None:
    return (params["metric_token"] or "").strip() or None


def _judge(context: Context, check: MetricCheck) -> Check:
    params = context.params
    for attempt in range(1, _TRIES + 1):
        now = time.time()
        answer = ask(
            params["metric_url"].strip(),
            check,
            now,
            token=_token(params),
            validate_certs=params["validate_certs"],
            ca_path=params["ca_path"],
            timeout=params["metric_timeout"],
        )
        if answer.refused or not answer.problem or attempt == _TRIES:
            break
        context.sleep(_PAUSE)
    return judge(check, answer, now)
