"""The installed course: where its packages are, and the command `kubeclass`.

The course's packages are `checker` and `cluster`. Other distributions have packages with these names, too. So a wheel
puts only `kubeclass` into site-packages; `kubeclass/course/` in it has the folders of the clone: checker/, cluster/,
lessons/ and labs/. `import kubeclass` puts that folder first on sys.path, so that `import checker` finds the course's
own. The command does the same for every Python that it starts, by PYTHONPATH. In a clone the folder is the clone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _course() -> Path:
    """The folder that has checker/, cluster/, lessons/ and labs/."""
    here = Path(__file__).resolve().parent
    installed = here / "course"
    return installed if installed.is_dir() else here.parent


COURSE = str(_course())
if COURSE not in sys.path:
    sys.path.insert(0, COURSE)


def main() -> None:
    """The console script. Every Python that the command starts finds the course's packages first."""
    others = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder not in ("", COURSE)]
    os.environ["PYTHONPATH"] = os.pathsep.join([COURSE, *others])
    from checker.ui.cli import main as command

    command()
