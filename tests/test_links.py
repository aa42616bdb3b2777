"""Links between the pages of the documentation, and those of the README to its site."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "examples", "findings")
PAGES = [
    *ROOT.glob("*.md"),
    *(page for folder in FOLDERS for page in ROOT.glob(f"{folder}/**/*.md")),
    ROOT / "tests" / "README.md",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SITE = PROJECT["urls"]["Documentation"]
README = ROOT / "README.md"


def text_of(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def links_of(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", text_of(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub derives from the headings; the site has the same."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def source_of(address: str) -> Path:
    """Return the page from which the site has made the one at an address."""
    name = address.removeprefix(SITE) or "index.html"
    assert name.endswith(".html"), address
    return ROOT / "docs" / f"{name.removesuffix('.html')}.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links_of(page):
        file, _, anchor = link.partition("#")
        if link.startswith(SITE):
            target = source_of(file)
        elif link.startswith("https://"):
            continue
        else:
            target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_can_be_read_anywhere() -> None:
    """The package index shows it, where relative links lead nowhere."""
    links = links_of(README)
    assert len(links) > 10
    assert [link for link in links if not link.startswith("https://")] == []


def test_the_site_stays_within_its_folder() -> None:
    """Elsewhere is nothing that the site could link to."""
    for page in (ROOT / "docs").glob("**/*.md"):
        for link in links_of(page):
            if not link.startswith("https://"):
                file = link.partition("#")[0]
                assert (page.parent / file).resolve().is_relative_to(ROOT / "docs"), (page, link)


def test_the_site_has_one_address() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
    assert site["site_url"] == SITE


def test_the_navigation_has_every_page() -> None:
    text = (ROOT / "zensical.toml").read_text()
    listed = re.findall(r'^ *\{ ".*" = "(.+\.md)" \},$', text, re.MULTILINE)
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")]
    assert sorted(listed) == sorted(pages)
