# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of a server reaches people without characters that control their terminal."""

# reports/2026-11 D15

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, Operation, execute
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import (
    printable,
    printable_json,
    printable_values,
)
from console.cli.options import say
from console.text.listing import listing

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\x7f\u202egnp.exe\u2028\udfff"


def controls_a_terminal(text: str) -> bool:
    return any(
        (ord(sign) < 0x20 and sign not in "\n\t")
        or 0x7F <= ord(sign) < 0xA0
        or sign in "\u202a\u202b\u202d\u202e\u2066"
        for sign in text
    )


@given(st.text())
def test_no_text_controls_a_terminal_and_plain_text_is_unchanged(text: str) -> None:
    shown = printable(text)
    assert not controls_a_terminal(shown)
    shown.encode()
    assert shown == text or not all(sign.isprintable() or sign in "\n\t" for sign in text)
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb", "a\\x0db"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("\u202eabc", "\\u202eabc"),
        ("Zürich \u200d\U0001f469 日本", "Zürich \u200d\U0001f469 日本"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.dictionaries(st.text(), v)))
def test_a_json_document_keeps_its_meaning(value: Any) -> None:
    document = printable_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(document) == value
    assert not controls_a_terminal(document)


def test_all_parts_of_an_api_error_are_printable() -> None:
    error = ApiError("conflict", "GET", "/v1/x", status=409, detail=HOSTILE, request_id=HOSTILE)
    for text in (str(error), *map(str, error.as_dict().values())):
        assert not controls_a_terminal(text) and (HOSTILE[:4] not in text)
    assert "\\x1b[2J" in str(error)


def outcome(run: Any, **more: Any) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    context = Context({}, warn=warnings.append)
    return execute(Operation(run=run, **more), context, diff_mode=True), warnings


def test_messages_warnings_and_results_of_a_module_are_printable() -> None:
    def run(context: Context) -> None:
        context.warn(f"the server says {HOSTILE}")
        context.write(lambda: None, before={"reason": HOSTILE}, after=[HOSTILE])
        context.result.update(text=[f"Failed: {HOSTILE}"], report={"why": {"agent-001": HOSTILE}}, target={HOSTILE: 1})
        context.fail(f"It ended with {HOSTILE}", extra=HOSTILE)

    result, warnings = outcome(run)
    assert result["failed"] and result["diff"]
    for text in (*warnings, json.dumps([result], ensure_ascii=False).replace("\\\\", "")):
        assert not controls_a_terminal(text)
    assert json.dumps(result).count("\\u001b") == 0 and "\\x1b" in result["msg"]


def test_values_that_are_written_back_to_the_server_are_unchanged() -> None:
    result, _warnings = outcome(
        lambda context: context.result.update(memories=[{"content": HOSTILE}], note=HOSTILE),
        verbatim=frozenset({"memories"}),
    )
    assert result["memories"] == [{"content": HOSTILE}]
    assert result["note"] == printable_values(HOSTILE) != HOSTILE


@pytest.mark.parametrize("form", ["table", "json"])
def test_lists_of_the_console_commands_are_printable(form: str) -> None:
    rows = [{"error": HOSTILE.replace("\udfff", "")}]
    text = listing(rows, ["error"], form)
    assert not controls_a_terminal(text)
    assert form != "json" or json.loads(text) == rows


def test_messages_of_the_console_commands_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    assert say(f"The server says {HOSTILE}", 1) == 1
    assert not controls_a_terminal(capsys.readouterr().err)
