"""The token of a runtime endpoint: sent to Machine Markets, and seen nowhere else."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from authority_harness import Serve
from e2e_harness import Ran, Yard

MakeYard = Callable[..., Yard]
TOKEN = "hunter2-of-the-model-server"
DECLARED = {"endpointBaseUrl": "http://10.0.0.7:8080", "authType": "bearer", "authToken": {"env": "QVAC_TOKEN"}}


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    yard.machine("air-001")["runtimeEndpoints"] = {"qvac": dict(DECLARED)}
    yard.environ["QVAC_TOKEN"] = TOKEN
    return yard


def check_discreet(yard: Yard, *runs: Ran) -> None:
    for ran in runs:
        assert TOKEN not in ran.said
    for path in yard.root.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def endpoint(yard: Yard) -> dict[str, Any]:
    (record,) = yard.records()["air-001"]
    (found,) = yard.world.items(f"/machines/{record['id']}/runtime-endpoints")
    return found


def behind(yard: Yard, serve: Serve, put: Callable[[Any], tuple[int, Any] | None]) -> None:
    """Markets behind somebody who sees every PUT, and may answer it himself."""

    def answer(method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        if method == "PUT" and (own := put(body)):
            return own
        key = {"x-api-key": headers["x-api-key"]}
        url = yard.world.info.markets_url + path
        given = httpx.request(method, url, headers=key, json=body, trust_env=False)
        return given.status_code, given.json()

    yard.manifest["services"]["markets"]["url"] = serve(answer)


def test_it_is_sent_and_never_said(yard: Yard, serve: Serve) -> None:
    bodies: list[Any] = []
    behind(yard, serve, bodies.append)
    plan, data = yard.run("plan", "-v"), yard.run("plan", "--output", "json")
    assert "authToken: (secret)" in plan.out
    applied = yard.run("apply", "--yes", "--debug", "-v")
    assert applied.code == 0, applied.said
    assert [body["authToken"] for body in bodies] == [TOKEN]
    assert endpoint(yard)["hasAuthToken"] is True
    check_discreet(yard, plan, data, applied, yard.run("journal", "list", "--all", "--output", "json"))
    yard.check_quiet()


def test_it_is_needed_to_send_and_not_to_plan(yard: Yard) -> None:
    del yard.environ["QVAC_TOKEN"]
    assert yard.run("plan").code == 0
    applied = yard.run("apply", "--yes")
    assert applied.code == 5
    assert "QVAC_TOKEN is not set" in applied.out
    yard.environ["QVAC_TOKEN"] = TOKEN
    assert yard.run("apply", "--yes").code == 0


def test_a_service_that_repeats_it_is_not_repeated(yard: Yard, serve: Serve) -> None:
    def refuse(body: Any) -> tuple[int, Any]:
        return 400, {"error": {"code": "VALIDATION_ERROR", "message": f"authToken {body['authToken']} is too short"}}

    behind(yard, serve, refuse)
    applied = yard.run("apply", "--yes", "--debug")
    assert applied.code == 5
    assert "authToken (hidden) is too short" in applied.out.replace("\n", " ")
    check_discreet(yard, applied)


def test_a_literal_is_refused_and_not_repeated(yard: Yard) -> None:
    yard.machine("air-001")["runtimeEndpoints"]["qvac"]["authToken"] = TOKEN
    ran = yard.run("validate")
    assert ran.code == 3
    assert "expected a reference to a secret" in ran.err
    assert TOKEN not in ran.said


def test_a_token_goes_with_a_way_to_show_it(yard: Yard) -> None:
    del yard.machine("air-001")["runtimeEndpoints"]["qvac"]["authType"]
    ran = yard.run("validate")
    assert ran.code == 3
    assert "`authToken` goes with `authType: api-key`" in ran.err
