"""mypy on the command, the checker, the cluster, the hub, the site, every lab, and the tests but unit tests:
`python -m tests.type_check`.

mypy takes no folder that is called 07-services for a package, and every lab has a module tasks. So each lab gets a
folder of links that is called lab_07_services, and is checked as the package kubeclass_labs.lab_07_services. One run
for all: what labs import is read once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from cluster import paths

PACKAGE = "kubeclass_labs"
LINKS = Path(".mypy_cache") / "links" / PACKAGE  # from the clone's folder: the same each time, for mypy's cache


def link_labs() -> dict[str, str]:
    """Make the links anew, to each lab's modules and its programs. Returns the folder of each lab by that of its
    links."""
    shutil.rmtree(paths.COURSE / LINKS, ignore_errors=True)
    labs = {}
    for lab in sorted((paths.COURSE / "labs").glob("[0-9][0-9]-*")):
        links = LINKS / f"lab_{lab.name.replace('-', '_')}"
        labs[str(links)] = str(lab.relative_to(paths.COURSE))
        for path in (*lab.glob("*.py"), *lab.glob("programs")):
            (paths.COURSE / links).mkdir(parents=True, exist_ok=True)
            (paths.COURSE / links / path.name).symlink_to(path)
    return labs


def main() -> int:
    """mypy's exit status. Its words name the files as they are, not the links."""
    links = link_labs()
    packages = [
        word
        for name in ("kubeclass", "checker", "cluster", "hub", "docs.site", PACKAGE)
        for word in ("--package", name)
    ]
    return max(mypy(links, *packages), mypy(links, "--explicit-package-bases", "tests"))


def mypy(links: dict[str, str], *words: str) -> int:
    """Run mypy with these words, and print what it says. Returns its exit status."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=paths.COURSE,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(LINKS.parent)},
        check=False,
    )
    said = done.stdout + done.stderr
    for link, lab in links.items():
        said = said.replace(link, lab)
    print(said, end="")
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
