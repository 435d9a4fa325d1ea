# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When two memories are equal, and what a list of memories proves."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.memory import (
    SCOPE,
    SERVER_FIELDS,
    body_of,
    covers,
    find,
    listing_of,
    normalised,
    outside_selection,
    remains,
    says_something,
    scope_of,
    slices,
)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
KEYS = st.sampled_from(["content", "kind", "source", "tags", *SCOPE, *SERVER_FIELDS])
MEMORIES = st.dictionaries(KEYS, VALUES, max_size=5)
ANYTHING = st.lists(VALUES | MEMORIES, max_size=6)
BLANKS = st.text(" \t\n\r\u00a0\u2003", min_size=1, max_size=3)


@given(value=VALUES)
def test_normalising_twice_is_normalising_once(value: Any) -> None:
    assert normalised(normalised(value)) == normalised(value)


@given(
    words=st.lists(st.text(st.characters(categories=["L", "M", "N"]), min_size=1), max_size=5),
    gaps=st.lists(BLANKS, min_size=6, max_size=6),
)
def test_white_space_and_unicode_forms_make_no_difference(words: list[str], gaps: list[str]) -> None:
    spread = gaps[0] + "".join(word + gap for word, gap in zip(words, gaps[1:], strict=False))
    assert covers(normalised(" ".join(words)), normalised(unicodedata.normalize("NFD", spread)))


@given(memory=MEMORIES, added=MEMORIES)
def test_a_stored_memory_is_found_despite_fields_that_the_server_added(
    memory: dict[str, Any], added: dict[str, Any]
) -> None:
    body = body_of(memory)
    extra = {key: value for key, value in added.items() if key not in body and key not in SCOPE}
    assert find([{"content": ["something", "else"]}, {**extra, **body}], body) is not None


@given(memory=MEMORIES)
def test_a_memory_of_the_server_can_be_sent_again_without_the_servers_fields(memory: dict[str, Any]) -> None:
    body = body_of(memory)
    assert not SERVER_FIELDS & set(body)
    assert body == {key: value for key, value in memory.items() if key not in SERVER_FIELDS}


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        ({"content": "a"}, {"content": "b"}),
        ({"content": "a"}, {"content": "A"}),
        ({"content": "a", "kind": "fact"}, {"content": "a", "kind": "procedural"}),
        ({"content": "a", "kind": "fact"}, {"content": "a"}),
        ({"content": "a"}, {"content": None}),
        ({"content": "a"}, {"content": ["a"]}),
        ({"content": 1}, {"content": True}),
        ({"content": ["a", "b"]}, {"content": ["b", "a"]}),
        ({"content": "a"}, {"content": "a", "conversation_id": "conv-1"}),
        ({"content": "a", "conversation_id": "conv-1"}, {"content": "a", "conversation_id": "conv-2"}),
        ({"content": "a", "conversation_id": "conv-1"}, {"content": "a", "conversation_id": None}),
        ({"content": "a", "conversation_id": "c"}, {"content": "a", "conversation_id": "c", "customer_id": "x"}),
    ],
)
def test_memories_with_another_content_kind_or_scope_are_different(
    wanted: dict[str, Any], held: dict[str, Any]
) -> None:
    assert find([held], wanted) is None


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        ({"content": "a", "conversation_id": 7}, {"content": "a", "conversation_id": "7", "customer_id": None}),
        ({"content": "a", "conversation_id": "c"}, {"content": " a\n"}),
        ({"content": "a", "conversation_id": ""}, {"content": "a", "conversation_id": None}),
        ({"content": "a", "meta": {"x": 1}}, {"content": "a", "meta": {"x": 1.0, "score": 3}}),
        ({"content": "a", "source": None}, {"content": "a"}),
    ],
)
def test_memories_that_differ_only_in_spelling_or_added_fields_are_equal(
    wanted: dict[str, Any], held: dict[str, Any]
) -> None:
    assert find([{"content": "z"}, held], wanted) == held


def test_a_value_that_json_does_not_have_is_refused_and_a_date_becomes_text() -> None:
    assert body_of({"content": "a", "valid_until": date(2026, 1, 31)})["valid_until"] == "2026-01-31"
    for odd in (float("nan"), {1, 2}, b"bytes"):
        with pytest.raises(ValueError):
            body_of({"content": odd})


@pytest.mark.parametrize("empty", [{}, {"content": " \n"}, {"kind": "fact", "content": None}, {"customer_id": "c"}])
def test_a_memory_without_content_is_recognised(empty: dict[str, Any]) -> None:
    assert not says_something(empty)
    assert says_something({**empty, "content": "x"}) and says_something({"text": 0})


@given(items=ANYTHING, limit=st.integers(1, 8), counted=VALUES, status=VALUES)
def test_a_list_that_may_be_incomplete_counts_as_truncated(
    items: list[Any], limit: int, counted: Any, status: Any
) -> None:
    listing = listing_of({"memories": items, "count": counted, "status": status}, limit)
    assert listing.listed == len(items) >= len(listing.memories) >= len(listing.ids)
    assert listing.truncated or len(items) < limit
    if isinstance(counted, int) and not isinstance(counted, bool):
        assert listing.truncated == (len(items) >= limit or counted > len(items))
    assert remains(listing, listing) == (len(items), 0)


def test_a_count_and_a_status_of_null_say_nothing() -> None:
    listing = listing_of({"memories": [], "count": None, "status": None}, 200)
    assert (listing.listed, listing.truncated, listing.available) == (0, False, True)


def test_an_unavailable_memory_is_not_an_empty_list() -> None:
    assert not listing_of({"memories": [], "status": {"available": False}}, 200).available


@given(items=ANYTHING, selection=st.fixed_dictionaries({}, optional={key: st.text(min_size=1) for key in SCOPE}))
def test_memories_outside_the_selection_are_those_with_another_scope(
    items: list[Any], selection: dict[str, str]
) -> None:
    memories = listing_of({"memories": items}, 200).memories
    found = outside_selection(memories, selection)
    for row in memories:
        given = {key: str(row[key]) for key in selection if key in row}
        assert (row in found) == any(given[key] != selection[key] for key in given)


@given(items=ANYTHING)
def test_slices_contain_every_scope_that_occurs(items: list[Any]) -> None:
    memories = listing_of({"memories": items}, 200).memories
    for key, values in slices(memories).items():
        assert values == sorted(set(values))
        assert set(values) == {scope_of(row)[key] for row in memories if key in scope_of(row)}


def test_remaining_memories_are_counted_apart_from_those_stored_since() -> None:
    def listing(*items: Any) -> Any:
        return listing_of({"memories": list(items)}, 200)

    before = listing({"id": "a"}, {"id": 2}, "odd")
    assert remains(before, listing()) == (0, 0)
    assert remains(before, listing({"id": "c"}, {"id": "2"})) == (1, 1)
    assert remains(before, listing({"content": "no id"}, "odd")) == (2, 0)
