"""The HTML report: one page that is whole, asks for nothing, and shows everybody's text as text."""

from html.parser import HTMLParser

from hypothesis import HealthCheck, given, settings
from outputs_harness import DRIFT, GOLDEN, PLAN, Data, headings, hostile, small, thousand

from reconciler.cli.render.blocks import Heading
from reconciler.cli.render.html import POLICY, render

VOID = ("meta", "br")
OURS = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "ul", "li", "br", "table", "caption",
    "tr", "th", "td", "details", "summary", "strong", "span", "code", "del", "ins",
}  # fmt: skip
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "scope", "rowspan", "open"}


class Page(HTMLParser):
    """Reads a page strictly: what is opened is closed, in order, and holds only what we write."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.path: list[str] = []
        self.words: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)
        self.close()
        assert self.path == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in OURS
        assert {name for name, _ in attrs} <= ATTRIBUTES
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in VOID:
            self.path.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.path and data.strip():
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)


def test_it_reads_well() -> None:
    words = " ".join(" ".join(Page(render(small(), PLAN)).words).split())
    assert words == (GOLDEN / "plan.html.txt").read_text().strip()


def test_a_thousand_machines_are_all_there() -> None:
    text = render(thousand(), DRIFT)
    page = Page(text)
    said = " ".join(page.words)
    assert all(f"air-{number:04}" in said and f"new name of air-{number:04}" in said for number in range(1000))
    assert "Plan: 1000 to add, 1000 to change, 0 to remove" in said
    # 1,000 rows of changes, one of what is alike, two tables' heads, and the costs of one operator and all machines.
    assert page.counts["tr"] == 1000 + 1 + 2 + 3


def test_it_asks_nobody_for_anything() -> None:
    text = render(small(), PLAN)
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in text
    assert not any(word in text for word in ("http:", "https:", "url(", "<script", "<link", "<img", "src=", "href="))
    assert "prefers-color-scheme: dark" in text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(hostile(), headings())
def test_whatever_the_names_it_stays_one_page_of_ours(data: Data, heading: Heading) -> None:
    text = render(data, heading)
    page = Page(text)
    assert text.encode()
    assert page.counts["html"] == page.counts["main"] == page.counts["h1"] == 1
