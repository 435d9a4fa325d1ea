# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tarball: its content, and that it works with only meta, plugins, roles and playbooks (a community rule)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
KEPT = {"meta", "plugins", "roles", "playbooks", "MANIFEST.json", "FILES.json"}
MADE_HERE = ("tests/output", "docs/_build", "collections")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """The output of a command that must succeed. It only sees the collections in ``environment``."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("ANSIBLE_", "FLEETOPS_"))}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**kept, "HOME": str(cwd), **environment},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make importer` builds it: from a copy of the tracked files."""
    work = tmp_path_factory.mktemp("build")
    copied = run(ROOT / ".ci" / "copy", work / "source", cwd=ROOT).strip()
    run(BIN / "ansible-galaxy", "collection", "build", "--output-path", work, copied, cwd=work)
    [built] = work.glob("fleetops-agents-*.tar.gz")
    return built


def test_the_tarball_contains_only_tracked_files_and_no_output_of_commands(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = {member.name for member in archive if member.isfile()} - {"MANIFEST.json", "FILES.json"}
    tracked = run("git", "ls-files", cwd=ROOT).splitlines()
    assert names <= set(tracked)
    assert [name for name in names if name.startswith((".", *(f"{folder}/" for folder in MADE_HERE)))] == []
    published = {"README.md", "COPYING", "CHANGELOG.md", "meta/runtime.yml", "meta/ee-requirements.txt"}
    assert published <= names
    assert {name for name in tracked if name.startswith(("plugins/", "roles/", "playbooks/"))} <= names
    assert tarball.stat().st_size < 20 * 1024 * 1024


def test_output_of_other_commands_never_gets_into_a_tarball(tmp_path: Path) -> None:
    copied = Path(run(ROOT / ".ci" / "copy", tmp_path / "source", cwd=ROOT).strip())
    made = [*(f"{folder}/left" for folder in MADE_HERE), ".venv/left", ".demo/left", ".hypothesis/left", "old-1.tar.gz"]
    # reports/2026-11 F2: earlier versions of memory_backup put customers' data there.
    made += ["memory-backup/agent-001.json", "playbooks/memory-backup/agent-001.json"]
    for name in made:
        path = copied / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left over")
    run(BIN / "ansible-galaxy", "collection", "build", "--output-path", tmp_path, copied, cwd=tmp_path)
    [built] = tmp_path.glob("fleetops-agents-*.tar.gz")
    with tarfile.open(built) as archive:
        assert set(made) & set(archive.getnames()) == set()


def test_the_collection_works_with_only_meta_plugins_roles_and_playbooks(tarball: Path, tmp_path: Path) -> None:
    # Without the Python path of the checkout, which has the whole collection.
    alone = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false"}
    run(BIN / "ansible-galaxy", "collection", "install", "--offline", tarball, cwd=tmp_path, **alone)
    home = tmp_path / "ansible_collections" / "fleetops" / "agents"
    for path in home.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    for kind, folder in (("module", "modules"), ("inventory", "inventory"), ("lookup", "lookup"), ("callback",) * 2):
        plugins = sorted(file.stem for file in (home / "plugins" / folder).glob("*.py"))
        names = [f"fleetops.agents.{name}" for name in plugins]
        documented = json.loads(run(BIN / "ansible-doc", "--json", "--type", kind, *names, cwd=tmp_path, **alone))
        assert sorted(documented) == names
        for name in names:
            assert documented[name]["doc"]["filename"].startswith(str(home)), name

    playbooks = sorted(f"fleetops.agents.{file.stem}" for file in (home / "playbooks").glob("*.yml"))
    assert playbooks
    run(BIN / "ansible-playbook", "--syntax-check", "-i", "localhost,", *playbooks, cwd=tmp_path, **alone)
