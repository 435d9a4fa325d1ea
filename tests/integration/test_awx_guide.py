# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide *From AWX*: its blocks, pasted into one shell as a reader does, make all that it says.

The other side is a small stand-in that refuses what AWX 24 refuses: another token, an object without its required
fields, a survey that AWX's own check would not take.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "docsite" / "rst" / "awx.rst").read_text()
PATTERN = json.loads((ROOT / "extensions" / "patterns" / "fleet_ops" / "meta" / "pattern.json").read_text())
RESOURCES = PATTERN["aap_resources"]
TOKEN = "token-of-the-stand-in"
KEY = "key-of-the-fleet"
HASH = "f3a1" * 16
# What AWX wants of each object that is posted.
REQUIRED = {
    "execution_environments": {"name", "image", "organization"},
    "projects": {"name", "organization", "scm_type", "scm_url"},
    "credential_types": {"name", "kind", "inputs", "injectors"},
    "credentials": {"name", "organization", "credential_type", "inputs"},
    "inventories": {"name", "organization"},
    "inventory_sources": {"name", "inventory", "source", "source_project", "source_path", "credential"},
    "job_templates": {"name", "project", "playbook", "inventory", "organization"},
}
NUMBERS = {"integer": int, "float": float}


class StandIn:
    """Objects by kind and id as they were posted; ``posted``: path and body of each post, in order."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in (*REQUIRED, "jobs")}
        self.posted: list[tuple[str, Any]] = []

    def add(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        number = 10 * (1 + list(self.objects).index(kind)) + len(self.objects[kind])
        self.objects[kind][number] = {**body, "id": number, "status": "successful"}
        return self.objects[kind][number]

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        self.posted.append((path, body))
        kind, number, action = [*path.strip("/").split("/"), "", ""][:3]
        if not number and kind in REQUIRED:
            missing = sorted(REQUIRED[kind] - body.keys())
            if missing:
                return 400, {name: ["This field is required."] for name in missing}
            return 201, self.add(kind, body)
        owner = self.objects.get(kind, {}).get(int(number or 0))
        if owner is None:
            return 404, {"detail": "Not found."}
        if action == "survey_spec":
            refused = why_refused(body)
            owner["survey"] = body
            return (400, {"error": refused}) if refused else (200, {})
        if action == "launch":
            artifacts = {"fleetops_report": {"plan_hash": HASH}}
            job = self.add("jobs", {"launch": body, "finished": "2026-11-24T12:00:00Z", "artifacts": artifacts})
            return 201, {"job": job["id"]}
        owner.setdefault(action, []).append(body)
        return {"credentials": (204, None), "labels": (201, body), "update": (202, {"inventory_update": 7})}[action]

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        kind, number, action = [*path.strip("/").split("/"), "", ""][:3]
        if action == "job_host_summaries":
            return 200, {"results": [{"host_name": "agent-003"}, {"host_name": "agent-004"}]}
        if number:
            return 200, self.objects[kind][int(number)]
        return 200, {"results": [row for row in self.objects[kind].values() if row["name"] in query["name"]]}


def why_refused(survey: dict[str, Any]) -> str:
    """What AWX's check of a survey finds wrong with it, or an empty text."""
    for question in survey["spec"]:
        default = question.get("default", "")
        if {"type", "question_name", "variable", "required"} - question.keys():
            return f"{question} lacks a field."
        if default != "" and not isinstance(default, NUMBERS.get(question["type"], str)):
            return f"Default value {default} expected to be {question['type']}."
        if "choices" in question and set(default.splitlines()) - set(question["choices"]):
            return "Default choice must be answered from the choices listed."
    return ""


@pytest.fixture
def awx() -> Iterator[tuple[StandIn, str]]:
    stand_in = StandIn()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(*stand_in.post(urlsplit(self.path).path.removeprefix("/api/v2/"), body))

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            self.answer(*stand_in.get(address.path.removeprefix("/api/v2/"), parse_qs(address.query)))

        def answer(self, status: int, body: Any) -> None:
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                status, body = 401, {"detail": "Authentication credentials were not provided."}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"" if body is None else json.dumps(body).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield stand_in, f"http://127.0.0.1:{server.server_port}/api/v2"
    server.shutdown()
    server.server_close()


def pasted(url: str, token: str, blocks: int | None = None) -> subprocess.CompletedProcess[str]:
    """The guide's blocks in one shell; the values that a reader would type are in the environment."""
    found = re.findall(r"^\.\. code-block:: bash\n\n((?:   .*\n|\n)+)", GUIDE, re.MULTILINE)
    given = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWX_API": url,
        "AWX_TOKEN": token,
        "FLEETOPS_API_URL": "https://fleet.example.com",
        "FLEETOPS_API_KEY": KEY,
    }
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail"],
        input="\n".join(map(textwrap.dedent, found[:blocks])),
        cwd=ROOT, env={**os.environ, **given}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_blocks_of_the_guide_make_what_the_pattern_describes(awx: tuple[StandIn, str]) -> None:
    made, url = awx
    done = pasted(url, TOKEN)
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr

    only = {kind: next(iter(rows.values())) for kind, rows in made.objects.items()}
    assert only["credential_types"]["injectors"] == RESOURCES["controller_credential_types"][0]["injectors"]
    assert only["credentials"]["inputs"] == {"api_url": "https://fleet.example.com", "api_key": KEY}
    source = only["inventory_sources"]
    assert (ROOT / source["source_path"]).is_file() and source["update"] == [{}]
    assert source["credential"] == str(only["credentials"]["id"])

    wanted = {template["name"]: template for template in RESOURCES["controller_job_templates"]}
    assert {template["name"] for template in made.objects["job_templates"].values()} == set(wanted)
    for template in made.objects["job_templates"].values():
        described = wanted[template["name"]]
        assert template["survey"] == described["survey"]
        assert template["credentials"] == [{"id": only["credentials"]["id"]}]
        assert [label["name"] for label in template["labels"]] == described["labels"]
        assert (ROOT / template["playbook"]).is_file()
        assert template["execution_environment"] == str(only["execution_environments"]["id"])

    check, run, again = [body for path, body in made.posted if path.endswith("/launch/")]
    assert check == {"job_type": "check"}
    assert run == {"job_type": "run", "extra_vars": {"fleetops_plan_hash": HASH, "fleetops_max_failed": 1}}
    assert again == {"limit": "agent-003:agent-004"}
    launched = {path for path, _body in made.posted if path.endswith("/launch/")}
    rolling = [
        i for i, one in made.objects["job_templates"].items() if one["playbook"].endswith("/rolling_redeploy.yml")
    ]
    assert launched == {f"job_templates/{rolling[0]}/launch/"}

    # The key travels into the credential and nowhere else.
    assert [path for path, body in made.posted if KEY in json.dumps(body)] == ["credentials/"]
    assert KEY not in done.stdout + done.stderr and TOKEN not in done.stdout + done.stderr


def test_a_refusal_is_shown_in_awxs_own_words(awx: tuple[StandIn, str]) -> None:
    made, url = awx
    done = pasted(url, "another", blocks=3)
    assert done.returncode != 0
    assert "AWX refuses: {'detail': 'Authentication credentials were not provided.'}" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(made.posted) == 1
