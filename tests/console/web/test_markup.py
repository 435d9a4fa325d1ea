# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML of the console: text of a server, a playbook or a person never becomes an element or an attribute."""

from __future__ import annotations

import json
import math
import time
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from markupsafe import Markup

from console.outcomes.words import CATEGORIES
from console.record.read.declared import Comparison
from console.record.read.operation import INSTANCE_COLUMNS
from console.record.read.operations import COLUMNS
from console.web import pages
from console.web.instances import parts as of_instances
from console.web.operations import comparison, operation_parts, rows
from console.web.overview import attention
from console.web.shared import lists, markup

IMAGE = '<img src=x onerror="window.hit=1">'
HOSTILE = f"{IMAGE}\"><script>window.hit=1</script>' &lt;b&gt; & </table></td></div>"


class Parsed(HTMLParser):
    """The HTML as a browser parses it."""

    def __init__(self, text: Markup) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        # Parts of Markup would be escaped again.
        self.feed(str(text))
        self.close()
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def operation(**more: Any) -> dict[str, Any]:
    counts = {**dict.fromkeys(CATEGORIES, 0), "updated": 3, "failed": 1}
    row = {"kind": "run", "key": HOSTILE, "title": HOSTILE, "name": HOSTILE, "to_version": HOSTILE, "who": HOSTILE,
           "why": HOSTILE, "sentence": HOSTILE, "verdict": HOSTILE, "status": HOSTILE, "started_at": 1e9,
           "ended_at": 1e9, "seconds": 9.0, "instances": 4, "check": True, **counts, **more}  # fmt: skip
    return {column: row.get(column) for column in COLUMNS}


def instance() -> dict[str, Any]:
    words = ("instance_id", "host", "health", "problem", "last_status", "runtime_current", "current_bundle",
             "overrides")  # fmt: skip
    numbers = {"checked_at": 1.0, "deployed_at": 2.0, "memories": 3.0, "memories_full": 0, "outdated": 1}
    parts = '[{"name": "runtime/runtime", "outdated": true}]'
    return {**dict.fromkeys(words, HOSTILE), **numbers, "runtime_available": "9", "components_json": parts}


def cause(page: str) -> dict[str, Any]:
    return {"page": page, "status": HOSTILE, "title": HOSTILE, "at": 1e9, "detail": HOSTILE, "id": HOSTILE,
            "hosts": (HOSTILE, "b"), "ids": (HOSTILE, None), "instances": 5, "operations": 2}  # fmt: skip


PAIRS = {HOSTILE: {"wanted": HOSTILE, "is": HOSTILE}}
DECLARED = Comparison(HOSTILE, 1e9, check_mode=True, instances={HOSTILE: PAIRS}, tenant=PAIRS)
POLICY = json.dumps({"runtime_override": HOSTILE})

PARTS = {
    "table": markup.table([markup.text(HOSTILE, "a"), markup.status("b", "a")], [{"a": HOSTILE}], HOSTILE),
    "table of instances": of_instances.table(
        pd.DataFrame([instance()]), DECLARED, {"policies_read": 1, "with_memory": 1}
    ),
    "policy of an instance": of_instances.of_instance({"host": HOSTILE, "policy_json": POLICY}, DECLARED),
    "list of operations": markup.table(rows.COLUMNS, pd.DataFrame([operation()]), HOSTILE),
    "card of a running operation": rows.running_card(operation(kind="rollout"), HOSTILE, HOSTILE, HOSTILE),
    "needs attention": markup.joined(attention.entry(cause(page)) for page in [*attention.LINKS, ""]),
    "link": markup.link(HOSTILE, pages.OPERATION, id=HOSTILE, outcome=[HOSTILE, HOSTILE]),
    "badge": markup.badge(HOSTILE) + markup.badge("failed", HOSTILE),
    "bar": markup.stacked_bar([markup.Segment(HOSTILE, 3, HOSTILE)], HOSTILE),
    "legend": markup.legend([markup.Segment("failed", 3, HOSTILE, f'?"{HOSTILE}'), markup.Segment(HOSTILE, 1, "x")]),
    "card": markup.card(HOSTILE, markup.paragraph(HOSTILE, markup.small(HOSTILE), markup.strong(HOSTILE))),
    "pairs": markup.pairs([(HOSTILE, HOSTILE)]),
    "joined": markup.joined((HOSTILE, HOSTILE), HOSTILE),
}


def test_a_cause_in_several_operations_does_not_link_to_the_operation() -> None:
    several, one = cause("run"), cause("run") | {"operations": 1}
    assert "Open one of the operations" in attention.entry(several) and "Open the operation" in attention.entry(one)


@pytest.mark.parametrize("part", list(PARTS))
def test_hostile_text_is_rendered_as_text(part: str) -> None:
    made = PARTS[part]
    assert isinstance(made, Markup)
    found = Parsed(made)
    assert IMAGE in found.text or part == "bar"
    assert not {tag for tag, _attributes in found.elements} & {"img", "script", "b"}
    allowed = {"class", "href", "target", "title", "style", "role", "aria-label", "aria-hidden", "aria-sort", "scope",
               "tabindex"}  # fmt: skip
    for tag, attributes in found.elements:
        assert set(attributes) <= allowed, f"{tag} {attributes}"
        if tag == "a":
            # A link only leads to a page of the console.
            assert (attributes["href"] or "").startswith(("./", "?"))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("needs attention", "since 2001-09-09 01:46 UTC"),
        ("card of a running operation", "started 2001-09-09 01:46 UTC ("),
    ],
)
def test_a_time_within_a_sentence_has_its_zone(part: str, expected: str) -> None:
    assert expected in Parsed(PARTS[part]).text


def test_the_start_of_a_running_operation_is_as_long_ago_as_it_is_although_nothing_was_read_since() -> None:
    row = operation(kind="rollout", started_at=time.time() - 7200, seconds=200.0)
    assert "(2 h ago)" in Parsed(rows.running_card(row, "", "", "")).text
    assert "ago" not in Parsed(rows.running_card({**row, "started_at": math.nan}, "", "", "")).text


@pytest.mark.parametrize(("verdict", "check", "shown"), [
    ("stopped", True, ["stopped", "check"]), ("check", True, ["check"]), ("stopped", False, ["stopped"]),
    ("complete", None, []),
])  # fmt: skip
def test_the_list_of_operations_marks_every_run_in_check_mode(
    verdict: str, check: bool | None, shown: list[str]
) -> None:
    row = {**operation(), "title": "T", "to_version": None, "status": verdict, "check": check}
    text = Parsed(markup.table(rows.COLUMNS[1:2], [row], "x")).text
    assert [word for word in ("stopped", "check", "complete") if word in text] == shown


def test_the_parameters_of_a_link_are_parsed_back_unchanged() -> None:
    (_tag, attributes) = Parsed(markup.link("x", pages.OPERATION, id=HOSTILE, outcome=["a", "b"], none=None)).elements[
        0
    ]
    where = urlsplit(attributes["href"] or "")
    assert where.path == "./operation"
    assert parse_qs(where.query) == {"id": [HOSTILE], "outcome": ["a", "b"]}
    assert markup.address(pages.OVERVIEW) == "./"


def test_a_bar_leaves_out_empty_parts_and_has_a_label_for_screen_readers() -> None:
    segments = [markup.Segment("updated", 1200, "updated"), markup.Segment("failed", 0, "failed")]
    found = Parsed(markup.stacked_bar(segments, "1,200 updated"))
    assert found.elements[0] == ("div", {"class": "fo-bar", "role": "img", "aria-label": "1,200 updated"})
    assert [attributes["title"] for tag, attributes in found.elements if tag == "span"] == ["1,200 updated"]


def test_the_header_of_a_sorted_column_states_the_order_and_links_to_the_opposite_one() -> None:
    columns = [markup.duration("took", "took", "number", "took"), markup.host("host"), markup.text("why", "why")]
    for order, expected, leads in (
        ("took", "ascending", "?-took"),
        ("-took", "descending", "?took"),
        ("", None, "?took"),
    ):
        found = Parsed(markup.table(columns, [], "Instances", order, "?{}".format))
        heads = [attributes for tag, attributes in found.elements if tag == "th"]
        assert [head.get("aria-sort") for head in heads] == [expected, None, None]
        assert [attributes["href"] for tag, attributes in found.elements if tag == "a"] == [leads, "?host"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (0.0, "as long as before"),
        (0.04, "as long as before"),
        (-0.04, "as long as before"),
        (0.06, "0.1 s longer"),
        (-61.0, "1 min 01 s less"),
    ],
)
def test_a_difference_in_duration_is_stated_only_if_it_is_noticeable(more: float, words: str) -> None:
    assert comparison.difference(more) == words


def of_instances(*given: tuple[str, str, float | None, str]) -> pd.DataFrame:
    """A frame with INSTANCE_COLUMNS from tuples of host, category, seconds and message."""
    known = [{"host": host, "category": category, "seconds": seconds, "message": message, "instance_id": f"id-{host}"}
             for host, category, seconds, message in given]  # fmt: skip
    frame = pd.DataFrame(known, columns=list(INSTANCE_COLUMNS), dtype=object)
    return frame.astype({"seconds": float, "started_at": float, "waited": float})


FOUND = of_instances(
    ("c", "failed", 9.0, "checksum [x"), ("d", "not_touched", None, ""), ("a", "updated", 30.0, ""),
    ("b", "updated", 4.0, ""),
)  # fmt: skip

ARRANGED = [
    ("as they are", (), "", "", "cdab"),
    ("of some categories", ("updated", "failed"), "", "", "cab"),
    ("by a part of the host", (), "B", "", "b"),
    ("by a part of the message, which is no pattern", (), "SUM [X", "", "c"),
    ("by both", ("updated",), "checksum", "", ""),
    ("by host", (), "", "host", "abcd"),
    ("by host, downwards", (), "", "-host", "dcba"),
    ("by time taken, the unknown ones last", (), "", "took", "bcad"),
    ("by time taken, downwards, the unknown ones last too", (), "", "-took", "acbd"),
    ("problems last", (), "", "-outcome", "badc"),
    ("an order of the address that there is not", (), "", "size", "cdab"),
]


@pytest.mark.parametrize(
    ("categories", "search", "sort", "hosts"), [case[1:] for case in ARRANGED], ids=[case[0] for case in ARRANGED]
)
def test_the_instances_of_an_operation_can_be_filtered_and_sorted(
    categories: tuple[str, ...], search: str, sort: str, hosts: str
) -> None:
    assert "".join(operation_parts.arranged(FOUND, categories, search, sort)["host"]) == hosts


def test_two_operations_are_compared_by_host_with_the_worst_first() -> None:
    before = of_instances(("a", "updated", 10.0, ""), ("b", "failed", None, "old"), ("x", "updated", 1.0, ""))
    now = of_instances(("a", "failed", 14.0, "new"), ("b", "updated", 5.0, ""), ("y", "updated", 1.0, ""))
    found = comparison.compared(before, now)
    assert found["host"].tolist() == ["a", "b", "x", "y"]
    assert found["kind"].tolist() == ["new failure", "fixed", "only before", "only now"]
    assert found["message"].tolist()[:2] == ["new", "old"]
    assert found["seconds_more"].tolist()[0] == 4.0
    assert found["instance_id"].tolist() == ["id-a", "id-b", "id-x", "id-y"]


def test_a_renamed_instance_is_compared_with_itself() -> None:
    before = of_instances(("a", "failed", None, ""), ("b", "updated", 1.0, ""))
    now = of_instances(("a", "updated", 1.0, "")).assign(host="b")
    found = comparison.compared(before, now)
    assert found[["host", "kind"]].to_numpy().tolist() == [["b", "fixed"], ["b", "only before"]]


def test_an_operation_without_instances_can_be_compared() -> None:
    found = comparison.compared(of_instances(), of_instances(("a", "failed", None, "")))
    assert found["kind"].tolist() == ["only now"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("agent-00001.nbg1.fleet.example", "agent-00001.nbg1.fleet.example"),
        ("rolling_redeploy to 2026.8.0", "rolling_redeploy to 2026.8.0"),
        ("a _b_ c", "` a _b_ c `"),
        ("a__b__c", "` a__b__c `"),
        (":red[x]", "` :red[x] `"),
        ("www.example", "` www.example `"),
        ("a`b``c", "``` a`b``c ```"),
        (IMAGE, f"` {IMAGE} `"),
        ("a\n\n:red[x] \t`b`", "`` a\\n\\n:red[x] \\t`b` ``"),
    ],
)
def test_a_title_from_the_record_is_not_rendered_as_markdown(text: str, shown: str) -> None:
    assert lists.literal(text) == shown


def test_an_unknown_value_is_an_empty_cell() -> None:
    columns = [
        markup.text("why", "a"), markup.status("status", "a", "none"), markup.count("n", "a"), markup.when("at", "a"),
        markup.duration("took", "a"),
    ]  # fmt: skip
    for nothing in (None, float("nan")):
        cells = Parsed(markup.table(columns, pd.DataFrame([{"a": nothing}], dtype=object), "x")).text
        assert cells == "".join(("why", "status", "n", "at (UTC)", "took", "none"))
