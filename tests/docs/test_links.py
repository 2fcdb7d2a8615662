"""Links between the pages lead somewhere, to the very heading."""

import re
from pathlib import Path

import pytest
from docs_harness import PAGES, ROOT, name_of, slugs

_FENCES = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "bench" / "RESULTS.md"], ids=name_of)
def test_relative_links_resolve(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", _FENCES.sub("", page.read_text(encoding="utf-8")))
    broken = [link for link in _LINK.findall(text) if not _leads_somewhere(page, link)]
    assert not broken


def _leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    return target.exists() and (not anchor or (target.suffix == ".md" and anchor in slugs(target)))


def test_every_page_can_be_found_from_the_index() -> None:
    links = [(page, link.partition("#")[0]) for page in PAGES for link in _LINK.findall(page.read_text())]
    linked = {(page.parent / name).resolve() for page, name in links}
    lost = [name_of(page) for page in PAGES if page not in linked and page.name != "README.md"]
    assert not lost
