"""The pages of the site as Markdown in one folder, in the same order of folders as the repository.

A link from page to page stays as it is. A link to another text file of the repository leads to a page that shows the
file.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from checker.ui.study import pages as lessons
from cluster import paths
from docs.site import commands, notebook

COMMANDS, INDEX = "docs/commands.md", "index.md"  # pages that are in no file of the repository
# The pages of each part of the navigation, as they are named in the repository. The lessons come from their folder.
README = "README.md"
REFERENCE = (
    README,
    "lessons/glossary.md",
    "docs/causes.md",
    "docs/explain.md",
    COMMANDS,
    "docs/proof.md",
    "CHANGELOG.md",
)
TEACHERS = (
    *("docs/class.md", "docs/class-learner.md", "docs/class-marks.md", "docs/class-security.md"),
    *("docs/hub.md", "docs/scale.md"),
)
AUTHORS = ("docs/writing-a-lab.md", "docs/writing-a-course.md", "CONTRIBUTING.md", "SECURITY.md")

_FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1`*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
_ANCHOR = re.compile(r'^<a id="[^"]*"></a>\n+(?=#)', re.MULTILINE)
_LEXERS = {".yaml": "yaml", ".json": "json", ".py": "python"}


def navigation() -> dict[str, tuple[str, ...]]:
    """The pages of each part, as they are named in the repository."""
    own = tuple(f"lessons/{page}" for page in lessons())
    return {"Lessons": own, "Reference": REFERENCE, "For teachers": TEACHERS, "For authors": AUTHORS}


def lay(target: Path) -> None:
    """Write all pages, and the files that they need, into an empty folder.

    Raises FileNotFoundError for a link to no file.
    """
    shown: set[Path] = set()  # files that pages link to, and that are no pages
    for name in sorted(_names()):
        page = Path(name)
        text, pictures = _markdown(name)
        for picture, svg in pictures.items():
            _write(target / page.parent / "pictures" / picture, svg)
        drawn = {f"pictures/{picture}" for picture in pictures}
        _write(target / page.with_suffix(".md"), _outside_code(text, partial(_linked, page, drawn, shown)))
    for path in sorted(shown):
        if _is_picture(path):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(paths.COURSE / path, target / path)
        else:
            _write(target / f"{path}.md", _file_page(path))


def _names() -> set[str]:
    """All pages, as they are named in the repository."""
    return {INDEX, *(name for part in navigation().values() for name in part)}


def _linked(page: Path, drawn: set[str], shown: set[Path], prose: str) -> str:
    """A part of a page, with each link as it is in the site, and without the anchors that headings have anyway.

    drawn: the pictures that the page's own outputs hold. shown: gets the files that are linked to, and are no pages.
    """

    def address(link: re.Match[str]) -> str:
        if link[1] in drawn or re.match(r"[a-z]+:", link[1]):
            return link[0]
        file = (paths.COURSE / page.parent / link[1]).resolve()
        path = file.relative_to(paths.COURSE) if file.is_relative_to(paths.COURSE) else None
        if path and str(path) in _names():
            if path.suffix == ".ipynb":
                return link[1].removesuffix(".ipynb") + ".md" + _heading_anchor(link[2] or "")
            return link[1] + (link[2] or "")
        if not path or not file.is_file():
            raise FileNotFoundError(f"{page} links to {link[1]}, which is no file of the course")
        shown.add(path)
        return link[0] if _is_picture(path) else f"{link[1]}.md"

    return _LINK.sub(address, _ANCHOR.sub("", prose))


def _heading_anchor(anchor: str) -> str:
    """The site's anchor of a heading, from the one that JupyterLab gives it: `#When-a-container-ends`, percent-encoded.

    Source: https://myst-parser.readthedocs.io/en/latest/syntax/optional.html#auto-generated-header-anchors
    """
    return re.sub(r"[^\w#-]", "", unquote(anchor).lower())


def _markdown(name: str) -> tuple[str, dict[str, str]]:
    """A page's text, and the pictures that its outputs hold."""
    if name in (COMMANDS, INDEX):
        return (commands.page() if name == COMMANDS else _index()), {}
    text = (paths.COURSE / name).read_text(encoding="utf8")
    return notebook.page(json.loads(text), Path(name).name[:2]) if name.endswith(".ipynb") else (text, {})


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text with what is outside of fenced code changed."""
    done, at = "", 0
    for code in _FENCED.finditer(text):
        done += change(text[at : code.start()]) + code[0]
        at = code.end()
    return done + change(text[at:])


def _is_picture(path: Path) -> bool:
    return path.suffix in (".svg", ".png")


def _file_page(path: Path) -> str:
    """A file of the repository as a page of its own, which is in no navigation."""
    text = (paths.COURSE / path).read_text(encoding="utf8")
    return f"---\norphan: true\n---\n\n# `{path}`\n\n" + notebook.fenced(text, _LEXERS.get(path.suffix, "text")) + "\n"


def _index() -> str:
    """The first page: what is where, and the navigation of all pages."""
    text = (Path(__file__).parent / "index.md").read_text(encoding="utf8")
    for title, part in navigation().items():
        # The README has the same title as the first page.
        names = ["README <README>" if name == README else re.sub(r"\.(md|ipynb)$", "", name) for name in part]
        text += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *names, "```", ""])
    return text


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf8")
