# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The type that a variable must have, given by its default (reports/2026-11 B2, C2)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import is_blank
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.given import GivenError, typed


@pytest.mark.parametrize("value", [None, "", " ", "\n"])
def test_null_and_blank_text_count_as_not_given(value: Any) -> None:
    assert is_blank(value)


@pytest.mark.parametrize("value", [False, 0, 0.0, [], {}, "0", "false"])
def test_false_zero_and_an_empty_list_count_as_given(value: Any) -> None:
    assert not is_blank(value)


@pytest.mark.parametrize(
    ("value", "default", "wanted"),
    [
        ("false", True, False),
        ("yes", False, True),
        (0, True, False),
        (" 7 ", 1, 7),
        ("-1", 1, -1),
        (3.0, 1, 3),
        (5, 1.5, 5.0),
        ("2.5", 1.0, 2.5),
        ("error, denied", ["x"], ["error", "denied"]),
        ("error\ndenied", ["x"], ["error", "denied"]),
        (["error", ""], ["x"], ["error"]),
        ('["error", "denied"]', ["x"], ["error", "denied"]),
        ("[]", ["x"], []),
        ([], ["x"], []),
        ("0012345", "", "0012345"),
        ('"0012345"', "", "0012345"),
        ('say "no"', "", 'say "no"'),
        ("12e34567", "", "12e34567"),
        (7, None, 7),
        ("7", None, "7"),
    ],
)
def test_a_value_is_converted_to_the_type_of_its_default(value: Any, default: Any, wanted: Any) -> None:
    found = typed("fleetops_x", value, default)
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("value", "default", "words"),
    [
        ("ture", False, "must be true or false"),
        ("2", False, "must be true or false"),
        (True, 1, "must be a whole number"),
        ("1.5", 1, "must be a whole number"),
        ("٣", 1, "must be a whole number"),
        ("nan", 1.0, "must be a number"),
        (10**400, 1.0, "must be a number"),
        (True, 1.0, "must be a number"),
        (3, ["x"], "must be a list"),
        ([5349], ["x"], "must be text, but it is the number 5349"),
        ("[5349]", ["x"], "must be text, but it is the number 5349"),
        ('["error"', ["x"], "begins like JSON, but is not valid JSON"),
        (5349, "", "must be text, but it is the number 5349"),
        (True, "", "must be text, but it is the boolean True"),
        (date(2026, 1, 3), "", "must be text, but it is the date 2026-01-03"),
        (["a"], "", "must be text, but it is the list"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_name_of_the_variable(
    value: Any, default: Any, words: str
) -> None:
    with pytest.raises(GivenError) as refused:
        typed("fleetops_x", value, default)
    assert str(refused.value).startswith("fleetops_x ") and words in str(refused.value)


@pytest.mark.parametrize("value", [["a"], {"a": 1}])
def test_the_refusal_of_a_list_or_a_mapping_does_not_mention_quotes(value: Any) -> None:
    with pytest.raises(GivenError) as refused:
        typed("fleetops_x", value, "")
    assert str(refused.value).endswith(f" {value}.") and "quotes" not in str(refused.value)


def test_the_refusal_of_a_number_says_how_to_write_it_as_text() -> None:
    with pytest.raises(GivenError, match=r'Write it in quotes, fleetops_x: "0755".*type the quotes into the answer'):
        typed("fleetops_x", 5349, "")
