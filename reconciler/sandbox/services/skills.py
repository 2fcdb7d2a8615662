"""Skills over HTTP: list, show, manifest, and the platform-wide configuration of one."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.sandbox.services.catalog import SKILLS, Entry, manifest
from reconciler.sandbox.services.errors import invalid, not_found
from reconciler.sandbox.services.fields import Check, boolean, mapping
from reconciler.sandbox.services.web import Context, fixed_page, item, read_body, route

_FILTERS = {
    "scope": ("core-product", "bootstrap-reference", "ecosystem"),
    "direction": ("machine-offers", "machine-consumes"),
    "source": ("peaq", "partner", "clawhub", "external-marketplace"),
}
_CONFIG: dict[str, Check] = {"enabled": boolean, "credentials": mapping, "settings": mapping}


def routes(ctx: Context) -> list[Route]:
    return [
        route(ctx, "GET", "/skills", index),
        route(ctx, "GET", "/skills/{key}", show),
        route(ctx, "GET", "/skills/{key}/manifest", show_manifest),
        route(ctx, "PATCH", "/skills/{key}/config", configure),
    ]


async def index(ctx: Context, request: Request) -> Response:
    wanted = {name: request.query_params[name] for name in _FILTERS if name in request.query_params}
    for name, value in wanted.items():
        if value not in _FILTERS[name]:
            raise invalid(name, f"must be one of {', '.join(_FILTERS[name])}")
    found = [s for s in SKILLS.values() if all(s[name] == value for name, value in wanted.items())]
    return fixed_page(request, "skills", found)


async def show(ctx: Context, request: Request) -> Response:
    return item(_load(request))


async def show_manifest(ctx: Context, request: Request) -> Response:
    return item(manifest(_load(request)))


async def configure(ctx: Context, request: Request) -> Response:
    skill = _load(request)
    body = await read_body(ctx, request, _CONFIG)
    stored = ctx.store.get("skill_config", skill["key"]) or {
        "id": skill["key"],
        "skillKey": skill["key"],
        "providerKey": skill["providerKey"],
        "enabled": True,
        "settings": {},
        "hasCredentials": False,
    }
    # Credentials are only ever known to be there.
    stored["hasCredentials"] = bool(body.pop("credentials", {})) or stored["hasCredentials"]
    stored |= body | {"updatedAt": ctx.tick()}
    ctx.store.put("skill_config", stored)
    return item({name: value for name, value in stored.items() if name != "id"})


def _load(request: Request) -> Entry:
    skill = SKILLS.get(request.path_params["key"])
    if skill is None:
        raise not_found("skill")
    return skill
