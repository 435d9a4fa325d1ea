# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small playbook that causes every kind of event, and real ansible-playbook runs of it with the run log enabled.

``python -m tests.integration.run_log_project DIR`` fills DIR with run_logs files to load: a run that failed on some
hosts, one that succeeded, one in check mode, and one that was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VAULT_PASSWORD = "the-vault-password-of-tests"
VAULTED = "vaulted-canary-7f3a"
API_KEY = "api-key-canary-91bc"
NAMED = "named-canary-52d8"
HIDDEN = "no-log-canary-e04f"
PASSED = "extra-var-canary-c6aa"
CANARIES = (VAULT_PASSWORD, VAULTED, API_KEY, NAMED, HIDDEN, PASSED)

HOSTS = ("agent-01", "agent-02", "agent-03", "agent-04", "agent-05")

# Most tasks are raw, because each start of a module takes as much CPU time as several tasks.
SITE = """\
- name: Roll {{ what }}
  hosts: agents
  gather_facts: false
  serial: 2
  vars:
    what: ill
  roles:
    - greeting
  tasks:
    - name: Change on {{ inventory_hostname }}
      ansible.builtin.raw: printf %s {{ inventory_hostname }}
      changed_when: true
      notify: Tell
    - name: Loop
      ansible.builtin.raw: echo {{ item }}
      changed_when: item == 'two'
      failed_when: item == 'three' and inventory_hostname == 'agent-02'
      when: item != 'one'
      ignore_errors: true
      loop: [one, two, three]
    - name: Try until it works
      ansible.builtin.raw: test -e {{ mark }} || { touch {{ mark }}; false; }
      register: tried
      vars:
        mark: "{{ marker }}/{{ inventory_hostname }}"
      until: tried.rc == 0 or tried.attempts > 1
      failed_when: false
      changed_when: false
      retries: 2
      delay: 0
    - name: Skip
      ansible.builtin.debug:
        msg: never
      when: false
    - name: Handlers now
      ansible.builtin.meta: flush_handlers
    - name: Say the secrets that are known
      ansible.builtin.command:
        argv: [echo, "{{ vaulted }}", "{{ my_api_key }}", "{{ key_of_environment }}", "{{ service_token }}"]
      vars:
        key_of_environment: "{{ lookup('ansible.builtin.env', 'FLEETOPS_API_KEY') }}"
      changed_when: true
      notify: Tell
    - name: Hide
      ansible.builtin.command: echo HIDDEN_VALUE {{ inventory_hostname }}
      changed_when: true
      no_log: true
    - name: Hide in a loop
      ansible.builtin.raw: echo {{ item }}
      changed_when: true
      failed_when: item == 'HIDDEN_VALUE b'
      ignore_errors: true
      no_log: true
      loop: [HIDDEN_VALUE a, HIDDEN_VALUE b]
    - name: Fail on one
      ansible.builtin.fail:
        msg: agent-03 does not want to, api_key=NAMED_VALUE
      when: inventory_hostname == 'agent-03' and what != 'well'
    - name: Cannot be reached
      ansible.builtin.raw: echo there
      changed_when: true
      vars:
        ansible_connection: "{{ 'refusing' if inventory_hostname == 'agent-05' and what != 'well' else 'local' }}"
    - name: Artifacts
      ansible.builtin.set_stats:
        data:
          fleetops_rollout_ids: [r-1]
          password: NAMED_VALUE
  handlers:
    - name: Tell
      ansible.builtin.debug:
        msg: told
- name: Nobody
  hosts: nobody
  gather_facts: false
  tasks: []
"""

SLOW = """\
- name: Slow
  hosts: agents
  gather_facts: false
  tasks:
    - name: Quick
      ansible.builtin.debug:
        msg: quick
    - name: Sleep
      ansible.builtin.raw: touch {{ marker }}/asleep-{{ inventory_hostname }}; exec sleep 60
      changed_when: true
"""

MANY = """\
- name: Many
  hosts: agents
  gather_facts: false
  tasks:
    - name: Say
      action: "ansible.builtin.{{ 'debug' }} msg={{ item }}"
      loop: "{{ range(10) | list }}"
    - name: Change
      action: "ansible.builtin.{{ 'raw' }} echo {{ inventory_hostname }}"
      changed_when: true
"""

REFUSING = """\
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = '''
name: refusing
short_description: refuses
description: refuses
options: {}
'''


class Connection(ConnectionBase):
    transport = "refusing"
    has_pipelining = False

    def _connect(self, *args, **kwargs):
        raise AnsibleConnectionFailure("Connection refused")

    exec_command = put_file = fetch_file = close = _connect
"""


@cache
def vaulted() -> str:
    """The variable ``vaulted``, encrypted once for all projects."""
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(VAULT_PASSWORD)
        password.flush()
        program = Path(sys.executable).parent / "ansible-vault"
        given = ["--vault-password-file", password.name, VAULTED, "--name", "vaulted"]
        return subprocess.run([program, "encrypt_string", *given], check=True, capture_output=True, text=True).stdout


def write_project(folder: Path) -> Path:
    """The playbooks, inventory, role and connection plugin; returns ``folder``."""
    (folder / "marker").mkdir(parents=True)
    (folder / "connection_plugins").mkdir()
    (folder / "connection_plugins" / "refusing.py").write_text(REFUSING)
    (folder / "roles/greeting/tasks").mkdir(parents=True)
    (folder / "roles/greeting/tasks/main.yml").write_text("- name: Greet\n  ansible.builtin.debug:\n    msg: hello\n")
    for name, text in (("site.yml", SITE), ("slow.yml", SLOW), ("many.yml", MANY)):
        text = text.replace("HIDDEN_VALUE", HIDDEN).replace("NAMED_VALUE", NAMED)
        (folder / name).write_text(text)
    (folder / "hosts.ini").write_text(
        "[agents]\n"
        + "\n".join(HOSTS)
        + f"\n[agents:vars]\nansible_connection=local\nansible_python_interpreter={sys.executable}\n"
        + f"marker={folder}/marker\nmy_api_key={NAMED}\n"
    )
    (folder / "vault-password").write_text(VAULT_PASSWORD)
    (folder / "ansible.cfg").write_text(
        "[defaults]\nvault_password_file = vault-password\nretry_files_enabled = false\n"
    )
    (folder / "group_vars").mkdir()
    (folder / "group_vars/agents.yml").write_text(vaulted() + "\n")
    return folder


def environment(run_logs: Path | None, **more: str) -> dict[str, str]:
    """The environment of a run; without ``run_logs`` the run log is off."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "FLEETOPS_", "XDG_"))}
    kept.update(FLEETOPS_API_KEY=API_KEY, ANSIBLE_NOCOLOR="1", ANSIBLE_DEPRECATION_WARNINGS="false")
    # ansible-runner looks for ansible-playbook there.
    kept["PATH"] = f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"
    if run_logs is not None:
        kept.update(ANSIBLE_CALLBACKS_ENABLED="fleetops.agents.run_log", FLEETOPS_RUN_LOG_DIR=str(run_logs))
    return kept | more


def command(*arguments: str, playbook: str = "site.yml") -> list[str]:
    extra = json.dumps({"service_token": PASSED})
    return [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.ini", "-e", extra, playbook, *arguments]


def play(
    project: Path,
    run_logs: Path | None,
    *arguments: str,
    playbook: str = "site.yml",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """One ansible-playbook run to its end."""
    return subprocess.run(
        command(*arguments, playbook=playbook),
        cwd=project,
        env=environment(run_logs, **(env or {})),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def events(run_log: Path) -> list[dict[str, Any]]:
    """The events of one run log; a torn last line is an error here."""
    return [json.loads(line) for line in run_log.read_text(encoding="utf-8").splitlines()]


def only_file(run_logs: Path) -> Path:
    (found,) = run_logs.iterdir()
    return found


class Slow:
    """A run of slow.yml whose tasks all sleep; each of its workers has a session of its own."""

    def __init__(self, project: Path, run_logs: Path) -> None:
        self.controller = subprocess.Popen(
            command("-f", str(len(HOSTS)), playbook="slow.yml"),
            cwd=project,
            env=environment(run_logs),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._marks = project / "marker"
        deadline = time.monotonic() + 120
        while len(list(self._marks.glob("asleep-*"))) < len(HOSTS):
            if time.monotonic() > deadline or self.controller.poll() is not None:
                self.controller.kill()
                raise RuntimeError("slow.yml did not get all its hosts to sleep")
            time.sleep(0.05)
        self._workers = _descendants(self.controller.pid)

    def living_workers(self) -> list[int]:
        return [pid for pid, born in self._workers if (state := _state(pid)) and state[1] == born and state[0] != "Z"]

    def stop(self) -> None:
        if self.controller.poll() is None:
            self.controller.kill()
        for pid in self.living_workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.controller.wait()


def _state(pid: int | str) -> tuple[str, str, int] | None:
    """State, start time and parent of a process. See proc(5): pid (name) state ppid ... starttime is the 22nd field."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], fields[19], int(fields[1])


def _descendants(pid: int) -> list[tuple[int, str]]:
    children: dict[int, list[tuple[int, str]]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if state := _state(folder.name):
            children.setdefault(state[2], []).append((int(folder.name), state[1]))
    found = children.get(pid, [])
    for child, _born in found:
        found += children.get(child, [])
    return found


def main(folder: str) -> None:
    run_logs = Path(folder).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        project = write_project(Path(scratch) / "project")
        print("failed run, exit code", play(project, run_logs).returncode)
        print("successful run, exit code", play(project, run_logs, "-e", "what=well").returncode)
        print(
            "check run, exit code",
            play(project, run_logs, "-e", "what=well", "--check", "--limit", "agent-01").returncode,
        )
        slow = Slow(project, run_logs)
        slow.controller.kill()
        slow.stop()
        print("killed run", max(run_logs.iterdir()).name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.integration.run_log_project DIR")
    main(sys.argv[1])
