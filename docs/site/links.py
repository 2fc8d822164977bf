"""The links of a built site: where each leads."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself: it must come with the site. A link is followed only by the reader.
_FETCHED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


class _Page(HTMLParser):
    """The links of a page, with the tags that hold them, and the ids that a link can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            elif name == _FETCHED.get(tag, "href" if tag == "a" else "") and value:
                self.links.append((tag, value))


def wrong(site: Path) -> list[str]:
    """Each link to what the site does not have, each anchor that is there twice, each file fetched elsewhere."""
    pages = _pages(site)
    return sorted({told for path, page in pages.items() for told in _wrong_on(site, path, page, pages)})


def outside(site: Path) -> list[str]:
    """The addresses of other sites to which pages link, each once."""
    return sorted(
        {to for page in _pages(site).values() for tag, to in page.links if tag == "a" and urlsplit(to).scheme}
    )


def _pages(site: Path) -> dict[Path, _Page]:
    return {path: _Page(path.read_text(encoding="utf8")) for path in sorted(site.rglob("*.html"))}


def _wrong_on(site: Path, path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    where = path.relative_to(site)
    for twice in {id for id in page.ids if page.ids.count(id) > 1}:
        yield f"{where}: the anchor {twice} is there more than once"
    for tag, to in page.links:
        parts = urlsplit(to)
        if parts.scheme or parts.netloc:
            if tag != "a" and parts.scheme != "data":
                yield f"{where}: <{tag}> fetches {to}"
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        if not target.is_file() or not target.is_relative_to(site.resolve()):
            yield f"{where}: {to} is no file"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
            yield f"{where}: {to} has no such anchor"
