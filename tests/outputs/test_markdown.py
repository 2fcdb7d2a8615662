"""Markdown for a comment: totals first, never too long, and nobody's text but ours is more than text."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from outputs_harness import APPLY, GOLDEN, NASTY, PLAN, Data, change, field, headings, hostile, plan, small, thousand

from reconciler.cli.render.blocks import Heading
from reconciler.cli.render.errors import error_data
from reconciler.cli.render.markdown import LIMIT, escape, marker, render, size
from reconciler.core.change import Action
from reconciler.core.errors import ManifestError, Problem

READER = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])
OURS = re.compile(r"(<!-- fleetctl:\w+:[\w.-]* -->|<details><summary>[\w ,:]+</summary>|</details>)\n*")


def tokens(text: str) -> Iterator[Token]:
    for token in READER.parse(text):
        yield token
        yield from token.children or ()


def test_a_thousand_changed_machines_fit_and_the_totals_are_right() -> None:
    data = thousand()
    text = render(data, PLAN)
    assert size(text) < LIMIT
    lines = text.splitlines()
    assert lines[0] == "<!-- fleetctl:plan:berlin-air -->"
    assert "**Plan: 1000 to add, 1000 to change, 0 to remove**" in lines[:8]
    assert "| operator/default | 1000 | 0 | 0 | 1 | 1001 |" in lines
    assert "| 1,000 machine wallets | 0 | 0 | 0 | 1 | 1 |" in lines
    assert "<details><summary>change: 1,000 resources</summary>" in lines
    assert "<details><summary>create: 1,000 resources</summary>" in lines
    # What is left out is counted: what is shown and what is not are all there is.
    left, total = map(int, re.findall(r"Cut short: ([\d,]+) of ([\d,]+)", text.replace(",", ""))[0])
    shown = text.count("! machine_record") + 1000 * text.count("air-0000 … air-0999 (1,000 alike, each:)")
    assert (left, total) == (2000 - shown, 2000)
    assert shown > 300


def test_a_plan_that_fits_is_whole_and_says_nothing_of_cuts() -> None:
    changes = [change(f"machine_nft/air-{n}", Action.CREATE) for n in range(1000)]
    text = render(plan(*changes), PLAN)
    assert "Cut short" not in text
    assert "@@ air-0 … air-999 (1,000 alike, each:) @@" in text
    assert size(text) < 600


def test_as_much_is_shown_as_fits() -> None:
    text = render(thousand(), PLAN)
    assert LIMIT - 300 < size(text) < LIMIT
    assert size(render(thousand(), PLAN, limit=1024 * 1024)) > LIMIT
    assert "Cut short" not in render(thousand(), PLAN, limit=1024 * 1024)


def test_whoever_looks_for_the_whole_is_told_where_it_is() -> None:
    url = "https://github.example/org/repo/actions/runs/7"
    assert f"[All details](<{url}>)" in render(thousand(), Heading("plan", "berlin-air", url))
    assert "`--output json`" in render(thousand(), PLAN)
    assert "javascript" not in render(thousand(), Heading("plan", "berlin-air", "javascript:alert(1)"))


def test_it_reads_well() -> None:
    assert render(small(), PLAN) == (GOLDEN / "plan.md").read_text()


def test_an_apply_tells_first_what_is_left() -> None:
    outcome = {"action": "create", "hint": "fund it"}
    outcomes = [
        {"address": "machine_did/a", "outcome": "skipped", "reason": "waits for machine_nft/a", **outcome},
        {"address": "machine_nft/a", "outcome": "failed", "reason": "it reverts", **outcome},
        {"address": "machine_nft/b", "outcome": "done", "reason": "", **outcome},
    ]
    result = {"headline": "Apply: 1 done, 1 failed", "outcomes": outcomes, "unsettled": []}
    text = render(plan(result=result), APPLY)
    failed, skipped = text.index("machine&#95;nft/a: failed: it reverts → fund it"), text.index("did/a: skipped")
    assert text.index("**Apply: 1 done, 1 failed**") < failed < skipped
    assert "machine&#95;nft/b" not in text


def test_problems_of_a_manifest_are_listed_at_their_places() -> None:
    problems = [
        {"file": "fleet.yaml", "line": n, "column": 5, "message": "unknown key `x`", "hint": "did you mean y?"}
        for n in range(1, 31)
    ]
    error = {"code": "manifest.invalid", "message": "", "where": "", "hint": "", "problems": problems}
    text = render({"formatVersion": "1.0", "error": error, "exitCode": 3}, PLAN)
    assert text.startswith("<!-- fleetctl:plan:berlin-air -->\n")
    assert "- **Invalid:** fleet.yaml:1:5: unknown key &#96;x&#96; → did you mean y?\n" in text
    assert text.count("- **Invalid:**") == 30
    assert "<details><summary>Invalid: 20 more</summary>" in text


def test_what_is_left_of_a_sort_of_problems_is_counted() -> None:
    error = ManifestError([Problem("fleet.yaml", n, 5, "bad", "mend it") for n in range(1, 10_001)])
    text = render(error_data(error), PLAN)
    assert "- **Invalid:** fleet.yaml:3:5: bad → mend it\n- **Invalid:** … and 9,997 more, the last at " in text
    assert text.count("- **Invalid:**") == 4


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(hostile(), headings())
def test_whatever_the_names_it_stays_short_and_nothing_escapes(data: Data, heading: Heading) -> None:
    text = render(data, heading)
    assert size(text) < LIMIT
    assert text.startswith(f"<!-- {marker(heading)} -->\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    opened = closed = 0
    for token in tokens(text):
        if token.type in ("html_block", "html_inline"):
            assert OURS.fullmatch(token.content), token.content
            opened, closed = opened + token.content.count("<details>"), closed + token.content.count("</details>")
        if token.type == "fence":
            assert token.info == "diff"
            assert token.markup not in token.content
            # Nothing of ours is inside: a fence that took too much would hold the end of its fold.
            assert not re.search("^(</?details|## fleetctl)", token.content, re.MULTILINE)
        if token.type == "text":
            assert not re.search(r"[@#]\w|\bGH-\d", token.content, re.IGNORECASE), token.content
        if token.type == "link_open":
            assert re.fullmatch(r"https?://[\w./:?=&%~+-]+", str(token.attrs["href"]), re.ASCII)
        assert token.type not in ("image", "em_open", "code_block", "hr", "ordered_list_open", "s_open")
        assert token.type != "heading_open" or token.tag == "h2"
    assert opened == closed
    assert sum(token.type == "heading_open" for token in tokens(text)) == 1


@given(NASTY)
def test_what_is_escaped_is_shown_as_it_was(text: str) -> None:
    shown = "".join(token.content for token in tokens(f"- x {escape(text)} x") if token.type == "text")
    assert "<" not in escape(text)
    if re.fullmatch(r"[!-~]{1,200}", text):
        assert shown.replace("\u200b", "") == f"x {text} x"


@pytest.mark.parametrize("text", ["https://evil.example", "www.evil.example", "HTTP://evil.example"])
def test_no_address_becomes_a_link(text: str) -> None:
    assert not re.search(r"(://|www\.)", escape(text), re.IGNORECASE)


@given(st.integers(1, 400), st.integers(1, 3))
def test_fences_are_longer_than_anything_in_them(length: int, times: int) -> None:
    runs = [change("thing/a", Action.UPDATE, field("x", "`" * length, "\n" + "`" * length)) for _ in range(times)]
    fences = [token for token in tokens(render(plan(*runs), PLAN)) if token.type == "fence"]
    assert len(fences) == 1
    assert fences[0].markup not in fences[0].content
    assert fences[0].content.count("+     x:") == times
