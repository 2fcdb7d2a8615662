"""--events: whole lines of known types, a version first, whatever becomes of the run and of the file."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from outputs_harness import PLAN, small, thousand

from reconciler.cli.event_log import event_log
from reconciler.cli.render.as_lines import TYPES, of_error, of_event, of_plan, of_result
from reconciler.core.errors import ConfigError, ManifestError, Problem
from reconciler.core.lines import LINES, Line, ResultLine
from reconciler.engine.events import Event, Stage


def written(path: Path) -> list[dict[str, Any]]:
    """Every line, checked: whole, and of a type that is described, with nothing beside what is described."""
    text = path.read_text()
    assert text.endswith("\n")
    found = [json.loads(line) for line in text.splitlines()]
    for each in found:
        line: Line = LINES.validate_python(each)
        assert line.model_dump(mode="json", by_alias=True, exclude_none=True) == each
        assert each["@timestamp"].endswith("Z")
    assert [each["@timestamp"] for each in found] == sorted(each["@timestamp"] for each in found)
    return found


def kinds(path: Path) -> list[str]:
    return [each["type"] for each in written(path)]


def test_a_plan_in_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with event_log(path, "plan") as record:
        for line in of_plan(small(), "plan"):
            record(line)
    first, *changes, total, notice, refusal = written(path)
    assert (first["type"], first["formatVersion"], first["command"]) == ("version", "1.0", "plan")
    assert [each["type"] for each in changes] == ["planned_change"] * 5
    assert changes[2]["change"] == small()["changes"][2]
    assert total["summary"] == small()["summary"]
    assert total["cost"]["operator/default"]["total"] == "2100000000000000000"
    assert (notice["@level"], refusal["@level"], refusal["code"]) == ("warn", "error", "guard.max_spend")


def test_drift_is_called_drift() -> None:
    assert {line.model_dump()["type"] for line in of_plan(thousand(), "drift")} == {"resource_drift", "change_summary"}


@pytest.mark.parametrize("stage", Stage)
def test_every_event_of_the_engine_is_a_line(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with event_log(path, "apply") as record:
        data: dict[str, object] = {"signer": "operator/default", "steps": 3} if stage is Stage.SIGNED else {}
        record(of_event(Event(stage, "machine_nft/a", "0xab", data | ({"block": 7} if stage is Stage.MINED else {}))))
    _, found = written(path)
    assert found["type"] == TYPES[stage]
    assert found["@level"] == ("error" if stage in (Stage.FAILED, Stage.UNKNOWN) else "info")


def test_results_and_errors_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    outcomes = [{"outcome": "done"}, {"outcome": "done"}, {"outcome": "failed"}]
    with event_log(path, "apply") as record:
        record(of_result({"headline": "Apply: 2 done", "outcomes": outcomes, "transactions": 1, "writes": 2}))
        for error in (ConfigError("no key", hint="set it"), ManifestError([Problem("a.yaml", 1, 2, "bad", "good")])):
            for line in of_error(error):
                record(line)
    _, applied, config, manifest = written(path)
    assert applied["outcomes"] == {"done": 2, "failed": 1}
    assert (config["code"], config["hint"]) == ("config.invalid", "set it")
    assert (manifest["where"], manifest["@message"]) == ("a.yaml:1:2", "bad")


def test_a_mistake_that_is_there_a_thousand_times_is_a_few_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with event_log(path, "plan") as record:
        for line in of_error(ManifestError([Problem("a.yaml", n, 2, "bad", "good") for n in range(1, 1001)])):
            record(line)
    _, *told = written(path)
    assert [line["@message"] for line in told] == ["bad"] * 3 + ["… and 997 more, the last at a.yaml:1000:2"]
    assert [line["where"] for line in told] == ["a.yaml:1:2", "a.yaml:2:2", "a.yaml:3:2", "a.yaml:1000:2"]
    assert {line["code"] for line in told} == {"manifest.invalid"}


def test_a_run_starts_its_file_anew_and_leaves_an_open_log_alone(tmp_path: Path) -> None:
    path, other = tmp_path / "events.jsonl", tmp_path / "log"
    for record in (100, 0):
        with event_log(path, PLAN.command) as log:
            for _ in range(record):
                log(ResultLine(message="old", exit_code=0))
    assert kinds(path) == ["version"]
    with other.open("w") as file:
        file.write("before\n")
        file.flush()
        with event_log(Path(f"/dev/fd/{file.fileno()}"), PLAN.command):
            pass
    assert other.read_text().startswith("before\n{")


@pytest.mark.parametrize("text", ["name: fleet\n", "0x" + "ab" * 32, "{}\n"])
def test_a_file_that_holds_no_events_is_not_overwritten(text: str, tmp_path: Path) -> None:
    path = tmp_path / "something"
    path.write_text(text)
    with pytest.raises(ConfigError, match="holds no events"), event_log(path, "plan"):
        pass
    assert path.read_text() == text


def test_a_named_pipe_is_read_as_it_happens(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(path.open()))
    reader.start()
    with event_log(path, "plan") as record:
        record(ResultLine(message="done", exit_code=0))
    reader.join(10)
    assert [json.loads(line)["type"] for line in read] == ["version", "result"]


def test_a_file_that_cannot_be_opened_is_said_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write events"), event_log(tmp_path / "no" / "where", "plan"):
        raise AssertionError("it went on")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_said_once_and_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with event_log(Path("/dev/full"), "apply") as record:
        record(ResultLine(message="done", exit_code=0))
    assert capsys.readouterr().err == f"Warning: /dev/full takes no more events: {os.strerror(errno.ENOSPC)}\n"


STOPPED = """\
import sys, time
from pathlib import Path
from reconciler.cli.event_log import event_log
with event_log(Path(sys.argv[1]), "apply"):
    print("ready", flush=True)
    time.sleep(30)
"""


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")])
def test_what_a_signal_ends_says_so(number: signal.Signals, name: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    process = subprocess.Popen([sys.executable, "-c", STOPPED, path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    process.communicate(timeout=10)
    assert process.returncode == -number
    assert kinds(path) == ["version", "interrupted"]
    assert written(path)[-1]["signal"] == name
