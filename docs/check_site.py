"""Check a built site without the network: every link leads somewhere, and no page asks another host for anything.

python docs/check_site.py site
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {"src", "srcset", "data", "poster", "action", "formaction", "background"}
"""Attributes that make a browser ask for what they name."""
_LINKS = {"canonical", "alternate", "next", "prev", "index", "search", "author", "license"}
"""Relations of `link` elements that load nothing."""
_OUTSIDE = re.compile(r"(?:https?:)?//[\w.-]+", re.IGNORECASE)
_CSS = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


@dataclass
class _Page(HTMLParser):
    """What a page links to, loads, and can be linked to."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)
    style: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's addresses."""
        values = {name: value or "" for name, value in attrs}
        self.style = tag == "style"
        self.places |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and "href" in values:
            where = self.links if set(values.get("rel", "").split()) <= _LINKS else self.loads
            where.append(values["href"])
        for name in _LOADS & set(values):
            parts = values[name].split(",") if name == "srcset" else [values[name]]
            self.loads += [part.split()[0] for part in parts if part.split()]
        self.loads += _CSS.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Note what a style asks for."""
        if self.style:
            self.loads += _CSS.findall(data)

    def handle_endtag(self, tag: str) -> None:
        """Leave a style."""
        self.style = self.style and tag != "style"


def problems(site: Path) -> list[str]:
    """What is wrong with a site.

    Parameters
    ----------
    site : pathlib.Path
        Folder of the built site.

    Returns
    -------
    list of str
        A line a problem; none if all is well.
    """
    pages = {path.relative_to(site).as_posix(): _read(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for name, page in pages.items():
        found += [f"{name}: {load}: asks another host" for load in page.loads if _OUTSIDE.match(load)]
        inside = [
            link for link in (*page.links, *page.loads) if not urlsplit(link).scheme and not link.startswith("//")
        ]
        found += [f"{name}: {link}: {why}" for link in inside if (why := _follow(site, pages, name, link))]
    for style in sorted(site.rglob("*.css")):
        asked = _CSS.findall(style.read_text(encoding="utf-8"))
        found += [f"{style.relative_to(site).as_posix()}: {address}: asks another host" for address in asked]
    return found


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _follow(site: Path, pages: dict[str, _Page], name: str, link: str) -> str:
    """Why a link leads nowhere; empty if it does lead somewhere."""
    parts = urlsplit(link)
    target = (site / name).parent / unquote(parts.path) if parts.path else site / name
    target = target.resolve()
    if not target.is_relative_to(site.resolve()):
        return "leads out of the site"
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "no such file"
    page = pages.get(target.relative_to(site.resolve()).as_posix())
    if parts.fragment and page is not None and unquote(parts.fragment) not in page.places:
        return "no such place"
    return ""


def main() -> int:
    """Check the site that the command line names."""
    site = Path(sys.argv[1])
    found = problems(site)
    for line in found:
        print(line, file=sys.stderr)
    count = len(list(site.rglob("*.html")))
    print(f"{count} pages, {len(found)} problems")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
