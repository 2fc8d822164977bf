"""Build the site: `python -m docs.site`. Exit status: 0 built, and every link is right; 1 not."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from cluster import paths
from docs.site import links, pages

BUILD = paths.COURSE / "build" / "site"


def main() -> int:
    source, html = BUILD / "source", BUILD / "html"
    shutil.rmtree(BUILD, ignore_errors=True)
    pages.lay(source)
    # -W --keep-going: every warning is shown, and each makes the build fail. -E: nothing of an earlier build is used.
    where = ["-b", "html", "-c", str(Path(__file__).parent), "-d", str(BUILD / "doctrees"), str(source), str(html)]
    if sphinx(["-q", "-E", "-W", "--keep-going", "-j", "auto", *where]):
        return 1
    if wrong := links.wrong(html):
        print(*wrong, f"{len(wrong)} links are wrong.", sep="\n", file=sys.stderr)
        return 1
    outside = links.outside(html)
    (BUILD / "external-links.txt").write_text("\n".join(outside) + "\n", encoding="utf8")
    print(f"The site: {html / 'index.html'}")
    print(f"{len(outside)} links to other sites, which were not followed: {BUILD / 'external-links.txt'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
