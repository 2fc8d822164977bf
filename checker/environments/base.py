"""What every environment offers (Environment), and how a lab's scripts are run in one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from checker.grading.labs import Lab
from checker.model.catalogue import problem
from checker.model.state import State
from cluster.process import DidNotEnd, finish

if TYPE_CHECKING:
    from checker.collect.watch import Watch


class Environment(Protocol):
    """Where a lab lives, and what the course does there."""

    namespace: str

    def look(self, lab: Lab, listed: State | None = None) -> State: ...
    def watch(self, lab: Lab, changed: Callable[[], None]) -> Watch | None: ...
    def prepare(self, lab: Lab) -> None: ...
    def clear(self, lab: Lab) -> None: ...
    def reset(self, lab: Lab) -> None: ...
    def empty(self) -> None: ...
    def is_started(self, lab: Lab) -> bool: ...
    def leftovers(self, lab: Lab) -> str: ...
    def run(self, lab: Lab, script: str, folder: Path, timeout: float = 120) -> str: ...
    def apply(self, lab: Lab, folder: str) -> None: ...


# Bash says by this in which line of a script a command failed: https://www.gnu.org/software/bash/manual/bash.html#index-trap
_MARK = "kubeclass-failed-line: "
_TELL = f"""trap 'printf "\\n{_MARK}%s\\n" "$LINENO" >&2' ERR; """


def hand_over(files: Path, folder: Path) -> None:
    """Put the manifests with which a lab begins, and what lies in its files/, into the folder of the learner's files.

    files: the lab's folder, or a copy of it with other names of images. A file that exists stays as it is: it may hold
    the learner's work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in (files / "setup", files / "files"):
        for path in sorted(source.rglob("*")):
            target = folder / path.relative_to(source)
            if path.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def run_script(script: str, folder: Path, namespace: str, env: dict[str, str], timeout: float) -> str:
    """Run a script of a lab with bash, which stops at the first error. The script finds its namespace in NAMESPACE.

    timeout: in seconds. Returns what the script printed. Raises Problem where it fails.
    """
    try:
        bash = ("bash", "-Eeuo", "pipefail", "-c", _TELL + script)
        done = finish(*bash, timeout=timeout, cwd=str(folder), env={**os.environ, "NAMESPACE": namespace, **env})
    except DidNotEnd:
        raise problem("script-endless", folder=folder, seconds=f"{timeout:.0f}") from None
    if done.returncode != 0:
        line, said = _told(script, done.err)
        output = said or done.out.strip()
        if line:
            raise problem("script-failed", folder=folder, command=line, output=output)
        raise problem("script-failed-somewhere", folder=folder, output=output)
    return done.out


def _told(script: str, errors: str) -> tuple[str, str]:
    """The line of a script that failed ("" where bash did not tell it), and what else stands in its standard error."""
    marked = re.findall(rf"(?:^{_MARK}\d+$\s*)+", errors, re.M)
    said = re.sub(rf"^\n?{_MARK}\d+\n?", "", errors, flags=re.M).strip()
    if not marked:
        return "", said
    number = int(re.findall(r"\d+$", marked[-1], re.M)[0])  # a subshell tells its line before the shell around it does
    return script.splitlines()[number - 1].strip(), said
