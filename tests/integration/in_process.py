# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module in this process."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, execute
from tests.integration.module_task import operation_of
from tests.second_api.api import KEY, SecondApi


def outcome_of(api: SecondApi, module: str, warnings: list[str] | None = None, **options: Any) -> dict[str, Any]:
    """The result of a module, failed or not. Its warnings are added to ``warnings``."""
    operation = operation_of(module)
    given = {"api_url": api.url, "api_key": KEY, **options}
    if operation.on_instance:
        given["instance_id"] = api.instances[0].id
    checked = ArgumentSpecValidator(operation.argument_spec(), **operation.rules).validate(given)
    assert not checked.error_messages, checked.error_messages
    heard = [] if warnings is None else warnings
    return execute(operation, Context(checked.validated_parameters, warn=heard.append))


def result_of(api: SecondApi, module: str, warnings: list[str] | None = None, **options: Any) -> dict[str, Any]:
    """The result of a module that must not fail. Its warnings are added to ``warnings``."""
    result = outcome_of(api, module, warnings, **options)
    assert not result.get("failed"), result
    return result
