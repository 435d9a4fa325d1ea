# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python -m console` as a user runs it: exit codes, one sentence for each mistake, and pages on loopback only."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._steps.state_folder import state_folder
from console.__main__ import main
from console.collect.progress import TerminalProgress
from console.record.rows import Cursor, RunRows
from console.record.write.store import open_store
from console.settings.environment import Settings, SettingsError, load_api, load_settings
from tests.console.support.facts import rows
from tests.simulator.running import running_simulator

ROOT = Path(__file__).resolve().parents[3]
KEY = "key-canary-5d20"


def clean(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLEETOPS_", "XDG_", "STREAMLIT_"))}
    return {**kept, **more}


def console(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=clean(**environment), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "sentence"),
    [
        ((), {}, 2, "the following arguments are required: command"),
        (("dance",), {}, 2, "invalid choice: 'dance'"),
        (("sync", "--rollouts", "0"), {}, 2, "must be a whole number from 1 to 999999999; it is '0'"),
        (("sync", "--frobnicate"), {}, 2, "unrecognized arguments: --frobnicate"),
        (("sync",), {}, 2, "FLEETOPS_API_URL is not set"),
        (("sync",), {"FLEETOPS_API_URL": "http://127.0.0.1:9"}, 2, "FLEETOPS_API_KEY is not set"),
        (("sync",), {"FLEETOPS_API_URL": "ftp://x", "FLEETOPS_API_KEY": KEY}, 2, "FLEETOPS_API_URL must look like"),
        (("sync",), {"FLEETOPS_API_URL": f"http://u:{KEY}@x", "FLEETOPS_API_KEY": KEY}, 2, "must not contain a user"),
        (("sync",), {"FLEETOPS_API_URL": "http://x", "FLEETOPS_API_KEY": f"{KEY} "}, 2, "KEY begins or ends"),
        (("sync",), {"FLEETOPS_API_URL": "http://x", "FLEETOPS_API_KEY": f"{KEY}\n"}, 2, "KEY contains a line"),
        (("sync",), {"FLEETOPS_API_URL": "http://x", "FLEETOPS_API_KEY": " "}, 2, "FLEETOPS_API_KEY is not set"),
        (("sync", "--no-api", "--no-spools"), {}, 2, "nothing to sync"),
        (("sync", "--no-api", "--interval", "3s"), {}, 2, "--interval works only with sync --follow"),
        (("sync", "--no-api", "--follow", "--interval", "3"), {}, 2, "must be a time such as 90s"),
        (("sync", "--no-api", "--follow", "--interval", "0.5s"), {}, 2, "--interval must be 1 s or more"),
        (("sync", "--no-api", "--follow", "--idle-interval", "1s"), {}, 2, "--idle-interval must not be shorter than"),
        (("sync", "--no-api", "--follow"), {"FLEETOPS_AWX_URL": "http://a"}, 2, "FLEETOPS_AWX_TOKEN is not set"),
        (("sync", "--follow", "awx"), {}, 2, "sync awx reads only once"),
        (("sync", "--no-api", "--follow", "--db", "/nowhere/console.db"), {}, 3, "The folder /nowhere"),
        (("sync", "--no-api"), {"FLEETOPS_CONSOLE_REMOVE_SPOOLS": "perhaps"}, 2, "must be true or false"),
        (("sync", "--no-api", "--db", "/nowhere/console.db"), {}, 3, "The folder /nowhere"),
        (("sync", "--no-api", "--db", "/etc/passwd"), {}, 3, "not an SQLite database"),
        (("serve", "--port", "99999"), {}, 2, "must be a port number from 0 to 65535; it is '99999'"),
    ],
)
def test_each_mistake_is_reported_in_one_sentence(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    code: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [n for n in os.environ if n.startswith(("FLEETOPS_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in {"HOME": str(tmp_path), **environment}.items():
        monkeypatch.setenv(name, value)
    try:
        returned = main(arguments)
    except SystemExit as leaving:
        returned = leaving.code
    output = capsys.readouterr()
    assert (returned, output.out) == (code, "")
    assert sentence in output.err
    assert len(output.err.splitlines()) == 1
    assert KEY not in output.err


def test_the_help_of_each_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    ([a-z]+)(?: |$)", capsys.readouterr().out, re.MULTILINE)
    assert "sync" in commands and "serve" in commands
    for command in commands:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert re.search(r"\n\n[A-Z]", capsys.readouterr().out.partition("options:")[0]), command


def test_a_given_folder_must_exist_but_the_default_one_may_be_missing(tmp_path: Path) -> None:
    done = console("sync", "--no-api", HOME=str(tmp_path))
    assert (done.returncode, "yet: no playbook run" in done.stderr) == (0, True)
    database = tmp_path / ".local/state/fleetops/console.db"
    assert database.stat().st_mode & 0o777 == 0o600
    assert database.parent.stat().st_mode & 0o777 == 0o700
    assert str(database) in done.stdout
    done = console("sync", "--no-api", "--spool", str(tmp_path / "absent"), HOME=str(tmp_path))
    assert (done.returncode, "absent does not exist" in done.stderr) == (1, True)


def test_a_sync_reports_what_it_read_and_what_it_could_not(tmp_path: Path) -> None:
    run_logs = tmp_path / "runs"
    run_logs.mkdir()
    database = tmp_path / "console.db"
    places = {"FLEETOPS_CONSOLE_DB": str(database), "FLEETOPS_RUN_LOG_DIR": str(run_logs), "HOME": str(tmp_path)}
    with running_simulator(instances=4, speed=0) as sim:
        done = console("sync", **places, **sim.environment())
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
        assert re.search(r"rollouts read \d+, targets \d+; instances audited 4, new audit events \d+\.", done.stdout)
        assert "audit of instances: 4 of 4" in done.stderr
        bad = sim.state()["instances"][0]
        sim.fault(match="/runtime/audit", instance=bad["id"], status=400, detail="broken on purpose")
        done = console("sync", "--quiet", **places, **sim.environment())
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert bad["hostname"] in line
        assert "broken on purpose" in line
        done = console("sync", "--quiet", "--no-audit", **places, **sim.environment())
        assert (done.returncode, done.stderr) == (0, "")
        assert sim.admin_key not in done.stdout
    done = console("sync", "--quiet", **places, **sim.environment(), FLEETOPS_RETRIES="0")
    assert done.returncode == 1
    assert rows(database, "SELECT count(*) > 0 AS there FROM rollouts") == [{"there": 1}]


def has_tables(database: Path) -> bool:
    return bool(rows(database, "SELECT 1 AS x FROM sqlite_master WHERE name = 'ingest_cursors'"))


def test_an_interrupted_sync_says_so_and_keeps_what_it_has_read(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with running_simulator(instances=24, speed=0) as sim:
        sim.fault(match="/runtime/audit", latency_s=2.0)
        process = subprocess.Popen(
            [sys.executable, "-m", "console", "sync", "--no-spools", "--db", str(database)],
            cwd=ROOT,
            env=clean(**sim.environment()),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A background process of a script ignores signals of the terminal, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 180
        # The journal has a call once it is answered; the audit is read next.
        read = "SELECT 1 AS x FROM ingest_cursors WHERE source = 'api' AND last_ok_at IS NOT NULL"
        while not (database.exists() and has_tables(database) and rows(database, read)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _out, complaint = process.communicate(timeout=180)
        # Of 24 instances, only those whose reads were under way at the signal were read.
        paths = [row["path"] for row in sim.journal() if "/runtime/audit" in row["path"]]
        assert len({path.removesuffix("/summary") for path in paths}) < 24
    assert process.returncode == 130
    assert "Traceback" not in complaint
    assert "Interrupted" in complaint
    assert rows(database, "SELECT count(*) > 0 AS there FROM rollout_targets") == [{"there": 1}]


def test_the_pages_are_served_on_loopback_only_and_from_any_working_directory(tmp_path: Path) -> None:
    # Only the default database may be missing.
    database = tmp_path / ".local/state/fleetops/console.db"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for foreign in ("console", "streamlit", "plotly"):
        (elsewhere / f"{foreign}.py").write_text(f"raise SystemExit('the {foreign} of the working directory')")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "console"), "serve", "--port", "0"],
        cwd=elsewhere,
        env=clean(HOME=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        first_line = process.stdout.readline()
        found = re.fullmatch(r"The console is at http://127\.0\.0\.1:(\d+) \(Ctrl-C stops it\)\.\n", first_line)
        assert found, first_line
        port = int(found[1])
        deadline = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                    assert answer.read() == b"ok"
                break
            except OSError:
                assert process.poll() is None, process.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.2)
        # Loopback has many addresses: a server that listens on all of them would answer here.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)
        taken = console("serve", "--port", str(port), HOME=str(tmp_path))
        assert taken.returncode == 2
        assert f"Port {port} of 127.0.0.1 cannot be used" in taken.stderr
        assert rows(database, "SELECT count(*) AS n FROM runs") == [{"n": 0}]
        process.send_signal(signal.SIGINT)
        assert process.wait(120) in (0, -signal.SIGINT, 130)
    finally:
        process.kill()
        process.communicate()


def test_settings_are_read_from_the_environment_and_invalid_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = {"HOME": "/home/ops"}
    assert load_settings(home) == Settings(
        database=Path("/home/ops/.local/state/fleetops/console.db"),
        run_log_dir=Path("/home/ops/.local/state/fleetops/runs"),
        run_log_dir_is_default=True,
    )
    assert load_settings({"XDG_STATE_HOME": "/var/state"}).database == Path("/var/state/fleetops/console.db")
    assert load_settings({"XDG_STATE_HOME": "relative", **home}).database.parts[1] == "home"
    named = load_settings({"FLEETOPS_CONSOLE_DB": "/a.db", "FLEETOPS_RUN_LOG_DIR": "/r", **home}, database="/b.db")
    assert (named.database, named.run_log_dir) == (Path("/b.db"), Path("/r"))
    # Without HOME, both are in the home of the account, where the run log writes.
    assert load_settings({}).run_log_dir == state_folder({}, "runs")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 9)
    with pytest.raises(SettingsError, match=r"there is no home directory, .* Set FLEETOPS_CONSOLE_DB"):
        load_settings({})
    api = {"FLEETOPS_API_URL": "https://ops.example.com", "FLEETOPS_API_KEY": KEY}
    assert KEY not in repr(load_api(api))
    assert (load_api(api).request_timeout, load_api(api).retries, load_api(api).validate_certs) == (30.0, 3, True)
    assert not load_api({**api, "FLEETOPS_VALIDATE_CERTS": "No"}).validate_certs
    gateway = load_api({**api, "FLEETOPS_EXTRA_HEADERS": json.dumps({"X-Gateway": KEY})})
    assert gateway.headers == {"X-Gateway": KEY} and KEY not in repr(gateway)
    for name, value in (
        ("FLEETOPS_RETRIES", "1.5"),
        ("FLEETOPS_RETRIES", "-1"),
        ("FLEETOPS_REQUEST_TIMEOUT", "nan"),
        ("FLEETOPS_REQUEST_TIMEOUT", "0"),
        ("FLEETOPS_VALIDATE_CERTS", "maybe"),
        ("FLEETOPS_EXTRA_HEADERS", "X-Gateway: yes"),
        ("FLEETOPS_EXTRA_HEADERS", '{"X-Gateway": true}'),
        ("FLEETOPS_CA_PATH", str(tmp_path / "absent.pem")),
    ):
        with pytest.raises(SettingsError, match=name):
            load_api({**api, name: value})


def test_runs_and_rollouts_are_listed_for_people_and_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "console.db"
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(database))
    assert main(["runs"]) == 3
    assert "There is no database" in capsys.readouterr().err
    hostile = "=site\x1b[2J\n\u00a0.yml"
    with open_store(database) as store:
        for number, (playbook, status) in enumerate([("/srv/site.yml", "successful"), (hostile, "failed")]):
            run = {"run_id": f"r{number}", "source": "callback", "status": status, "playbook": playbook}
            run |= {"started_at": 1795514400.0 + number, "ended_at": None}
            store.put_run(RunRows(run), Cursor("spool", f"f{number}", position=1), after=None)
    assert main(["runs", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(r["run_id"], r["playbook"], r["started_at"], r["ended_at"], r["hosts"]) for r in listed] == [
        ("r1", hostile, "2026-11-24T10:00:01+00:00", None, 0),
        ("r0", "/srv/site.yml", "2026-11-24T10:00:00+00:00", None, 0),
    ]
    assert main(["runs", "--format", "csv", "--limit", "1"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["run_id"], row["playbook"], row["ended_at"]) == ("r1", "'" + hostile.replace("\x1b", r"\x1b"), "")
    assert main(["runs", "--status", "failed"]) == 0
    table = capsys.readouterr().out
    head, line = table.splitlines()
    assert head.startswith("started (UTC)  ") and line.startswith("2026-11-24 10:00:01  ") and " r1 " in line
    assert "\x1b" not in table
    assert main(["runs", "--status", "successful"]) == 0
    assert "  site.yml  " in capsys.readouterr().out
    assert main(["runs", "--status", "faild", "--status", "lost"]) == 0
    note = "console: note: no runs with the status faild or lost; known statuses: failed, successful.\n"
    assert capsys.readouterr().err == note
    assert main(["rollouts"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere() -> None:
    plain, terminal = io.StringIO(), _Terminal()
    for stream in (plain, terminal):
        shown = TerminalProgress(stream)
        for done in range(1001):
            shown(done, 1000, "rollouts")
        shown(3, None, "list")
        shown.close()
    assert plain.getvalue() == "rollouts: 0 of 1,000\nrollouts: 1,000 of 1,000\nlist: 3\n"
    drawn = terminal.getvalue()
    assert drawn.endswith("list 3\n")
    assert re.search(r"\r\x1b\[Krollouts 1,000 of 1,000 \[#+\]\n", drawn)
    assert drawn.count("\r") < 20
