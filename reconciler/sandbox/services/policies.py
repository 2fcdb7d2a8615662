"""Machine-wide policies: named rules that machine records refer to by id."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.sandbox.services.errors import not_found
from reconciler.sandbox.services.fields import Check, amount, boolean, nested, non_blank, nullable, strings
from reconciler.sandbox.services.store import new_id
from reconciler.sandbox.services.web import Context, item, read_body, route, stored_page

_FIELDS: dict[str, Check] = {
    "name": non_blank,
    "allowedSkillKeys": strings,
    "deniedSkillKeys": strings,
    "budgetCap": nullable(nested({"currency": non_blank, "amount": amount}, ("currency", "amount"))),
    "regionRules": strings,
    "nativeOnly": boolean,
    "handoffAllowed": boolean,
    "requiredCapabilities": strings,
}


def routes(ctx: Context) -> list[Route]:
    return [
        route(ctx, "GET", "/policies", index),
        route(ctx, "POST", "/policies", create),
        route(ctx, "PATCH", "/policies/{policy_id}", update),
    ]


async def index(ctx: Context, request: Request) -> Response:
    return stored_page(ctx, request, "policy", lambda policy: policy)


async def create(ctx: Context, request: Request) -> Response:
    body = await read_body(ctx, request, _FIELDS, ("name",))
    written = ctx.tick()
    policy = {
        "id": new_id("pol"),
        "allowedSkillKeys": [],
        "deniedSkillKeys": [],
        "budgetCap": None,
        "regionRules": [],
        "nativeOnly": False,
        "handoffAllowed": True,
        "requiredCapabilities": [],
        **body,
        "createdAt": written,
        "updatedAt": written,
    }
    ctx.store.put("policy", policy)
    ctx.audit("policy.created", "policy", policy)
    return item(policy, 201)


async def update(ctx: Context, request: Request) -> Response:
    policy = ctx.store.get("policy", request.path_params["policy_id"])
    if policy is None:
        raise not_found("policy")
    body = await read_body(ctx, request, _FIELDS)
    if body:
        policy |= body | {"updatedAt": ctx.tick()}
        ctx.store.put("policy", policy)
        ctx.audit("policy.updated", "policy", policy)
    return item(policy)
