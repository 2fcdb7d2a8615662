"""Every place a token can go: private, whole, found again where that is possible, and never shown."""

import hashlib
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from authority_harness import Serve
from e2e_harness import Yard
from kinds_harness import KINDS, named

from reconciler.adapters.sinks import ActionsSink, CommandSink, DirectorySink, EnvFileSink, variable_of
from reconciler.adapters.vault import VaultSink
from reconciler.core.errors import ConfigError, ManifestError
from reconciler.core.ports import Stored
from reconciler.manifest.parse import load

NAME, TOKEN = "air-001/ops", "eyJhbGciOiJIUzI1NiJ9.canary.4fX9"
ABSENT, UNREADABLE = Stored(readable=True), Stored(readable=False)


def kept(token: str) -> Stored:
    return Stored(True, hashlib.sha256(token.encode()).hexdigest(), token[-4:])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- files


def test_a_directory_holds_private_files(tmp_path: Path) -> None:
    sink = DirectorySink(tmp_path / "tokens")
    assert sink.stored(NAME) == ABSENT
    sink.check()
    assert list((tmp_path / "tokens").iterdir()) == []
    sink.write(NAME, TOKEN)
    path = tmp_path / "tokens" / "air-001.ops.token"
    assert (path.read_text(), mode(path), mode(path.parent)) == (TOKEN + "\n", 0o600, 0o700)
    assert sink.stored(NAME) == kept(TOKEN)
    assert sink.stored("air-001/other") == ABSENT


def test_an_env_file_keeps_what_else_it_says(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "fleet.env"
    path.parent.mkdir()
    path.write_text("# written by hand\nAIR_001_OPS_TOKEN_OLD=1\nAIR_001_OPS_TOKEN=old\nOTHER=a=b\n")
    path.chmod(0o644)
    sink = EnvFileSink(path)
    assert sink.stored(NAME) == kept("old")
    sink.check()
    sink.write(NAME, TOKEN)
    sink.write("air-002/ops", "second")
    assert path.read_text().splitlines() == [
        "# written by hand", "AIR_001_OPS_TOKEN_OLD=1", "OTHER=a=b",
        f"AIR_001_OPS_TOKEN={TOKEN}", "AIR_002_OPS_TOKEN=second",
    ]  # fmt: skip
    assert mode(path) == 0o600
    assert (sink.stored(NAME), sink.stored("air-002/ops"), sink.stored("air-3/ops")) == (
        kept(TOKEN), kept("second"), ABSENT,
    )  # fmt: skip
    assert [p.name for p in path.parent.iterdir()] == ["fleet.env"]  # no temporary file is left


@pytest.mark.parametrize("make", [EnvFileSink, lambda path: DirectorySink(path.parent)])
def test_a_reader_sees_the_old_or_the_new_and_never_half(
    tmp_path: Path, make: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "air-001.ops.token"
    sink = make(path)
    sink.write(NAME, "old")
    before = path.read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reconciler.adapters.sinks.os.fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        sink.write(NAME, TOKEN)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_many_threads_lose_no_line_of_an_env_file(tmp_path: Path) -> None:
    sink = EnvFileSink(tmp_path / "fleet.env")
    names = [f"air-{number:03}/ops" for number in range(60)]
    start = threading.Barrier(12)

    def write(share: list[str]) -> None:
        start.wait()
        for name in share:
            sink.write(name, f"token of {name}")

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(write, [names[i::12] for i in range(12)]))
    assert [sink.stored(name) for name in names] == [kept(f"token of {name}") for name in names]
    assert len((tmp_path / "fleet.env").read_text().splitlines()) == len(names)


@pytest.mark.parametrize("make", [EnvFileSink, DirectorySink])
def test_a_place_that_cannot_be_written_is_told_by_the_check(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write tokens"):
        make(tmp_path / "file" / "below").check()


# --- a command


def test_a_command_gets_the_token_on_its_standard_input(tmp_path: Path) -> None:
    seen = 'tr "\\0" " " < /proc/$$/cmdline > seen'
    sink = CommandSink(f'cat > "got-$(echo $FLEETCTL_TOKEN_NAME | tr / -)"; {seen}', tmp_path)
    sink.check()
    assert list(tmp_path.iterdir()) == []
    sink.write(NAME, TOKEN)
    assert (tmp_path / "got-air-001-ops").read_text() == TOKEN
    assert TOKEN not in (tmp_path / "seen").read_text()  # nor is it among what everybody can list
    assert sink.stored(NAME) == UNREADABLE


def test_what_a_failing_command_says_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failed:
        CommandSink("tee /dev/stderr; exit 7", tmp_path).write(NAME, TOKEN)
    assert "exit code 7" in failed.value.message
    assert TOKEN not in f"{failed.value!r} {failed.value.hint} {failed.value.__cause__!r}"


# --- Vault


class Vault:
    """KV version 2 mounted at `kv`, as its documented API has it."""

    def __init__(self) -> None:
        self.secrets: dict[str, list[dict[str, Any] | None]] = {}
        self.sealed = False

    def __call__(self, method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if headers.get("x-vault-token") != "s.right":
            return 403, {"errors": ["permission denied"]}
        if not path.startswith("/v1/kv/data/"):
            return 404, {"errors": [f'no handler for route "{path.removeprefix("/v1/")}". route entry not found.']}
        name = path.removeprefix("/v1/kv/data/")
        versions = self.secrets.setdefault(name, [])
        if method in ("POST", "PUT"):
            versions.append(body["data"])
            return 200, {"data": {"version": len(versions), "created_time": "2026-01-01T00:00:00Z", "destroyed": False}}
        if not versions:
            return 404, {"errors": []}
        metadata = {"version": len(versions), "destroyed": False}
        if versions[-1] is None:
            return 404, {"data": {"data": None, "metadata": {**metadata, "deletion_time": "2026-01-01T00:00:00Z"}}}
        return 200, {"data": {"data": versions[-1], "metadata": {**metadata, "deletion_time": ""}}}


def test_vault_holds_versions_and_gives_the_last(serve: Serve) -> None:
    vault = Vault()
    sink = VaultSink(serve(vault) + "/", "kv", "fleet/berlin/", lambda: "s.right")
    sink.check()
    assert sink.stored(NAME) == ABSENT
    for token in ("first", TOKEN):
        sink.write(NAME, token)
        assert sink.stored(NAME) == kept(token)
    versions = vault.secrets["fleet/berlin/air-001/ops"]
    assert versions == [{"token": "first"}, {"token": TOKEN}]
    versions.append(None)  # somebody deletes the last version
    assert sink.stored(NAME) == ABSENT
    sink.check()
    versions.append({"another": "field"})
    assert sink.stored(NAME) == UNREADABLE


def test_vault_that_cannot_be_used_is_told_and_never_taken_for_empty(serve: Serve) -> None:
    vault = Vault()
    url = serve(vault)
    cases = [
        (VaultSink(url, "kv", "fleet", lambda: "s.wrong"), "refuses our token"),
        (VaultSink(url, "nowhere", "fleet", lambda: "s.right"), "nothing is mounted at nowhere"),
        (VaultSink("http://127.0.0.1:9", "kv", "fleet", lambda: "s.right"), "ConnectError"),
    ]
    for sink, why in cases:
        with pytest.raises(ConfigError, match=why):
            sink.check()
        with pytest.raises(ConfigError, match=r"Vault at http://127\.0\.0\.1") as failed:
            sink.write(NAME, TOKEN)
        assert TOKEN not in str(failed.value)
        assert sink.stored(NAME) == UNREADABLE
    vault.sealed = True
    sealed = VaultSink(url, "kv", "fleet", lambda: "s.right")
    with pytest.raises(ConfigError, match="it answered 503"):
        sealed.check()
    assert sealed.stored(NAME) == UNREADABLE


# --- GitHub Actions


def test_an_output_is_masked_before_it_is_written(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_text("earlier=1\n")
    said: list[tuple[str, str]] = []
    sink = ActionsSink({"GITHUB_OUTPUT": str(output)}, lambda line: said.append((line, output.read_text())))
    sink.check()
    sink.write(NAME, TOKEN)
    assert said == [(f"::add-mask::{TOKEN}", "earlier=1\n")]
    assert output.read_text() == f"earlier=1\nAIR_001_OPS_TOKEN={TOKEN}\n"
    assert sink.stored(NAME) == UNREADABLE


@pytest.mark.parametrize("environ", [{}, {"GITHUB_OUTPUT": ""}, {"GITHUB_OUTPUT": "/nonexistent/output"}])
def test_outside_of_a_step_the_check_says_so(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="GITHUB_OUTPUT"):
        ActionsSink(environ, print).check()


# --- names and choice


def test_variables_are_fit_for_any_shell() -> None:
    assert variable_of("air-001/ops.night") == "AIR_001_OPS_NIGHT_TOKEN"


MANIFEST = """\
apiVersion: fleetctl/v1
kind: Fleet
name: test
network: sandbox
services: {{markets: {{url: "http://127.0.0.1:9"}}}}
operator: {{address: "@op", key: {{env: KEY}}}}
agents: {{ops: {{address: "@agent", provider: x}}, o_s: {{address: "@agent2", provider: x}}}}
{tokens}
defaults: {{market: {{machineType: sensor, runtimeProfile: linux}}}}
machines:
  - {{name: air-1, address: "@m1", pairings: [{{agent: ops, role: ops}}]}}
  - {{name: {second}, address: "@m2", pairings: [{{agent: ops, role: ops}}]}}
"""


def problems(tmp_path: Path, second: str = "air-2", tokens: str = "") -> list[tuple[int, str]]:
    path = tmp_path / "fleet.yaml"
    path.write_text(named(MANIFEST.format(second=second, tokens=tokens)))
    try:
        load(path, KINDS, None)
    except ManifestError as error:
        return [(problem.line, problem.message) for problem in error.problems]
    return []


def test_two_tokens_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    assert problems(tmp_path) == []
    ((line, message),) = problems(tmp_path, second="air_1")
    assert line == 12
    assert "under the same name" in message
    assert "under the same name" not in str(problems(tmp_path, second="air-1"))  # that is two of one name


def test_exactly_one_sink_is_chosen(tmp_path: Path) -> None:
    assert problems(tmp_path, tokens="tokens: {sink: {envFile: tokens.env}}") == []
    for sink in ("{envFile: a, directory: b}", "{}", "{githubOutput: true, command: cat}"):
        ((line, message),) = problems(tmp_path, tokens=f"tokens: {{sink: {sink}}}")
        assert line == 8
        assert "exactly one of" in message
    plain = 'tokens: {sink: {vault: {address: "http://vault.example.com", token: {env: VAULT_TOKEN}}}}'
    ((line, _),) = problems(tmp_path, tokens=plain)  # a token never travels in the clear
    assert line == 8


def test_an_apply_delivers_to_vault_and_finds_it_again(new_yard: Callable[..., Yard], serve: Serve) -> None:
    yard, vault = new_yard(1), Vault()
    yard.environ["VAULT_TOKEN"] = "s.right"
    sink = {"address": serve(vault), "mount": "kv", "token": {"env": "VAULT_TOKEN"}}
    yard.manifest["tokens"] = {"sink": {"vault": sink}}
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    ((content, *none),) = (v for name, v in vault.secrets.items() if name == "fleetctl/air-001/ops")
    assert not none
    assert content is not None
    assert yard.search(content["token"]) == 201
    assert content["token"] not in ran.said
    assert yard.run("plan", "--detailed-exitcode").code == 0
    yard.environ["VAULT_TOKEN"] = "s.wrong"
    assert yard.run("plan", "--detailed-exitcode").code == 0  # what cannot be read is not missing
    refused = yard.run("rotate", "--all")
    assert refused.code == 3, refused.said
    assert yard.search(content["token"]) == 201
