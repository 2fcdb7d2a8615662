"""An answer as Markdown, for a comment on a pull request and for a job's summary: totals first, the rest folded.

Whatever the plan, the text stays below a number of bytes; what does not fit is left out aloud and whole blocks at a
time. Names and reasons come from manifests, nodes and services: none of them formats, links, mentions or ends a fence.
"""

import re
from collections.abc import Iterator, Sequence

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
from reconciler.core.change import Action
from reconciler.core.value import Value, replace

LIMIT = 65_535
"""What a comment must stay below. GitHub counts characters; bytes are never fewer."""
TOLD, ROOM = 10, 7_000
"""How many of a kind are told above the fold, and in how many bytes."""
_SPECIAL = re.compile(r"[&<>|`*_\[\]~\\$]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_CALLING = re.compile(r"([@#]|\bGH-)(?=\w)", re.IGNORECASE)
_SIGNS = {Action.DELETE: "-", Action.CREATE: "+", Action.PARKED: " ", Action.UNMANAGED: " "}
"""What colours a line of a diff; what happens is said in words as well. All else is `!`."""


class _Fold(Value):
    """What is folded under one line: pieces that are shown whole or not at all, each of so many resources."""

    title: str
    pieces: Sequence[tuple[str, int]]
    fenced: bool

    @property
    def count(self) -> int:
        return sum(count for _, count in self.pieces)

    def within(self, room: int) -> "_Fold":
        """With those pieces only that fit in so many bytes."""
        room -= size(replace(self, pieces=()).text(self._fence())) + 1
        kept = []
        for text, count in self.pieces:
            if (needed := size(text) + 1) <= room:
                room -= needed
                kept.append((text, count))
        return replace(self, pieces=kept)

    def text(self, fence: str = "") -> str:
        fence = fence or self._fence()
        opening, closing = ([f"{fence}diff"], [fence]) if self.fenced else ([], [])
        body = [*opening, *(text for text, _ in self.pieces), *closing]
        return "\n".join([f"<details><summary>{self.title}</summary>", "", *body, "", "</details>", ""])

    def _fence(self) -> str:
        longest = max((len(run) for text, _ in self.pieces for run in re.findall("`+", text)), default=0)
        return "`" * max(3, longest + 1)


def render(data: Data, heading: Heading, limit: int = LIMIT) -> str:
    """The answer in less than `limit` bytes of UTF-8, of which what is above the fold may take 60,000."""
    told, folds = _troubles(data)
    folds += [_group(action, blocks) for action, blocks in groups(data.get("changes", ())).items()]
    above = [f"<!-- {marker(heading)} -->", f"## {escape(heading.title)}", *_sums(data), *told, *_costs(data)]
    total = sum(fold.count for fold in folds)
    link = _link(heading.url)
    room = limit - size("\n".join([*above, _cut(total, total, link), "", ""])) - 1
    kept = _fitted(folds, room)
    left = total - sum(fold.count for fold in kept)
    notice = [_cut(left, total, link), ""] if left else [link, ""] if link else []
    return "\n".join([*above, *notice, *(fold.text() for fold in kept)])


def marker(heading: Heading) -> str:
    """What tells one comment from another, so that the next run can find and replace its own."""
    name = re.sub(r"[^\w.]+|--+", "-", heading.fleet, flags=re.ASCII).strip("-")
    return f"fleetctl:{heading.command}:{name[:100]}"


def escape(text: object) -> str:
    """`text` on one line and as nothing but text: no Markdown, HTML, link, mention or reference in it."""
    calm = _CALLING.sub("\\1\u200b", line(text))
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", calm)


def size(text: str) -> int:
    return len(text.encode())


def _sums(data: Data) -> list[str]:
    network = [escape(where(data)), ""] if "network" in data else []
    # Two pairs of stars with nothing between them would be a rule across the page.
    sums = [f"**{escape(told)}**" for told in headlines(data) if told.strip()]
    return ["", *(line for told in sums for line in (told, "")), *network]


def _troubles(data: Data) -> tuple[list[str], list[_Fold]]:
    """Lists of what is wrong: their beginnings, and the rest of each to be folded."""
    above, folds = [], []
    for name, told in troubles(data).items():
        items = [f"- **{name}:** {_advised(*each)}" for each in told]
        first = _Fold("", [(item, 1) for item in items[:TOLD]], fenced=False).within(ROOM).pieces
        above += [*(text for text, _ in first), ""]
        if rest := items[len(first) :]:
            folds.append(_Fold(f"{name}: {len(rest):,} more", [(item, 1) for item in rest], fenced=False))
    return above, folds


def _advised(text: str, hint: str) -> str:
    return f"{escape(text)} → {escape(hint)}" if hint else escape(text)


def _costs(data: Data) -> list[str]:
    rows = cost_rows(data.get("cost", {}))
    if not rows:
        return []
    more = [f"| {len(rows) - TOLD:,} more |{' |' * len(COSTS)}"] if len(rows) > TOLD else []
    return [
        f"| may pay (PEAQ) | {' | '.join(COSTS.values())} |",
        f"| --- |{' ---: |' * len(COSTS)}",
        *(f"| {escape(signer)} | {' | '.join(amounts)} |" for signer, amounts in rows[:TOLD]),
        *more,
        "",
    ]


def _cut(left: int, total: int, link: str) -> str:
    text = f"> **Cut short: {left:,} of {total:,} entries are left out below**, because a comment may not be longer."
    return f"{text} The totals above count everything. {link or 'The whole is in `--output json` and `html`.'}"


def _link(url: str) -> str:
    """Nothing where the URL could be anything but one."""
    return f"[All details](<{url}>)" if re.fullmatch(r"https?://[\w./:?=&%~+-]{1,1000}", url, re.ASCII) else ""


def _group(action: Action, blocks: Sequence[Block]) -> _Fold:
    count = sum(block.count for block in blocks)
    title = f"{WORDS[action]}: {count:,} resource{'s'[: count != 1]}"
    return _Fold(title, [("\n".join(_block(action, block)), block.count) for block in blocks], fenced=True)


def _block(action: Action, block: Block) -> Iterator[str]:
    yield f"@@ {block.title} @@"
    for change in block.changes:
        said = "".join(f" ({mark})" for mark in marks(change))
        yield f"{_SIGNS.get(action, '!')} {label(change):<22}  {what(change)}{said}"
        for field in edited(change):
            name = line(field["field"])
            yield f"-     {name}: {value(field.get('before'))}"
            yield f"+     {name}: {value(field.get('after'))}{notes(field)}"


def _fitted(folds: Sequence[_Fold], room: int) -> list[_Fold]:
    """As much of each as fits. The small are not crowded out by the large: what one does not need, the next may use."""
    fitted: dict[int, _Fold] = {}
    for number in sorted(range(len(folds)), key=lambda number: size(folds[number].text())):
        fitted[number] = folds[number].within(room // (len(folds) - len(fitted)))
        room -= size(fitted[number].text()) + 1
    return [fitted[number] for number in range(len(folds))]
