"""Bad input, said clearly: one message with its place and a remedy, the right exit code, and nothing written."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from e2e_harness import Ran, Yard
from eth_account import Account

from reconciler.adapters import http_api, rpc
from reconciler.sandbox.node import free_port

MakeYard = Callable[..., Yard]
Spoil = Callable[[Yard], None]
MANIFEST, CONFIG, REFUSED, ERROR, PARTLY = 3, 3, 4, 1, 5


@dataclass(frozen=True)
class Case:
    name: str
    spoil: Spoil
    code: int
    words: tuple[str, ...]
    """What stderr must say, place and remedy included."""


def edit(change: Callable[[dict], object]) -> Spoil:  # type: ignore[type-arg]
    def spoil(yard: Yard) -> None:
        change(yard.manifest)
        yard.save()

    return spoil


def first(**values: object) -> Spoil:
    return edit(lambda m: m["machines"][0].update(values))


def text(old: str, new: str) -> Spoil:
    def spoil(yard: Yard) -> None:
        yard.save()
        assert old in yard.file.read_text()
        yard.file.write_text(yard.file.read_text().replace(old, new, 1))

    return spoil


def environment(**values: str) -> Spoil:
    def spoil(yard: Yard) -> None:
        yard.save()
        for name, value in values.items():
            yard.environ.pop(name)
            if value:
                yard.environ[name] = value

    return spoil


def key(content: str | bytes | None, mode: int = 0o600) -> Spoil:
    """The key file of the first machine."""

    def spoil(yard: Yard) -> None:
        yard.save()
        path = yard.root / "keys/air-001.key"
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)

    return spoil


def network(**values: object) -> Spoil:
    contracts = {
        "identityRegistry": "0x1000000000000000000000000000000000000001",
        "identityStaking": "0x1000000000000000000000000000000000000002",
        "machineNft": "0x1000000000000000000000000000000000000004",
    }

    def spoil(yard: Yard) -> None:
        written = {"rpcUrl": yard.world.info.rpc_url, "chainId": 31338, **values}
        written["contracts"] = {**contracts, **values.get("contracts", {})}  # type: ignore[dict-item]
        yard.manifest["network"] = written
        yard.save()

    return spoil


def no_journal(yard: Yard) -> None:
    yard.save()
    yard.journal.parent.mkdir()
    yard.journal.write_text("this is not a database, and never was one" * 50)


def torn_journal(yard: Yard) -> None:
    yard.save()
    assert yard.run("plan").code == 0
    yard.journal.parent.mkdir()
    db = sqlite3.connect(yard.journal)
    db.executescript("create table transactions (x); pragma user_version = 1")
    db.close()


def newer_journal(yard: Yard) -> None:
    yard.save()
    yard.journal.parent.mkdir()
    db = sqlite3.connect(yard.journal)
    db.execute("pragma user_version = 99")
    db.close()


def state_is_a_file(yard: Yard) -> None:
    yard.save()
    (yard.root / ".fleetctl").write_text("")


def sink_is_a_file(yard: Yard) -> None:
    (yard.root / "tokens").write_text("")
    yard.manifest["tokens"] = {"sink": {"directory": "tokens"}}
    yard.save()


def key_is_a_directory(yard: Yard) -> None:
    yard.save()
    path = yard.root / "keys/air-001.key"
    path.unlink()
    path.mkdir()


def poor(yard: Yard) -> None:
    yard.save()
    yard.world.fund(yard.operator.address, 1.5)


def pair(field: str) -> Spoil:
    return edit(lambda m: m["machines"][0]["pairings"][0].update({field: "nobody"}))


OTHER = Account.create()
FLEET = "fleet.yaml:"
CASES = [
    Case("malformed", text('"machines"', '"machines'), MANIFEST, (FLEET,)),
    Case("not a mapping", lambda y: y.file.write_text("- a\n- b\n") and None, MANIFEST, (FLEET, "mapping")),
    Case("empty", lambda y: y.file.write_text("") and None, MANIFEST, ("fleet.yaml",)),
    Case("binary", lambda y: y.file.write_bytes(b"\x00\xff\xfe") and None, MANIFEST, ("fleet.yaml",)),
    Case("no file", lambda y: y.file.unlink(missing_ok=True), MANIFEST, ("fleet.yaml",)),
    Case("wrong type", first(name=5), MANIFEST, (FLEET, "expected text, got a number", "quotes")),
    Case("unknown key", first(adress="0x"), MANIFEST, (FLEET, "unknown key `adress`", "`address`")),
    Case(
        "two of one name",
        edit(lambda m: m["machines"][1].update(name="air-001")),
        MANIFEST,
        (FLEET, "called `air-001`"),
    ),
    Case(
        "two of one address",
        edit(lambda m: m["machines"][1].update(address=m["machines"][0]["address"])),
        MANIFEST,
        (FLEET, "the address of the machine `air-001`"),
    ),
    Case(
        "two of one key",
        edit(lambda m: m["machines"][1].update(key=m["machines"][0]["key"])),
        MANIFEST,
        (FLEET, "the key of the machine `air-001`"),
    ),
    Case("unknown policy", pair("delegationPolicy"), MANIFEST, (FLEET, "`nobody`", "small")),
    Case("unknown agent", pair("agent"), MANIFEST, (FLEET, "`nobody`", "ops")),
    Case(
        "bad checksum",
        first(address="0xb53af985765031936311273599389b5B68aC9956"),
        MANIFEST,
        (FLEET, "checksum", "0xb53Af985765031936311273599389b5B68aC9956"),
    ),
    Case("zero address", first(address="0x" + "0" * 40), MANIFEST, (FLEET, "zero address")),
    Case(
        "plain http",
        edit(lambda m: m["services"]["markets"].update(url="http://markets.example.com")),
        MANIFEST,
        (FLEET, "https"),
    ),
    Case("no operator key", environment(PEAQOS_PRIVATE_KEY=""), CONFIG, ("PEAQOS_PRIVATE_KEY", "→")),
    Case("no API key", environment(PEAQOS_API_KEY=""), CONFIG, ("PEAQOS_API_KEY", "→ export PEAQOS_API_KEY")),
    Case("no url", environment(PEAQOS_ORCHESTRATION_URL=""), MANIFEST, (FLEET, "PEAQOS_ORCHESTRATION_URL")),
    Case("operator key is none", environment(PEAQOS_PRIVATE_KEY="hunter2hunter2"), CONFIG, ("not a private key", "→")),
    Case("key is a directory", key_is_a_directory, CONFIG, ("keys/air-001.key", "→")),
    Case("key readable by others", key(None, 0o644), CONFIG, ("keys/air-001.key can be read by others", "→ chmod 600")),
    Case("key of another", key("0x" + bytes(OTHER.key).hex()), CONFIG, ("belongs to " + OTHER.address, "→")),
    Case("no key at all", key("seventeen horses"), CONFIG, ("machine/air-001", "not a private key", "→")),
    Case("key of bytes", key(b"\xff\xfe\x00"), CONFIG, ("keys/air-001.key", "→")),
    Case("empty key", key(""), CONFIG, ("machine/air-001", "keys/air-001.key", "→")),
    Case(
        "a stranger's key",
        environment(PEAQOS_PRIVATE_KEY=OTHER.key.to_0x_hex()),
        REFUSED,
        ("holds 0 PEAQ and needs", "→ send at least"),
    ),
    Case("another chain", network(chainId=4242), CONFIG, ("is chain 31338; the manifest says 4242", "→")),
    Case(
        "no contract",
        network(contracts={"machineNft": "0x00000000000000000000000000000000000000AA"}),
        CONFIG,
        ("no contract at", "machineNft", "→ correct network.contracts.machineNft"),
    ),
    Case(
        "no DID there",
        network(contracts={"did": "0x00000000000000000000000000000000000000AA"}),
        CONFIG,
        ("DID precompile", "→ correct network.contracts.did"),
    ),
    Case(
        "poor",
        poor,
        REFUSED,
        ("holds 1.5 PEAQ and needs 3.4", "operator/default", "3 PEAQ bonds", "→ send at least 1.9"),
    ),
    Case(
        "over the limit",
        edit(lambda m: m.update(guards={"maxSpend": "1 PEAQ"})),
        REFUSED,
        ("guards.maxSpend allows 1 PEAQ", "→ raise guards.maxSpend"),
    ),
    Case("journal is none", no_journal, ERROR, ("journal.sqlite is not a usable journal", "→ move it away")),
    Case("journal of other shape", torn_journal, ERROR, ("journal.sqlite is not a usable journal", "→ move it away")),
    Case("newer journal", newer_journal, ERROR, ("newer fleetctl (journal version 99)", "→")),
    Case("state is a file", state_is_a_file, ERROR, (".fleetctl", "→")),
    Case("sink is a file", sink_is_a_file, CONFIG, ("tokens", "→ check tokens.sink.directory")),
]


def check(yard: Yard, code: int, words: tuple[str, ...], *given: str) -> Ran:
    before = yard.footprint()
    ran = yard.run_as_is(*given)
    assert ran.code == code, ran.said
    for word in words:
        assert word in ran.err, f"{word!r} is missing from:\n{ran.err}"
    assert "Traceback" not in ran.said
    assert "did not expect" not in ran.err
    assert yard.footprint() == before, "something was written"
    yard.check_discreet(ran)
    for secret in ("hunter2", "seventeen horses", bytes(OTHER.key).hex()):
        assert secret not in ran.said
    return ran


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_one_clear_message(new_yard: MakeYard, case: Case) -> None:
    yard = new_yard(2)
    case.spoil(yard)
    ran = check(yard, case.code, case.words, "apply", "--yes")
    said = [line for line in ran.err.splitlines() if line.startswith(("Error: ", "fleet.yaml", str(yard.file)))]
    assert len(said) == 1, ran.err


def test_contracts_that_are_mixed_up_are_named_and_nothing_is_sent(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    network(contracts={"machineNft": "0x1000000000000000000000000000000000000001"})(yard)
    assert yard.run("plan").code == ERROR
    ran = check(yard, PARTLY, (), "apply", "--yes")
    lines = [line for line in ran.out.splitlines() if line.startswith("registry/v1: blocked: ")]
    assert len(lines) == 1
    assert "machineNft" in ran.out
    assert "check network.contracts" in ran.out
    assert "Never" not in ran.out


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that says one thing to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/key-in-the-path"
    finally:
        server.shutdown()
        server.server_close()


ANSWERS = {
    "html": (200, b"<html>hello</html>"),
    "500": (500, b"oops"),
    "502 with JSON": (502, b'{"error": "bad gateway"}'),
    "401": (401, b'{"message": "no such key"}'),
    "a list": (200, b"[]"),
    "null": (200, b"null"),
    "text": (200, b'"hello"'),
    "half JSON": (200, b'{"jsonrpc": "2.0", "id": 1, "res'),
    "result of another type": (200, b'{"jsonrpc": "2.0", "id": 1, "result": {"a": [1]}}'),
    "result that is no number": (200, b'{"jsonrpc": "2.0", "id": 1, "result": "0xzz"}'),
    "error that is text": (200, b'{"jsonrpc": "2.0", "id": 1, "error": "down"}'),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One try is enough to see what is said at the end."""
    monkeypatch.setattr(rpc, "ATTEMPTS", 1)
    monkeypatch.setattr(http_api, "ATTEMPTS", 1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_node_that_is_none(new_yard: MakeYard, answer: str) -> None:
    yard = new_yard(1)
    yard.save()
    with answering(*ANSWERS[answer]) as url:
        yard.environ["PEAQOS_RPC_URL"] = url
        ran = check(yard, ERROR, ("node at http://127.0.0.1:", "→ check network.rpcUrl"), "apply", "--yes")
    assert len([line for line in ran.err.splitlines() if line.startswith("Error: ")]) == 1
    assert "key-in-the-path" not in ran.said


@pytest.mark.usefixtures("impatient")
def test_a_node_that_is_down(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.save()
    yard.environ["PEAQOS_RPC_URL"] = f"http://127.0.0.1:{free_port()}/key-in-the-path"
    for command in (["plan"], ["apply", "--yes"], ["drift"]):
        ran = check(yard, ERROR, ("no answer from the node at http://127.0.0.1:", "→ check network.rpcUrl"), *command)
        assert "key-in-the-path" not in ran.said


def spoiled_markets(yard: Yard, url: str = "", api_key: str = "") -> None:
    yard.save()
    yard.environ["PEAQOS_ORCHESTRATION_URL"] = url or yard.environ["PEAQOS_ORCHESTRATION_URL"]
    yard.environ["PEAQOS_API_KEY"] = api_key or yard.environ["PEAQOS_API_KEY"]


@pytest.mark.usefixtures("impatient")
def test_machine_markets_that_cannot_be_read(new_yard: MakeYard) -> None:
    """What is there is unknown: nothing is created, everything known before is left as it is."""
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    good = dict(yard.environ)
    yard.environ["PEAQOS_ORCHESTRATION_URL"] = f"http://127.0.0.1:{free_port()}"
    check_unreadable(yard, "no answer from Machine Markets at http://127.0.0.1:")
    yard.environ = {**good, "PEAQOS_API_KEY": "canary-api-key"}
    check_unreadable(yard, "the platform key is wrong; check what services.markets.apiKey refers to")
    for answer in ("html", "500", "401", "a list", "half JSON"):
        with answering(*ANSWERS[answer]) as url:
            yard.environ = {**good, "PEAQOS_ORCHESTRATION_URL": url}
            check_unreadable(yard, "Machine Markets")


def check_unreadable(yard: Yard, words: str) -> None:
    before = yard.footprint()
    plan, apply = yard.run("plan"), yard.run("apply", "--yes")
    assert (plan.code, apply.code) == (ERROR, PARTLY), plan.said + apply.said
    for ran in (plan, apply):
        assert "?" in ran.out
        assert words in " ".join(ran.out.split()), ran.out
        assert "Traceback" not in ran.said
        assert "canary" not in ran.said
        assert "key-in-the-path" not in ran.said
    assert yard.footprint() == before
