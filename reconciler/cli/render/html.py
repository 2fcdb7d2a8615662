"""An answer as one HTML page that needs nothing else: no script, no request, readable on paper and in the dark."""

from collections.abc import Iterator, Sequence
from html import escape

from reconciler.cli.render.blocks import (
    COSTS,
    WORDS,
    Block,
    Data,
    Heading,
    cost_rows,
    edited,
    groups,
    headlines,
    label,
    line,
    marks,
    notes,
    troubles,
    value,
    what,
    where,
)
from reconciler.cli.render.plan_text import STYLE
from reconciler.core.change import Action

CSS = """
:root { color-scheme: light dark; --line: #8886; --add: #1a7f37; --edit: #9a6700; --gone: #cf222e; --calm: #0969da; }
@media (prefers-color-scheme: dark) { :root { --add: #3fb950; --edit: #d29922; --gone: #f85149; --calm: #58a6ff; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
.sum { font-size: 1.15rem; font-weight: 600; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
td, li, summary { overflow-wrap: anywhere; }
td.amount, th.amount { text-align: right; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
code, del, ins { font: 13px/1.5 ui-monospace, monospace; }
del { color: var(--gone); } ins { color: var(--add); text-decoration: none; }
.mark { border: 1px solid currentColor; border-radius: .3rem; padding: 0 .35rem; font-size: .85em; }
.create { color: var(--add); } .update { color: var(--edit); } .parked, .unmanaged { color: var(--calm); }
.delete, .replace, .blocked, .trouble { color: var(--gone); }
summary { cursor: pointer; margin: .4rem 0; }
@media print { body { max-width: none; margin: 0; } details::details-content { content-visibility: visible; } }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
FEW = 25
"""Blocks of an action that are shown without being asked for."""


def render(data: Data, heading: Heading) -> str:
    """A whole document. Every text in it that is not ours is escaped, and cut where it is too long to read."""
    title = _text(heading.title)
    found = groups(data.get("changes", ()))
    body = [
        f"<h1>{title}</h1>",
        *(f'<p class="sum">{_text(text)}</p>' for text in headlines(data)),
        *([f"<p>{_text(where(data))}</p>"] if "network" in data else []),
        *_troubles(data),
        *_costs(data),
        *(part for action, blocks in found.items() for part in _group(action, blocks)),
    ]
    head = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    page = [
        f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>",
        *body,
        "</main>\n</body>\n</html>",
    ]
    return "\n".join([f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n{view}', *page])


def _text(text: object) -> str:
    return escape(line(text))


def _troubles(data: Data) -> Iterator[str]:
    for name, told in troubles(data).items():
        yield f"<h2>{name}</h2>\n<ul>"
        for text, hint in told:
            yield f"<li>{_text(text)}{f'<br>→ {_text(hint)}' if hint else ''}</li>"
        yield "</ul>"


def _costs(data: Data) -> Iterator[str]:
    if not (rows := cost_rows(data.get("cost", {}))):
        return
    yield "<table>\n<caption>What it may cost, in PEAQ</caption>"
    heads = "".join(f'<th scope="col" class="amount">{name}</th>' for name in COSTS.values())
    yield f'<tr><th scope="col">pays</th>{heads}</tr>'
    for signer, amounts in rows:
        cells = "".join(f'<td class="amount">{amount}</td>' for amount in amounts)
        yield f'<tr><th scope="row">{_text(signer)}</th>{cells}</tr>'
    yield "</table>"


def _group(action: Action, blocks: Sequence[Block]) -> Iterator[str]:
    count, sign = sum(block.count for block in blocks), STYLE[action][0]
    opened = " open" if len(blocks) <= FEW else ""
    named = f'<strong class="{action}">{sign} {WORDS[action]}</strong>'
    yield f"<details{opened}><summary>{named}: {count:,} resource{'s'[: count != 1]}</summary>"
    yield '<table>\n<tr><th scope="col">machine or name</th><th scope="col">resource</th><th scope="col">what</th></tr>'
    for block in blocks:
        yield from _rows(block)
    yield "</table>\n</details>"


def _rows(block: Block) -> Iterator[str]:
    span = f' rowspan="{len(block.changes)}"' if len(block.changes) > 1 else ""
    first = f'<th scope="row"{span}>{_names(block)}</th>'
    for change in block.changes:
        said = "".join(f' <span class="mark">{_text(mark)}</span>' for mark in marks(change))
        fields = "".join(_field(field) for field in edited(change))
        yield f"<tr>{first}<td>{_text(label(change))}</td><td>{_text(what(change))}{said}{fields}</td></tr>"
        first = ""


def _names(block: Block) -> str:
    if len(block.names) <= 3:
        return _text(block.title)
    names = ", ".join(map(_text, block.names))
    return f"<details><summary>{_text(block.title)}</summary>{names}</details>"


def _field(field: Data) -> str:
    values = f"<del>{_text(value(field.get('before')))}</del> → <ins>{_text(value(field.get('after')))}</ins>"
    return f"<br><code>{_text(field['field'])}</code>: {values}{_text(notes(field))}"
