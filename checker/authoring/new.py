"""`kubeclass lab new` and `kubeclass course new`: folders with one of everything, to be changed."""

from __future__ import annotations

import re
from pathlib import Path

from checker.model.catalogue import problem
from cluster import paths

TEMPLATE = Path(__file__).parent / "template"
COURSE_TEMPLATE = Path(__file__).parent / "course_template"
EXAMPLE = "first-service"  # the example in a new course: its lesson and its lab


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
    if paths.is_installed() and paths.labs().resolve().is_relative_to(paths.COURSE):
        raise problem("lab-in-package", folder=paths.labs())
    taken = sorted(paths.labs().glob(f"{number}-*"))
    if taken:
        raise problem("lab-taken", number=number, folder=taken[0])
    folder = paths.labs() / f"{number}-{name}"
    _copy_lab(TEMPLATE, folder, number, name)
    return folder


def _copy_lab(template: Path, folder: Path, number: str, name: str) -> None:
    for source in sorted(path for path in template.rglob("*") if path.is_file() and path.suffix in (".py", ".yaml")):
        target = folder / source.relative_to(template)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text().replace("NUMBER", number).replace("TITLE", _title(name)))


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()


def new_course(folder: Path) -> Path:
    """Make the folder of a new course, with one lesson and one finished lab, and return it.

    Raises Problem where the folder has files already, and where its name cannot be one. Nothing is overwritten.
    """
    name = folder.name
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise problem("no-course-name", name=name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise problem("course-taken", folder=folder)
    lab = folder / "labs" / f"01-{EXAMPLE}"
    _copy_lab(TEMPLATE, lab, "01", EXAMPLE)
    _copy_lab(COURSE_TEMPLATE / "lab", lab, "01", EXAMPLE)
    places = {
        "README.md": "README.md",
        "workflow.yml": ".github/workflows/course.yml",
        "lessons/lesson.ipynb": f"lessons/01-{EXAMPLE}.ipynb",
        "lessons/sanitize.cfg": "lessons/sanitize.cfg",
    }
    for source, target in places.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        title = _title(name if source == "README.md" else EXAMPLE)
        path.write_text((COURSE_TEMPLATE / source).read_text().replace("TITLE", title))
    (folder / ".gitignore").write_text("lessons/work/\n.ipynb_checkpoints/\n__pycache__/\nreport.xml\n")
    return folder
