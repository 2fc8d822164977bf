"""`kubeclass lab new`: a lab's folder with one of everything, commented, to be changed."""

from __future__ import annotations

import re
from pathlib import Path

from checker.grading.labs import labs_folder
from checker.model.catalogue import problem
from cluster import paths

TEMPLATE = Path(__file__).parent / "template"


def new_lab(number: str, name: str) -> Path:
    """Make the folder of a new lab, a draft, and return it.

    number: "17". name: words with hyphens between them, such as "scaling".
    Raises Problem for a number or a name that cannot be one, and for a number that is taken. Nothing is overwritten.
    Raises Problem for the labs of an installed course, too: nothing is written into site-packages.
    """
    if not re.fullmatch(r"\d\d", number):
        raise problem("no-lab-number", number=number)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise problem("no-lab-name", name=name)
    if paths.is_installed() and labs_folder().resolve().is_relative_to(paths.COURSE):
        raise problem("lab-in-package", folder=labs_folder())
    taken = sorted(labs_folder().glob(f"{number}-*"))
    if taken:
        raise problem("lab-taken", number=number, folder=taken[0])
    folder = labs_folder() / f"{number}-{name}"
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and path.suffix in (".py", ".yaml")):
        target = folder / source.relative_to(TEMPLATE)
        target.parent.mkdir(parents=True, exist_ok=True)
        title = name.replace("-", " ").capitalize()
        target.write_text(source.read_text().replace("NUMBER", number).replace("TITLE", title))
    return folder
