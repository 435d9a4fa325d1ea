# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide *From AWX*: its blocks, pasted into one shell as a reader does, create everything that it describes.

The server is a small stand-in that refuses what AWX 24 refuses: another token, an object without its required
fields, a survey that AWX's own validation rejects.

Its answers about workflow templates, their nodes and approvals are written from AWX's documentation, not recorded.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.http_server import QuietHandler, http_server

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "docsite" / "rst" / "awx.rst").read_text()
PATTERN = json.loads((ROOT / "extensions" / "patterns" / "fleet_ops" / "meta" / "pattern.json").read_text())
RESOURCES = PATTERN["aap_resources"]
TOKEN = "token-of-the-stand-in"
KEY = "key-of-the-fleet"
HASH = "f3a1" * 16
# The fields that AWX requires of each object.
REQUIRED = {
    "execution_environments": {"name", "image", "organization"},
    "projects": {"name", "organization", "scm_type", "scm_url"},
    "credential_types": {"name", "kind", "inputs", "injectors"},
    "credentials": {"name", "organization", "credential_type", "inputs"},
    "inventories": {"name", "organization"},
    "inventory_sources": {"name", "inventory", "source", "source_project", "source_path", "credential"},
    "job_templates": {"name", "project", "playbook", "inventory", "organization"},
    "workflow_job_templates": {"name"},
}
# These are created below another object.
BELOW = ("workflow_job_template_nodes", "workflow_approval_templates", "workflow_jobs")
# The fields of a workflow node, apart from its links.
NODE = {"identifier", "unified_job_template", "job_type", "extra_data"}
NUMBERS = {"integer": int, "float": float}


class StandIn:
    """The posted objects by kind and id. ``posted``: path and body of each POST, in order."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in (*REQUIRED, "jobs", *BELOW)}
        self.posted: list[tuple[str, Any]] = []
        self.labels: list[dict[str, Any]] = []
        self.failed: list[str] = ["agent-003", "agent-004"]

    def add(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        number = 10 * (1 + list(self.objects).index(kind)) + len(self.objects[kind])
        self.objects[kind][number] = {**body, "id": number, "status": "successful"}
        return self.objects[kind][number]

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        self.posted.append((path, body))
        kind, number, action = [*path.strip("/").split("/"), "", ""][:3]
        if not number and kind in REQUIRED:
            if body["name"] in [row["name"] for row in self.objects[kind].values()]:
                return 400, {"name": [f"{kind} with this Name already exists."]}
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
        if action in ("workflow_nodes", "create_approval_template", "success_nodes"):
            return self.post_of_workflow(owner, action, body)
        if action == "launch" and kind == "workflow_job_templates":
            return 201, {"workflow_job": self.add("workflow_jobs", body)["id"]}
        if action == "launch":
            artifacts = {"fleetops_report": {"plan_hash": HASH, "failed": self.failed}}
            job = self.add("jobs", {"launch": body, "finished": "2026-11-24T12:00:00Z", "artifacts": artifacts})
            return 201, {"job": job["id"]}
        held = owner.setdefault(action, [])
        if action == "credentials" and body in held:
            return 400, {"error": "Cannot assign multiple Fleet ops API credentials."}
        known = action == "labels" and body in self.labels
        if action == "labels":
            self.labels.append(body)
        if body not in held:
            held.append(body)
        # A label that exists is attached, and the answer is empty.
        labels = (204, None) if known else (201, body)
        return {"credentials": (204, None), "labels": labels, "update": (202, {"inventory_update": 7})}[action]

    def post_of_workflow(self, owner: dict[str, Any], action: str, body: dict[str, Any]) -> tuple[int, Any]:
        """A POST below a workflow template or a node; written from AWX's documentation, not recorded."""
        nodes = self.objects["workflow_job_template_nodes"]
        if action == "workflow_nodes":
            if self.nodes(owner["id"], body["identifier"]):
                return 400, {"__all__": ["Workflow job template node with this identifier already exists."]}
            unknown = sorted(body.keys() - NODE)
            if unknown:
                return 400, {name: ["Unknown field."] for name in unknown}
            fields = {"unified_job_template": None, "success_nodes": [], "workflow_job_template": owner["id"]}
            return 201, self.add("workflow_job_template_nodes", {**fields, **body})
        if action == "create_approval_template":
            made = self.add("workflow_approval_templates", body)
            owner["unified_job_template"] = made["id"]
            return 201, made
        if body["id"] == owner["id"] or body["id"] not in nodes:
            return 400, {"Error": "Cycle detected."}
        # A link that exists is created again without an error.
        if body["id"] not in owner["success_nodes"]:
            owner["success_nodes"].append(body["id"])
        return 204, None

    def nodes(self, workflow: int, identifier: str | None = None) -> list[dict[str, Any]]:
        return [
            row
            for row in self.objects["workflow_job_template_nodes"].values()
            if row["workflow_job_template"] == workflow and identifier in (None, row["identifier"])
        ]

    def patch(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.posted.append((path, body))
        kind, number = path.strip("/").split("/")
        self.objects[kind][int(number)] |= body
        return 200, self.objects[kind][int(number)]

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        kind, number, action = [*path.strip("/").split("/"), "", ""][:3]
        if action == "credentials":
            held = [row for row in self.objects[kind][int(number)].get(action, []) if str(row["id"]) in query["id"]]
            return 200, {"count": len(held), "results": held}
        if action == "workflow_nodes":
            return 200, {"results": self.nodes(int(number), *query["identifier"])}
        if number:
            return 200, self.objects[kind][int(number)]
        return 200, {"results": [row for row in self.objects[kind].values() if row["name"] in query["name"]]}


def why_refused(survey: dict[str, Any]) -> str:
    """What AWX's validation finds wrong with a survey, or an empty text."""
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

    class Answer(QuietHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(*stand_in.post(urlsplit(self.path).path.removeprefix("/api/v2/"), body))

        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(*stand_in.patch(urlsplit(self.path).path.removeprefix("/api/v2/"), body))

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            self.answer(*stand_in.get(address.path.removeprefix("/api/v2/"), parse_qs(address.query)))

        def answer(self, status: int, body: Any) -> None:
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                status, body = 401, {"detail": "Authentication credentials were not provided."}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"" if body is None else json.dumps(body).encode())

    with http_server(Answer) as url:
        yield stand_in, f"{url}/api/v2"


# The part of curl that the guide uses, for a machine without curl. It imports little, because the blocks call it often.
CURL = """#!{python} -SE
import socket, sys
from urllib.parse import quote
headers, query, given = [], [], {{}}
words = iter(sys.argv[1:])
for word in words:
    if word == "-H":
        header = next(words)
        headers += open(header[1:]).read().splitlines() if header.startswith("@") else [header]
    elif word == "--data-urlencode":
        query.append(quote(next(words), safe="="))
    elif word in ("-X", "--data"):
        given[word] = next(words)
    elif word not in ("--silent", "--show-error", "--fail-with-body", "-G"):
        given["url"] = word
machine, path = given["url"].removeprefix("http://").split("/", 1)
body = sys.stdin.buffer.read() if "--data" in given else b""
method = given.get("-X") or ("POST" if "--data" in given else "GET")
path = "?".join(["/" + path, *(["&".join(query)] if query else [])])
lines = [f"{{method}} {{path}} HTTP/1.0", *headers, f"Content-Length: {{len(body)}}", "", ""]
with socket.create_connection(machine.split(":")) as line:
    line.sendall("\\r\\n".join(lines).encode() + body)
    answer = b"".join(iter(lambda: line.recv(65536), b""))
head, _empty, body = answer.decode().partition("\\r\\n\\r\\n")
sys.stdout.write(body)
status = head.split()[1]
if status >= "400":
    sys.exit(f"curl: (22) The requested URL returned error: {{status}}")
"""
BLOCKS = re.findall(r"^\.\. code-block:: bash\n\n((?:   .*\n|\n)+)", GUIDE, re.MULTILINE)


def stand_in_curl(commands: Path) -> None:
    (commands / "curl").write_text(CURL.format(python=sys.executable))
    (commands / "curl").chmod(0o755)


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder that comes first on the PATH. It has a stand-in for curl if the machine has none."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if shutil.which("curl") is None:
        stand_in_curl(folder)
    return folder


def pasted(url: str, token: str, commands: Path, blocks: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the guide's blocks in one shell that continues after a failure, as an interactive shell does."""
    given = {
        "PATH": f"{commands}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWX_API": url,
        "AWX_TOKEN": token,
        "FLEETOPS_API_URL": "https://fleet.example.com",
        "FLEETOPS_API_KEY": KEY,
        "no_proxy": "*",
    }
    return subprocess.run(
        ["bash"],
        input="\n".join(map(textwrap.dedent, BLOCKS if blocks is None else blocks)),
        cwd=ROOT, env={**os.environ, **given}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def launches(made: StandIn) -> list[dict[str, Any]]:
    """The launched job templates."""
    return [body for path, body in made.posted if re.fullmatch(r"job_templates/\d+/launch/", path)]


def workflow_of(made: StandIn) -> dict[str, dict[str, Any]]:
    """The nodes of the workflow template by identifier: what each runs, how, and what follows it."""
    [workflow] = made.objects["workflow_job_templates"]
    rows = made.nodes(workflow)
    identifiers = {row["id"]: row["identifier"] for row in rows}
    assert len(set(identifiers.values())) == len(rows)
    found = {}
    for row in rows:
        used = int(row["unified_job_template"])
        runs = {**made.objects["job_templates"], **made.objects["workflow_approval_templates"]}[used]
        settings = {name: row[name] for name in ("job_type", "extra_data") if name in row}
        found[row["identifier"]] = {
            "runs": runs["name"],
            "next": [identifiers[i] for i in row["success_nodes"]],
            **settings,
        }
    return found


def test_the_blocks_of_the_guide_create_what_the_pattern_describes(awx: tuple[StandIn, str], commands: Path) -> None:
    made, url = awx
    done = pasted(url, TOKEN, commands)
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

    check, run, again = launches(made)
    assert check == {"job_type": "check"}
    assert run == {"job_type": "run", "extra_vars": {"fleetops_plan_hash": HASH, "fleetops_max_failed": 1}}
    assert again == {"job_type": "run", "limit": "agent-003:agent-004"}
    launched = {path for path, _body in made.posted if path.endswith("/launch/") and path.startswith("job_templates/")}
    rolling = [
        i for i, one in made.objects["job_templates"].items() if one["playbook"].endswith("/rolling_redeploy.yml")
    ]
    assert launched == {f"job_templates/{rolling[0]}/launch/"}

    rolled = "Fleet ops: roll the published runtime through the fleet"
    assert workflow_of(made) == {
        "plan": {"runs": rolled, "job_type": "check", "next": ["approve"]},
        "approve": {"runs": "Fleet ops: approve the plan", "next": ["run"]},
        "run": {
            "runs": rolled, "job_type": "run", "extra_data": {"fleetops_plan_required": True}, "next": ["report"],
        },
        "report": {"runs": "Fleet ops: report the audit of the fleet", "job_type": "run", "next": []},
    }  # fmt: skip
    [approval] = made.objects["workflow_approval_templates"].values()
    assert approval["timeout"] == 14400 and "fleetops_plan_text" in approval["description"]
    [started] = made.objects["workflow_jobs"].values()
    assert started["extra_vars"] == {"fleetops_max_failed": 1}

    # The key is sent in the credential and nowhere else.
    assert [path for path, body in made.posted if KEY in json.dumps(body)] == ["credentials/"]
    assert KEY not in done.stdout + done.stderr and TOKEN not in done.stdout + done.stderr


def test_blocks_that_are_pasted_again_update_the_existing_objects(awx: tuple[StandIn, str], commands: Path) -> None:
    # reports/2026-11 D11: the labels exist, so the answer is 204 without a body.
    made, url = awx
    # Two job templates, which share a label.
    blocks = [block.replace("| cut -c 3-)", "| cut -c 3- | head -n 2)") for block in BLOCKS[:5]]
    assert blocks != BLOCKS[:5]
    assert pasted(url, TOKEN, commands, blocks).stderr == ""
    assert len(made.objects["job_templates"]) == 2
    before = {kind: list(rows) for kind, rows in made.objects.items()}
    made.objects["projects"][20]["scm_url"] = "another"
    again = pasted(url, TOKEN, commands, blocks)
    assert again.returncode == 0 and again.stderr == "", again.stdout + again.stderr
    assert {kind: list(rows) for kind, rows in made.objects.items()} == before
    assert made.objects["projects"][20]["scm_url"] == "https://code.fleetops.example/agents.git"
    for template in made.objects["job_templates"].values():
        assert len(template["credentials"]) == 1


def with_templates(made: StandIn, part: str) -> list[str]:
    """The first block and the blocks with ``part``, for an AWX that already has the job templates."""
    for template in RESOURCES["controller_job_templates"]:
        made.add("job_templates", {"name": template["name"]})
    return [BLOCKS[0], "ORGANIZATION=1 inventory=50", *(block for block in BLOCKS[1:] if part in block)]


@pytest.mark.parametrize("curl", ["the stand-in", "the machine's, if it has one"])
def test_a_workflow_that_is_created_again_is_reused_and_restored_to_the_pattern(
    awx: tuple[StandIn, str], commands: Path, curl: str
) -> None:
    made, url = awx
    if curl == "the stand-in":
        stand_in_curl(commands)
    blocks = with_templates(made, "make_workflow")
    assert pasted(url, TOKEN, commands, blocks).stderr == ""
    before, kinds = workflow_of(made), {kind: list(rows) for kind, rows in made.objects.items()}
    # Somebody changed it by hand.
    [run] = [row for row in made.objects["workflow_job_template_nodes"].values() if row["identifier"] == "run"]
    run |= {"job_type": "check", "extra_data": {}, "success_nodes": []}
    [approval] = made.objects["workflow_approval_templates"].values()
    approval["timeout"] = 0
    again = pasted(url, TOKEN, commands, blocks)
    assert again.returncode == 0 and again.stderr == "", again.stdout + again.stderr
    assert {kind: list(rows) for kind, rows in made.objects.items()} == kinds
    assert workflow_of(made) == before and approval["timeout"] == 14400


def test_a_workflow_with_a_refused_node_is_not_launched(awx: tuple[StandIn, str], commands: Path) -> None:
    made, url = awx
    usual = made.post

    def post(path: str, body: Any) -> tuple[int, Any]:
        if path.endswith("/workflow_nodes/") and body["identifier"] == "run":
            return 403, {"detail": "You do not have permission to perform this action."}
        return usual(path, body)

    made.post = post  # type: ignore[method-assign]
    [launch] = [block for block in BLOCKS if '"workflow_job_templates/$workflow/launch/"' in block]
    done = pasted(url, TOKEN, commands, [*with_templates(made, "make_workflow"), launch])
    assert done.stderr.count("AWX refuses: ") == 1 and "The previous block has failed" in done.stderr
    assert made.objects["workflow_jobs"] == {} and "Traceback" not in done.stderr


def test_a_relaunch_on_failed_hosts_launches_nothing_if_no_instance_failed(
    awx: tuple[StandIn, str], commands: Path
) -> None:
    # reports/2026-11 B3: a refused run fails, and names no instance.
    made, url = awx
    made.failed = []
    done = pasted(url, TOKEN, commands, with_templates(made, "job_templates/$template/launch/"))
    assert done.returncode == 0 and len(launches(made)) == 2, done.stdout + done.stderr
    assert "names no instance that failed: nothing is launched." in done.stdout


@pytest.mark.parametrize("refused", ["execution_environments", "projects", "credential_types", "inventories"])
def test_each_block_stops_at_the_first_refusal(awx: tuple[StandIn, str], commands: Path, refused: str) -> None:
    # reports/2026-11 D11
    made, url = awx
    usual = made.post

    def post(path: str, body: Any) -> tuple[int, Any]:
        if path == f"{refused}/":
            made.posted.append((path, body))
            return 403, {"detail": "You do not have permission to perform this action."}
        return usual(path, body)

    made.post = post  # type: ignore[method-assign]
    done = pasted(url, TOKEN, commands)
    # The later blocks say that the previous one failed, and send nothing.
    assert made.posted[-1][0] == f"{refused}/"
    assert done.stderr.count("AWX refuses: ") == 1, done.stderr
    assert 'AWX refuses: {"detail": "You do not have permission to perform this action."}' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refused_token_is_reported_once_in_the_words_of_awx(awx: tuple[StandIn, str], commands: Path) -> None:
    made, url = awx
    done = pasted(url, "another", commands, BLOCKS[:2])
    assert 'AWX refuses: {"detail": "Authentication credentials were not provided."}' in done.stderr
    assert done.stderr.count("AWX refuses: ") == 1 and "Traceback" not in done.stderr
    assert made.posted == []


def test_no_run_is_launched_after_a_failed_check(awx: tuple[StandIn, str], commands: Path) -> None:
    made, url = awx
    usual = made.add

    def add(kind: str, body: dict[str, Any]) -> dict[str, Any]:
        found = usual(kind, body)
        if kind == "jobs":
            found |= {"status": "failed", "artifacts": {}}
        return found

    made.add = add  # type: ignore[method-assign]
    done = pasted(url, TOKEN, commands, with_templates(made, "job_templates/$template/launch/"))
    assert launches(made) == [{"job_type": "check"}]
    assert "Traceback" not in done.stderr
    assert "The previous block has launched no job" in done.stderr
