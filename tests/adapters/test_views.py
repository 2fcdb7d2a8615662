"""Reads of contracts: one answer for all who ask the same, and asked for again where there was none."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from eth_abi.abi import encode

from reconciler.adapters.rpc import Rpc
from reconciler.adapters.views import Question, Unclear, Views
from reconciler.core.errors import Rejected, Unreachable

MULTICALL, REGISTRY = "0x" + "c" * 40, "0x" + "d" * 40
OWNER = "ownerOf(uint256)(uint256)"


class Node:
    """Answers each call with the next of `answers`; the last one for ever."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.calls = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        calls = asked if isinstance(asked, list) else [asked]
        self.calls += len(calls)
        said = [{"jsonrpc": "2.0", "id": call["id"], **self._next()} for call in calls]
        return httpx.Response(200, json=said if isinstance(asked, list) else said[0])

    def _next(self) -> dict[str, Any]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def packed(*answers: tuple[bool, bytes]) -> dict[str, Any]:
    return {"result": "0x" + encode(["(bool,bytes)[]"], [answers]).hex()}


def owner(number: int) -> Question:
    return Question("identityRegistry", REGISTRY, OWNER, (number,))


TIMEOUT = {"error": {"code": -32000, "message": "execution timeout"}}


def asked(node: Node, *rounds: list[Question], multicall: str | None = MULTICALL) -> list[list[Any]]:
    """What each round of questions, asked together, gets."""

    async def ask() -> list[list[Any]]:
        rpc = Rpc(["http://node"], transport=httpx.MockTransport(node))
        views = Views(rpc, multicall, 7)
        found = [await asyncio.gather(*map(views.ask, questions), return_exceptions=True) for questions in rounds]
        await rpc.aclose()
        return found

    return asyncio.run(ask())


def test_one_answer_for_all_who_ask() -> None:
    node = Node(packed((True, word(5)), (True, word(6))))
    assert asked(node, [owner(1), owner(2), owner(1)], [owner(2)]) == [[(5,), (6,), (5,)], [(6,)]]
    assert node.calls == 1


@pytest.mark.parametrize(
    ("multicall", "answer"), [(MULTICALL, packed((True, word(5)))), (None, {"result": "0x" + word(5).hex()})]
)
def test_that_there_was_none_holds_only_for_those_who_asked(multicall: str | None, answer: dict[str, Any]) -> None:
    node = Node(TIMEOUT, answer)
    (first, again), second, third = asked(node, [owner(1), owner(1)], [owner(1)], [owner(1)], multicall=multicall)
    assert isinstance(first, Unreachable) and first is again and "execution timeout" in first.message
    assert second == third == [(5,)]
    assert node.calls == 2


def test_a_clear_no_is_an_answer() -> None:
    node = Node(packed((False, bytes.fromhex("08c379a0") + encode(["string"], ["NotThere"]))))
    (first,), (second,) = asked(node, [owner(1)], [owner(1)])
    assert isinstance(first, Rejected) and first is second and first.reason == "NotThere"
    assert node.calls == 1


@pytest.mark.parametrize("answer", [(True, b""), (True, word(5)[:31]), (False, b"")])
def test_what_no_such_contract_would_say_is_told_from_silence(answer: tuple[bool, bytes]) -> None:
    ((found,),) = asked(Node(packed(answer)), [owner(1)])
    assert isinstance(found, Unclear)
    assert found.message.startswith("identityRegistry: ") and REGISTRY in found.hint


def test_one_failed_member_is_alone() -> None:
    node = Node(packed((True, word(5)), (True, b""), (True, word(7))))
    ((first, second, third),) = asked(node, [owner(1), owner(2), owner(3)])
    assert (first, third) == ((5,), (7,)) and isinstance(second, Unclear)
