"""Endpoints: presets and `${VAR}` filled in, plain HTTP refused beyond loopback, and never shown."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reconciler.core.section import Loc
from reconciler.core.urls import is_endpoint, is_private
from reconciler.manifest.draft import Draft
from reconciler.manifest.fill import merged
from reconciler.manifest.networks import LIVE_CHAINS, PRESETS, RPC_VARIABLE, completed, written
from reconciler.manifest.problems import quoted, unknown
from reconciler.manifest.words import sort_of

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_SECRET_PLACES = frozenset({"key", "totp", "apiKey", "password"})


def settle(draft: Draft, environ: Mapping[str, str] | None) -> None:
    """Writes out the network and the URLs. Problems: presets, variables, protocols, `${…}` elsewhere."""
    for loc, text in list(_texts(draft.raw, (), _names_variable)):
        _expand(loc, text, draft, environ)
    _network(draft, environ)
    for loc, url in list(_urls(draft.raw)):
        _check_url(loc, url, draft)


def _texts(value: Any, loc: Loc, wanted: Callable[[Any], bool]) -> Iterator[tuple[Loc, str]]:
    """The texts in `value` and where they stand, of those parts that are wanted."""
    if isinstance(value, str):
        yield loc, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        if wanted(item):
            yield from _texts(item, (*loc, key), wanted)


def _names_variable(value: Any) -> bool:
    # Asked before anything is walked in detail: of all that stands in a large fleet, hardly anything does.
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any(map(_names_variable, value.values()))
    return isinstance(value, list) and any(map(_names_variable, value))


def _is_endpoint(loc: Loc) -> bool:
    return loc[:2] == ("network", "rpcUrl") or (loc[:1] == ("services",) and loc[-1] == "url")


def _expand(loc: Loc, text: str, draft: Draft, environ: Mapping[str, str] | None) -> None:
    place = draft.origins.place(loc)
    if _SECRET_PLACES.intersection(loc):
        draft.problems.add(place, "secrets are references, not values", "name the variable: `{env: NAME}`")
    elif not _is_endpoint(loc):
        draft.problems.add(
            place, "`${…}` is replaced only in `services.*.url` and `network.rpcUrl`", "write the value out"
        )
    elif environ is not None:
        _put(draft.raw, loc, _VARIABLE.sub(lambda match: _value(match, loc, draft, environ), text))


def _value(match: re.Match[str], loc: Loc, draft: Draft, environ: Mapping[str, str]) -> str:
    name, default = match[1], match[2]
    value = environ.get(name) or default
    if value is None:
        said = f"the environment variable {name} is not set"
        draft.problems.add(draft.origins.place(loc), said, f"set {name}, or write `${{{name}:-default}}`")
        return match[0]
    return value


def _put(raw: Any, loc: Loc, value: object) -> None:
    for part in loc[:-1]:
        raw = raw[part]
    raw[loc[-1]] = value


def _network(draft: Draft, environ: Mapping[str, str] | None) -> None:
    given = draft.raw.get("network")
    if isinstance(given, str):
        draft.raw["network"] = _preset(given, {}, ("network",), draft, environ)
    elif isinstance(given, dict) and "preset" in given:
        rest = {key: value for key, value in given.items() if key != "preset"}
        draft.raw["network"] = _preset(given["preset"], rest, ("network", "preset"), draft, environ)
    elif isinstance(given, dict):
        draft.raw["network"] = completed(given)
    elif "network" in draft.raw:
        hint = f"write one of {', '.join(PRESETS)}, or a mapping with rpcUrl, chainId and contracts"
        draft.problems.add(draft.origins.place(("network",)), f"expected a network, got {sort_of(given)}", hint)
        del draft.raw["network"]
    _protocol(draft)


def _preset(name: object, rest: dict[str, Any], loc: Loc, draft: Draft, environ: Mapping[str, str] | None) -> Any:
    if not isinstance(name, str) or name not in PRESETS:
        draft.problems.add(draft.origins.place(loc), *_no_preset(name))
        return written("sandbox")
    base = written(name)
    if rest.get("chainId", base["chainId"]) != base["chainId"]:
        said = f"the preset {name} is chain {base['chainId']}"
        draft.problems.add(draft.origins.place(("network", "chainId")), said, "leave chainId out, or leave preset out")
    if url := (environ or {}).get(RPC_VARIABLE):
        if base["live"]:
            draft.notices.append(f"{RPC_VARIABLE} replaces the endpoint of {name}")
        rest = {**rest, "rpcUrl": url}
    if "confirmations" in rest:
        base.pop("confirmations")
    return {**merged(rest, base), "live": base["live"]}


def _no_preset(name: object) -> tuple[str, str]:
    if isinstance(name, str) and name.isidentifier():
        return unknown("network", name, PRESETS, "there are")
    # Not shown: an endpoint may hold a password.
    return "expected the name of a network", f"write one of {quoted(PRESETS)}, or a mapping with rpcUrl and chainId"


def _protocol(draft: Draft) -> None:
    network = draft.raw.get("network")
    live = isinstance(network, dict) and (network.get("live") is True or network.get("chainId") in LIVE_CHAINS)
    if live and "protocol" not in draft.raw:
        said = "on a live network the protocol must be written out"
        draft.problems.add(
            draft.origins.place(("network",), key=True),
            said,
            "write `protocol: v2`, or `protocol: v1` for machines under peaq's legacy protocol",
        )


def _urls(raw: Mapping[str, Any]) -> Iterator[tuple[Loc, str]]:
    for root in ("network", "services"):
        for loc, text in _texts(raw.get(root), (root,), lambda value: True):
            if _is_endpoint(loc):
                yield loc, text


def _check_url(loc: Loc, url: str, draft: Draft) -> None:
    if "${" in url:
        return
    place = draft.origins.place(loc)
    if not is_endpoint(url):
        draft.problems.add(place, "not an endpoint: a URL with `https://` is expected", "write `https://…`")
    elif not is_private(url):
        draft.problems.add(place, "plain http is refused beyond this machine: anyone could read it", "use https")
