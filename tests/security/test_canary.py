"""A canary in every place where a secret is kept, and then everything that fleetctl says and writes is searched."""

import base64
import contextlib
import io
import json
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from e2e_harness import Ran, Yard, _environment
from eth_account import Account
from hostile_harness import Answer, Pass
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from reconciler.adapters import http_api, rpc
from reconciler.cli.main import run
from reconciler.cli.options import Options
from reconciler.core.value import replace

MakeYard = Callable[..., Yard]
Serve = Callable[[Answer], str]
SHOWN = 12
"""Characters of a secret, from its beginning, that are a leak."""
COMMANDS = (
    ["validate"],
    ["plan"],
    ["plan", "-v", "--debug"],
    ["plan", "--out", "PLAN", "--sign", "--debug"],
    ["show", "PLAN", "-v", "--debug"],
    ["drift", "--output", "json"],
    ["apply", "--yes", "--debug", "-v"],
    ["apply", "PLAN", "--debug", "-v"],
    ["apply", "--yes", "--output", "json"],
    ["status", "--debug"],
    ["status", "--output", "json"],
    ["preflight", "--debug"],
    ["journal", "list"],
    ["journal", "show", "1"],
    ["journal", "list", "--output", "json"],
    ["rotate", "--all", "--debug"],
    ["rotate", "--due", "--output", "json"],
)


def forms(secret: str) -> Iterator[bytes]:
    """A secret in every guise, cut to its telling beginning."""
    bare = secret.removeprefix("0x")
    for text in (bare, bare.upper(), bare.lower(), bare.title()):
        yield text[:SHOWN].encode()
    raw = [bare.encode(), secret.encode()]
    if len(bare) == 64 and all(c in "0123456789abcdefABCDEF" for c in bare):
        raw.append(bytes.fromhex(bare))
        yield bytes.fromhex(bare)[:SHOWN]
    for data in raw:
        for encoded in (base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex().encode()):
            yield encoded[:SHOWN]


@dataclass
class Vault:
    """KV version 2, in memory. It quotes the token that it is given in its refusals."""

    token: str
    kept: dict[str, str] = field(default_factory=dict)

    async def __call__(self, request: Request) -> Response:
        if request.headers.get("x-vault-token") != self.token:
            return JSONResponse({"errors": [f"bad token {dict(request.headers)}"]}, 403)
        if request.method == "POST":
            self.kept[request.url.path] = (await request.json())["data"]["token"]
            return JSONResponse({"data": {}})
        found = self.kept.get(request.url.path)
        return JSONResponse({"data": {"data": {"token": found}}} if found else {"errors": []}, 200 if found else 404)


@dataclass
class Cage:
    """A fleet with a canary of every kind."""

    yard: Yard
    vault: Vault
    canaries: dict[str, str]
    """By what they are."""

    def watch(self, *given: str, options: Options | None = None) -> Ran:
        """Runs a command, and looks for canaries in what it said and in every file it may have written."""
        given = tuple(str(self.yard.root / "plan.json") if word == "PLAN" else word for word in given)
        ran = self.yard.run(*given) if options is None else crashed(self.yard, options, *given)
        tokens = {f"session token {name}": token for name, token in self.vault.kept.items()}
        said = {"stdout": ran.out.encode(), "stderr": ran.err.encode(), **self.written()}
        for what, secret in {**self.canaries, **tokens}.items():
            for form in forms(secret):
                for where, content in said.items():
                    assert form not in content, f"{what} as {form!r} in {where} of {given}"
        return ran

    def written(self) -> dict[str, bytes]:
        """Every file but those in which the keys are kept."""
        keys = self.yard.root / "keys"
        files = [*self.yard.root.rglob("*"), *self.yard.home.rglob("*")]
        return {str(p): p.read_bytes() for p in files if p.is_file() and keys not in p.parents}


def crashed(yard: Yard, options: Options, *given: str) -> Ran:
    yard.save()
    out, err = io.StringIO(), io.StringIO()
    with _environment(yard.environ), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(yard.arguments(*given), options)
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "ATTEMPTS", 1)
    monkeypatch.setattr(http_api, "ATTEMPTS", 1)


@pytest.fixture
def cage(new_yard: MakeYard, serve: Serve) -> Cage:
    yard = new_yard(1)
    info = yard.world.info
    password, node_key, user_password = (f"canary{secrets.token_hex(12)}" for _ in range(3))
    vault = Vault(f"hvs.canary{secrets.token_hex(12)}")
    keystore = yard.root / "keys" / "agent.json"
    keystore.write_text(json.dumps(Account.encrypt(yard.agent.key, password, iterations=2)))
    keystore.chmod(0o600)
    yard.manifest["agents"]["ops"]["key"] = {"keystore": "keys/agent.json", "password": {"env": "OPS_PASSWORD"}}
    sink = {"vault": {"address": serve(vault), "token": {"env": "VAULT_TOKEN"}}}
    yard.manifest["tokens"] = {"sink": sink}
    # The last part of the way is real; what stands before it is the key of a provider, in every place it may stand.
    node = serve(Pass(info.rpc_url, lambda _, status, body: (status, body), fixed=True))
    address = node.removeprefix("http://")
    yard.environ["PEAQOS_RPC_URL"] = f"http://user:{user_password}@{address}/v3/{node_key}?apikey={node_key}"
    yard.environ |= {"OPS_PASSWORD": password, "VAULT_TOKEN": vault.token}
    keys = {"operator": yard.operator, "agent": yard.agent, **yard.accounts}
    return Cage(
        yard,
        vault,
        {
            **{f"key of {name}": "0x" + bytes(account.key).hex() for name, account in keys.items()},
            "API key": info.api_key,
            "keystore password": password,
            "Vault token": vault.token,
            "key in the node's URL": node_key,
            "password in the node's URL": user_password,
            "basic authentication": base64.b64encode(f"user:{user_password}".encode()).decode(),
        },
    )


def test_nothing_leaks_when_all_is_well(cage: Cage) -> None:
    for given in COMMANDS:
        ran = cage.watch(*given)
        assert ran.code == 0 or given[0] in ("plan", "drift"), ran.said
    assert len(cage.vault.kept) == 1
    root, home = cage.yard.root, cage.yard.home
    for path in [*(root / ".fleetctl").rglob("*"), root / ".fleetctl", *home.rglob("locks"), *home.rglob("*.lock")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} is {mode:o}"
    assert list(home.rglob("*.lock"))
    assert list((root / ".fleetctl").glob("journal.sqlite*"))


@pytest.mark.parametrize("sink", [{"directory": "out/tokens"}, {"envFile": "out/tokens.env"}])
def test_sinks_are_private_and_the_only_place(new_yard: MakeYard, sink: dict[str, str]) -> None:
    yard = new_yard(1)
    yard.manifest["tokens"] = {"sink": sink}
    ran = yard.run("apply", "--yes", "--debug", "-v")
    assert ran.code == 0, ran.said
    (path,) = [p for p in (yard.root / "out").rglob("*") if p.is_file()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    token = path.read_text().strip().rpartition("=")[2] if "envFile" in sink else path.read_text().strip()
    others = [p.read_bytes() for p in yard.root.rglob("*") if p.is_file() and p != path]
    for form in forms(token.rpartition(".")[2]):
        assert not any(form in content for content in (ran.said.encode(), *others))


def echo(status: int) -> Answer:
    """Quotes whatever it is sent, in the words of both kinds of service."""

    async def answer(request: Request) -> Response:
        heard = f"{request.url} {dict(request.headers)} {(await request.body()).decode()}"
        error = {"code": request.headers.get("x-api-key") or heard[:40], "message": f"{'.' * 250}{heard}"}
        return JSONResponse({"jsonrpc": "2.0", "id": 1, "error": error, "item": {}, "items": []}, status)

    return answer


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("status", [200, 401])
def test_nothing_leaks_through_an_echo(cage: Cage, serve: Serve, status: int) -> None:
    yard, good = cage.yard, dict(cage.yard.environ)
    mirror = serve(echo(status))
    for name in ("PEAQOS_ORCHESTRATION_URL", "PEAQOS_RPC_URL"):
        path = good[name].partition("://")[2].partition("@")[2].partition("/")[2] if "RPC" in name else ""
        credentials = good[name].partition("://")[2].partition("@")[0] + "@" if "RPC" in name else ""
        yard.environ = {**good, name: mirror.replace("://", f"://{credentials}") + f"/{path}"}
        for given in (
            ["plan", "--debug"],
            ["apply", "--yes", "--debug"],
            ["status", "--output", "json"],
            ["preflight"],
        ):
            assert "Traceback" not in cage.watch("--timeout", "2", *given).said


@pytest.mark.usefixtures("impatient")
def test_nothing_leaks_when_nobody_answers_or_a_secret_is_wrong(cage: Cage) -> None:
    yard, good = cage.yard, dict(cage.yard.environ)
    node = good["PEAQOS_RPC_URL"]
    wrong = {
        "PEAQOS_RPC_URL": [
            node.replace(node.rpartition("@")[2].partition("/")[0], "127.0.0.1:9"),
            node.replace("http:", "ftp:"),
            node.replace("127.0.0.1", "example.com"),
            node.replace("@127.0.0.1:", ":"),
        ],
        "PEAQOS_ORCHESTRATION_URL": ["http://127.0.0.1:9/canary-of-a-path"],
        "PEAQOS_PRIVATE_KEY": [good["PEAQOS_PRIVATE_KEY"] + "00", good["PEAQOS_PRIVATE_KEY"][:-1], "0x" + "f" * 64],
        "OPS_PASSWORD": [good["OPS_PASSWORD"][:-1]],
        "VAULT_TOKEN": [good["VAULT_TOKEN"][:-1], good["VAULT_TOKEN"] + "\nX: y", good["VAULT_TOKEN"] + "é"],
        "PEAQOS_API_KEY": [
            good["PEAQOS_API_KEY"][:-1],
            good["PEAQOS_API_KEY"] + "\nX: y",
            good["PEAQOS_API_KEY"] + "é",
        ],
    }
    for name, values in wrong.items():
        for value in values:
            yard.environ = {**good, name: value}
            ran = cage.watch("--timeout", "2", "apply", "--yes", "--debug")
            assert ran.code, (name, ran.said)
            assert "did not expect" not in ran.said, (name, ran.said)


def test_a_secret_in_the_manifest_is_refused_and_not_shown(cage: Cage) -> None:
    yard = cage.yard
    key = cage.canaries["key of operator"]
    good = json.dumps(yard.manifest)
    places: list[Callable[[dict[str, Any]], Any]] = [
        lambda m: m["operator"].update(key=key),
        lambda m: m["operator"].update(key={"env": key}),
        lambda m: m["operator"].update(key={"value": key}),
        lambda m: m["operator"].update(totp=cage.canaries["keystore password"]),
        lambda m: m["services"]["markets"].update(apiKey=cage.canaries["API key"]),
        lambda m: m["agents"]["ops"]["key"].update(password=cage.canaries["keystore password"]),
        lambda m: m["tokens"]["sink"]["vault"].update(token=cage.canaries["Vault token"]),
        lambda m: m.update(network=yard.environ["PEAQOS_RPC_URL"]),
        lambda m: m["machines"][0].update(address=key),
    ]
    written = cage.written

    def without_the_manifest() -> dict[str, bytes]:
        return {name: content for name, content in written().items() if name != str(yard.file)}

    cage.written = without_the_manifest  # type: ignore[method-assign]
    for place in places:
        yard.manifest = json.loads(good)
        place(yard.manifest)
        for given in (["validate", "--debug"], ["plan", "--debug"], ["validate", "--output", "json"]):
            assert cage.watch(*given).code == 3


class Loud:
    """Stands before a port of the engine. What it is asked to do it does not, and says too much about it."""

    def __init__(self, inner: Any, name: str, words: str) -> None:
        self._inner, self._name, self._words = inner, name, words

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            raise RuntimeError(self._words)
        return getattr(self._inner, name)


CRASHES = (
    ("keyring", "address"),
    ("chain", "fees"),
    ("keyring", "sign_transaction"),
    ("journal", "signed"),
    ("api", "send"),
    ("keyring", "sign_message"),
    ("sink", "write"),
)
"""In the order in which an apply comes by them."""


def test_nothing_leaks_from_a_crash(cage: Cage) -> None:
    words = " ".join(cage.canaries.values())
    for port, name in CRASHES:

        def around(world: Any, port: str = port, name: str = name) -> Any:
            return replace(world, **{port: Loud(getattr(world, port), name, words)})

        ran = cage.watch("--timeout", "5", "apply", "--yes", "--debug", options=Options(around=around))
        assert ran.code, ran.said
        assert "RuntimeError" in ran.said, (port, name, ran.said)
