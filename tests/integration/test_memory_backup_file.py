# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of memory_backup: never lost, never unreadable, never in a folder that a reinstallation deletes."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._steps.whole_file import replace_file
from tests.conftest import BIN, CHECKOUT
from tests.integration.in_process import outcome_of, result_of
from tests.second_api.api import KEY, SecondApi, second_api

pytestmark = pytest.mark.playbook

Play = Callable[..., subprocess.CompletedProcess[str]]
BACKUP = "instance_memory_backup"
GOOD = {"id": "m1", "content": "Invoices go out on Fridays."}
HALF = {"id": "m2", "content": "cut emoji \ud83d"}
EMPTY = {"id": "n", "content": None}


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Runs a playbook of the collection, by default memory_backup, with an empty HOME and no configuration."""

    def plays(
        api: SecondApi, action: str | None = None, *, playbook: str = "memory_backup", **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        source = tmp_path / "a.fleet.yml"
        source.write_text("plugin: fleetops.agents.fleet\n")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "FLEETOPS_", "XDG_"))}
        extra = {**({"fleetops_memory_action": action} if action else {}), **variables}
        return subprocess.run(
            [
                str(BIN / "ansible-playbook"), "-i", str(source), f"fleetops.agents.{playbook}",
                "-e", json.dumps(extra),
            ],
            cwd=tmp_path, env={**kept, "HOME": str(tmp_path), "COLUMNS": "400", **api.environment()},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return plays


def contents(api: SecondApi) -> list[Any]:
    return sorted((row["content"] for row in api.instances[0].memories), key=str)


# reports/2026-11 D5


def test_an_unpaired_surrogate_is_kept_and_reported_and_the_backup_stays_readable(play: Play, tmp_path: Path) -> None:
    folder = str(tmp_path / "backup")
    with second_api(instances=1) as api:
        api.instances[0].memories = [GOOD, HALF]
        saved = play(api, fleetops_memory_dir=folder)
        assert saved.returncode == 0, saved.stdout
        assert "half of a character" in saved.stderr + saved.stdout and "m2" in saved.stderr + saved.stdout
        document = json.loads((tmp_path / "backup" / "agent-001.json").read_text(encoding="ascii"))
        assert document["memories"] == [HALF, GOOD]
        assert play(api, "verify", fleetops_memory_dir=folder).returncode == 0

        api.instances[0].memories = []
        lost = play(api, "verify", fleetops_memory_dir=folder)
        assert lost.returncode == 2 and "no longer has 2 memories of its backup" in lost.stdout, lost.stdout
        restored = play(api, "restore", fleetops_memory_dir=folder)
        assert restored.returncode == 0, restored.stdout
        assert contents(api) == sorted([GOOD["content"], HALF["content"]])
        assert play(api, "verify", fleetops_memory_dir=folder).returncode == 0


def test_a_backup_that_cannot_be_written_leaves_the_previous_one_in_place(play: Play, tmp_path: Path) -> None:
    file = tmp_path / "backup" / "agent-001.json"
    with second_api(instances=1) as api:
        one = api.instances[0]
        one.memories = [GOOD]
        assert result_of(api, BACKUP, path=str(file))["changed"]
        former = file.read_bytes()
        for memories, quirk in (
            ([{"content": f"fact {n}"} for n in range(205)], {}),
            ([], {"list_memories": {"memories": [], "status": {"available": False}, "count": 0}}),
            ([], {"list_memories": {"memories": ["no object"], "status": {}, "count": 1}}),
        ):
            one.memories, api.quirks.answers = memories, quirk
            assert outcome_of(api, BACKUP, path=str(file))["failed"]
            assert [file] == list(file.parent.iterdir()) and file.read_bytes() == former
        api.quirks.answers = {}
        # The backup of another instance, and that of another conversation with the same file name.
        file.write_text(former.decode().replace(one.id, "11111111-1111-4111-8111-111111111111"))
        one.memories = [GOOD]
        assert "belongs to instance 11111111" in outcome_of(api, BACKUP, path=str(file))["msg"]
        one.memories = [{**GOOD, "conversation_id": "a/b"}, {**GOOD, "id": "m9", "conversation_id": "a_b"}]
        slices = {"fleetops_memory_dir": str(tmp_path / "slices")}
        assert play(api, fleetops_memory_conversation_id="a/b", **slices).returncode == 0
        refused = play(api, fleetops_memory_conversation_id="a_b", **slices)
        assert refused.returncode == 2 and "belongs to conversation a/b, not to conversation a_b" in refused.stdout


def test_a_backup_of_another_instance_that_appears_while_the_memories_are_read_is_kept(tmp_path: Path) -> None:
    # The hosts a/b and a_b have the same file, and both are saved at once for the first time.
    file = tmp_path / "a_b.json"
    other = json.dumps({"instance_id": "11111111-1111-4111-8111-111111111111", "memories": [GOOD]})
    with second_api(instances=1) as api:

        def saved_meanwhile(usual: Any) -> Any:
            file.write_text(other)
            return usual

        api.quirks.answers = {"list_memories": saved_meanwhile}
        refused = outcome_of(api, BACKUP, path=str(file))
        assert refused["failed"] and not refused["changed"] and "belongs to instance 11111111" in refused["msg"]
        assert [file] == list(tmp_path.iterdir()) and file.read_text() == other


def test_a_report_of_unusual_events_is_complete_and_readable_by_its_owner_only(play: Play, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    with second_api(instances=2) as api:
        for one in api.instances:
            api.add_events(one.hostname, 3, outcome="error")
        api.instances[0].events[1]["tool_name"] = HALF["content"]
        report = {"fleetops_audit_dir": str(folder), "fleetops_audit_since": "2020-01-01"}
        done = play(api, playbook="audit_report", **report)
        assert done.returncode == 0, done.stdout
        files = sorted(folder.iterdir())
        assert [file.name for file in files] == ["audit.csv", "audit.json", "audit.md"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755, "an existing folder keeps its mode"
        events = json.loads(files[1].read_text(encoding="utf-8"))["events"]["agent-001"]
        # A report is for people: unprintable characters are escaped, and in Markdown so is the backslash.
        assert "cut emoji \\ud83d" in [event["tool_name"] for event in events]
        assert "cut emoji \\\\ud83d" in files[2].read_text(encoding="utf-8")


# reports/2026-11 D6


def test_save_verify_and_restore_treat_a_memory_without_content_the_same(tmp_path: Path) -> None:
    file, warnings = str(tmp_path / "agent-001.json"), list[str]()
    with second_api(instances=1) as api:
        api.instances[0].memories = [GOOD, EMPTY]
        result_of(api, BACKUP, warnings, path=file)
        assert len(warnings) == 1 and "have no content" in warnings[0]
        assert result_of(api, BACKUP, path=file, state="compared")["missing"] == []
        # What is missing is what the playbook restores.
        api.instances[0].memories = [GOOD]
        assert result_of(api, BACKUP, path=file, state="compared")["missing"] == []


def test_a_memory_that_was_saved_twice_is_missing_and_restored_once(tmp_path: Path) -> None:
    file = str(tmp_path / "agent-001.json")
    with second_api(instances=1) as api:
        api.instances[0].memories = [GOOD, {**GOOD, "id": "m8"}]
        assert result_of(api, BACKUP, path=file)["count"] == 2
        api.instances[0].memories = []
        (missing,) = result_of(api, BACKUP, path=file, state="compared")["missing"]
        assert result_of(api, "instance_memory", memory=missing)["changed"]
        assert result_of(api, BACKUP, path=file, state="compared")["missing"] == []


def test_a_memory_that_ansible_would_mask_is_not_restored_with_a_mask(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = {"fleetops_memory_dir": str(tmp_path / "backup")}
    texts = ["acme pays on Fridays.", f"The key is {KEY}."]
    with second_api(instances=1) as api:
        given = {**api.environment(), "FLEETOPS_EXTRA_HEADERS": '{"X-Tenant": "acme"}'}
        monkeypatch.setattr(api, "environment", lambda: given)
        api.instances[0].memories = [{"id": f"m{n}", "content": text} for n, text in enumerate(texts)]
        assert play(api, **folder).returncode == 0
        api.instances[0].memories = []
        refused = play(api, "restore", **folder)
        assert refused.returncode == 2 and "cannot be stored again: m1. Remove the secret from" in refused.stdout
        assert api.writes() == [] and KEY not in refused.stdout + refused.stderr
        file = tmp_path / "backup" / "agent-001.json"
        file.write_text(file.read_text().replace(KEY, "gone"))
        restored = play(api, "restore", **folder)
        assert restored.returncode == 0, restored.stdout
        assert contents(api) == ["The key is gone.", texts[0]]


def test_a_memory_of_no_conversation_does_not_stand_for_the_same_one_of_a_conversation(tmp_path: Path) -> None:
    file, of_conversation = str(tmp_path / "agent-001.json"), {**GOOD, "id": "m2", "conversation_id": "conv-1"}
    with second_api(instances=1) as api:
        api.instances[0].memories = [GOOD, of_conversation]
        result_of(api, BACKUP, path=file)
        api.instances[0].memories = [GOOD]
        assert result_of(api, BACKUP, path=file, state="compared")["missing"] == [of_conversation]
        api.instances[0].memories = []
        assert len(result_of(api, BACKUP, path=file, state="compared")["missing"]) == 2


def test_neither_another_order_nor_a_later_access_nor_the_loss_of_all_memories_changes_the_backup(
    tmp_path: Path,
) -> None:
    file = tmp_path / "agent-001.json"
    with second_api(instances=1) as api:
        api.instances[0].memories = [{**GOOD, "last_accessed_at": "2026-11-01"}, HALF, EMPTY]
        assert result_of(api, BACKUP, path=str(file))["changed"]
        former = file.read_bytes()
        api.instances[0].memories = [EMPTY, HALF, {**GOOD, "last_accessed_at": "2026-11-29"}]
        assert not result_of(api, BACKUP, path=str(file))["changed"] and file.read_bytes() == former
        file.chmod(0o644)
        assert result_of(api, BACKUP, path=str(file))["changed"] and stat.S_IMODE(file.stat().st_mode) == 0o600
        api.instances[0].memories = [HALF, HALF, EMPTY]
        assert result_of(api, BACKUP, path=str(file))["changed"]
        saved = file.read_bytes()
        cleared = result_of(api, "instance_memory", state="absent", all=True)
        lost = outcome_of(api, BACKUP, path=str(file))
        assert lost["failed"] and file.read_bytes() == saved
        assert f"has no memories, but the backup {file} contains 3. It was not replaced." in lost["msg"]
        again = result_of(api, "instance_memory", state="absent", all=True)
        assert (cleared["remaining"], again["remaining"], again["changed"]) == (0, 0, False)


def test_the_time_of_a_comparison_grows_with_the_number_of_memories_and_not_with_its_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, texts, usual = str(tmp_path / "agent-001.json"), list[str](), unicodedata.normalize

    def counted(form: Any, text: str) -> str:
        texts.append(text)
        return usual(form, text)

    with second_api(instances=1) as api:
        api.instances[0].memories = [{"content": f"fact {n}"} for n in range(50)]
        result_of(api, BACKUP, path=file)
        monkeypatch.setattr(unicodedata, "normalize", counted)
        assert result_of(api, BACKUP, path=file, state="compared")["missing"] == []
    assert len(texts) <= 4 * 50


# reports/2026-11 E7


def test_verifying_a_backup_lists_the_memories_of_each_instance_once(play: Play, tmp_path: Path) -> None:
    folder = {"fleetops_memory_dir": str(tmp_path / "backup")}
    with second_api(instances=2) as api:
        for one in api.instances:
            one.memories = [{"id": f"{one.hostname} {n}", "content": f"fact {n}"} for n in range(199)]
        assert play(api, **folder).returncode == 0
        for action in ("verify", "restore"):
            api.calls.clear()
            assert play(api, action, **folder).returncode == 0
            assert len(api.called("list_memories")) == 2


# reports/2026-11 C9, F2


def test_without_a_folder_the_run_is_refused_and_existing_backups_are_named(play: Play, tmp_path: Path) -> None:
    with second_api(instances=1) as api:
        former = CHECKOUT / "playbooks" / "memory-backup"
        refused = play(api, fleetops_memory_dir="")
        assert refused.returncode == 2, refused.stdout
        assert "fleetops_memory_dir is not set. Give a folder" in refused.stdout
        assert "earlier versions" not in refused.stdout and "[]" not in refused.stdout
        # For Ansible, throttle 0 means no limit.
        refused = play(api, fleetops_memory_dir=str(tmp_path / "backup"), fleetops_batch_max=0)
        assert refused.returncode == 2 and "fleetops_batch_max is 0: it must be a whole number" in refused.stdout
        assert api.called("list_memories") == [] and not former.exists()
        playbooks = tmp_path / "own"
        (playbooks / "memory-backup").mkdir(parents=True)
        (playbooks / "memory-backup" / "agent-001.json").write_text("{}")
        own = playbooks / "own.yml"
        role = {"import_role": {"name": "fleetops.agents.memory_backup", "tasks_from": "verify"}}
        own.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [role]}]))
        done = subprocess.run(
            [str(BIN / "ansible-playbook"), str(own)],
            env={**os.environ, "HOME": str(tmp_path), **api.environment()},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        stdout = " ".join(done.stdout.split())
        found = f"{playbooks}/memory-backup, the default of earlier versions, holds backups (1)."
        assert done.returncode == 2 and found in stdout, done.stdout


def test_backups_are_not_written_into_the_installed_collection(tmp_path: Path) -> None:
    installed = tmp_path / "ansible_collections" / "fleetops" / "agents"
    installed.mkdir(parents=True)
    for name in ("plugins", "meta", "galaxy.yml"):
        copied = subprocess.run(["cp", "-r", str(CHECKOUT / name), str(installed)], check=False)
        assert copied.returncode == 0
    with second_api(instances=1) as api:
        options = {
            "api_url": api.url, "api_key": KEY, "instance_id": api.instances[0].id,
            "path": str(installed / "playbooks" / "memory-backup" / "agent-001.json"),
        }  # fmt: skip
        module = "ansible_collections.fleetops.agents.plugins.modules.instance_memory_backup"
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {module} as m; "
             f"from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, execute;"
             f" print(m.__file__, execute(m.OPERATION, Context({{**{options!r}, 'state': 'saved', "
             "'conversation_id': None, 'customer_id': None, 'request_timeout': 5, 'retries': 0})))"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert str(installed) in done.stdout.partition(" ")[0], done.stdout + done.stderr
        assert "lies inside the installed collection" in done.stdout
        assert api.calls == [] and not (installed / "playbooks").exists()


# reports/2026-11 D5


def test_a_kill_at_any_moment_leaves_the_complete_old_or_new_file(tmp_path: Path) -> None:
    file = tmp_path / "backup" / "agent-001.json"
    texts = [json.dumps({"n": n, "memories": [{"content": f"{n}" * 50_000}] * 20}) for n in (1, 2)]
    replace_file(file, texts[0])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    program = (
        "import sys; from pathlib import Path\n"
        "from ansible_collections.fleetops.agents.plugins.module_utils._steps.whole_file import replace_file\n"
        "texts = sys.stdin.read().split('|'); print('ready', flush=True)\n"
        f"while True:\n    for text in texts:\n        replace_file(Path({str(file)!r}), text); print(flush=True)\n"
    )
    chance = random.Random(20261127)
    for _moment in range(20):
        saving = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
        )
        assert saving.stdin is not None and saving.stdout is not None
        saving.stdin.write("|".join(texts))
        saving.stdin.close()
        # The first replacement is done; the next one is under way.
        assert saving.stdout.readline() == "ready\n" and saving.stdout.readline() == "\n"
        time.sleep(chance.uniform(0, 0.02))
        saving.send_signal(signal.SIGKILL)
        saving.wait()
        saving.stdout.close()
        assert file.read_text() in texts
    left = [path for path in file.parent.iterdir() if path != file]
    assert all(path.name.startswith(".") for path in left)
    for path in left:
        os.utime(path, (0, 0))
    replace_file(file, texts[0])
    assert list(file.parent.iterdir()) == [file], "files left by killed processes are removed"
