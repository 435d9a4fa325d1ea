# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Views as text: the table of parameters is what the pages read, and what comes back from a browser is no danger."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import views
from console.views import PARAMETERS, View
from tests.console.every_page import declared_pages

CONSOLE = Path(__file__).resolve().parents[2] / "console"
ENDINGS = {"status_filter": "_status", "search_box": "_q", "pager": "_page"}
# The place of the parameter's name among what is given.
PLACES = {"pick": 2, "_switch": 2, "asked": 0}


def named(script: Path) -> Iterator[str]:
    """The parameters that a script names in so many words."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def text(node: ast.expr) -> str:
        found = constants.get(node.id, "") if isinstance(node, ast.Name) else getattr(node, "value", "")
        return found if isinstance(found, str) else ""

    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = ast.unparse(call.func).rpartition(".")[2]
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if "bind" in given:
            yield text(given["key"])
        if function in ENDINGS and text(call.args[0]):
            yield text(call.args[0]) + ENDINGS[function]
        if function in PLACES:
            yield text(call.args[PLACES[function]])
        if function == "wanted_id":
            yield "id"


def sections(script: Path) -> list[Path]:
    """The parts of a page that are scripts of their own."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "console"]
    names = [alias.name for node in imports for alias in node.names]
    return [CONSOLE / f"{name}.py" for name in names if name.endswith("_section")]


@pytest.mark.parametrize("page", [page for page in declared_pages() if page != "overview"])
def test_the_table_has_each_parameter_that_a_page_names(page: str) -> None:
    script = CONSOLE / "app_pages" / f"{page}.py"
    found = {name for part in (script, *sections(script)) for name in named(part) if name}
    assert found
    assert found <= set(PARAMETERS[page])


def test_the_table_has_no_page_that_is_not_there() -> None:
    assert set(PARAMETERS) == set(declared_pages()) - {"overview"}


VIEWS = st.sampled_from(sorted(PARAMETERS)).flatmap(
    lambda page: st.builds(
        View,
        st.just(page),
        st.dictionaries(
            st.sampled_from(PARAMETERS[page]),
            st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=4),
            max_size=6,
        ),
    )
)
NAMES = st.sampled_from(["page", "query", "id", "rollout"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)
)


@given(view=VIEWS)
def test_a_view_comes_back_as_it_went(view: View) -> None:
    back = views.read(view.text())
    assert back is not None
    assert (back.page, back.query) == (view.page, view.query)


@given(kept=JSON | st.builds(lambda page, query: {"page": page, "query": query}, st.just("rollout"), JSON))
def test_whatever_is_kept_leads_to_a_page_of_the_console_or_nowhere(kept: object) -> None:
    found = views.read(json.dumps(kept))
    if found is not None:
        assert set(found.query) <= set(PARAMETERS[found.page])
        urlencode(found.query, doseq=True)


@pytest.mark.parametrize(
    "kept",
    [
        *(None, 7, "", "{", "[" * 7000, "null", '{"page": "rollout"}', '{"page": ["rollout"], "query": {}}'),
        *('{"page": "//evil.example", "query": {}}', '{"page": "sign-out", "query": {}}'),
        *('{"page": "../app", "query": {}}', '{"page": "", "query": {}}', '{"page": "rollout", "query": {"id": "x"}}'),
        '{"page": "rollout", "query": {"id": ["\\ud800"]}}',
        View("rollout", {"id": ["x" * views.MOST]}).text(),
        json.dumps({"page": "rollout", "query": {"id": ["x" * views.MOST]}}),
    ],
)
def test_what_is_no_view_is_none(kept: object) -> None:
    assert views.read(kept) is None


def test_parameters_that_the_page_does_not_read_stay_behind() -> None:
    found = views.read('{"page": "rollouts", "query": {"rollouts_q": ["a"], "embed": ["true"], "next": ["//evil"]}}')
    assert found is not None and found.query == {"rollouts_q": ["a"]}
