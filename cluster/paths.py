"""Where the course keeps its own files. Nothing outside these folders is written.

Nothing is written into COURSE either, other than by the commands for authors and by the tests, in a clone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cluster.files import in_one_step

# lessons/ and labs/ are in it. It is the clone, or kubeclass/course/ in site-packages: see kubeclass/__init__.py.
COURSE = Path(__file__).resolve().parent.parent


def course() -> Path:
    """The folder of the course that is studied: `KUBECLASS_COURSE`, which another author wrote, else COURSE."""
    return Path(os.environ.get("KUBECLASS_COURSE") or COURSE).absolute()


def lessons() -> Path:
    """The folder of the course's notebooks."""
    return course() / "lessons"


def labs() -> Path:
    """The folder of the course's labs: `KUBECLASS_LABS`, else labs/ of the course."""
    return Path(os.environ.get("KUBECLASS_LABS") or course() / "labs")


def _of_another_course() -> str:
    """The name of the course's folder where another author wrote the course, else ""."""
    return course().name if os.environ.get("KUBECLASS_COURSE") else ""


def is_installed() -> bool:
    """Whether the course runs from site-packages, and not from a clone."""
    return not (COURSE / "pyproject.toml").exists()


def home() -> Path:
    """What must be kept: kubeconfigs, downloaded tools, progress. `KUBECLASS_HOME`, else `~/.kubeclass`."""
    return Path(os.environ.get("KUBECLASS_HOME") or Path.home() / ".kubeclass")


def folder() -> Path:
    """The learner's folder: the copies of the lessons, and `work`.

    `KUBECLASS_FOLDER`, else the one that `kubeclass study --folder` has chosen, else `~/kubeclass`. Where a clone
    of the course is `~/kubeclass`, the default is `~/kubeclass-lessons`. Each course has a folder of its own: that of
    a course in a folder `NAME` is `~/kubeclass-NAME`.
    """
    if named := os.environ.get("KUBECLASS_FOLDER"):
        return Path(named).absolute()
    with suppress(OSError, ValueError):
        if chosen := _chosen_folder().read_text().strip():
            return Path(chosen)
    if other := _of_another_course():
        return Path.home() / f"kubeclass-{other}"
    default = Path.home() / "kubeclass"
    return Path.home() / "kubeclass-lessons" if clone_around(default) else default


def clone_around(folder: Path) -> Path | None:
    """The clone of the course that holds a folder or is that folder, also by a symbolic link; None where there is none.

    It may be another clone than the one that this code is in.
    """
    real = Path(os.path.realpath(folder))
    return next((path for path in (real, *real.parents) if _is_clone(path)), None)


def _is_clone(path: Path) -> bool:
    has_files = os.path.isfile(path / "cluster" / "versions.json") and os.path.isdir(path / "lessons")  # noqa: PTH112, PTH113
    return has_files or path in (Path(os.path.realpath(COURSE)), Path(os.path.realpath(course())))


def choose_folder(folder: Path) -> None:
    """Keep the learner's folder for later calls. Raises OSError where that fails."""
    file = _chosen_folder()
    file.parent.mkdir(parents=True, exist_ok=True)
    with in_one_step(file, 0o644) as new:
        new.write_text(f"{folder}\n")


def _chosen_folder() -> Path:
    other = _of_another_course()
    return home() / (f"learners-folder-{other}" if other else "learners-folder")


def work() -> Path:
    """The learner's files for the labs, a folder for each lab: `KUBECLASS_WORK`, or `work` in the learner's folder."""
    return Path(os.environ.get("KUBECLASS_WORK") or folder() / "work")


def progress() -> Path:
    """What the learner has reached in the course, a file in `home()`. `KUBECLASS_PROGRESS` names another one."""
    other = _of_another_course()
    default = home() / (f"progress-{other}.json" if other else "progress.json")
    return Path(os.environ.get("KUBECLASS_PROGRESS") or default)


def cache() -> Path:
    """What can be made again: built programs and images. `KUBECLASS_CACHE`, else `~/.cache/kubeclass`."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeclass"
    return Path(os.environ.get("KUBECLASS_CACHE") or default)
