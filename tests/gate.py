"""`make gate`: .ci/run as it will be run, on a fresh clone of HEAD, with an engine that was ended as by a power cut.

When it is green, the id of HEAD's tree is noted in the course's cache (gate-green).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster import paths

KEPT = ("HOME", "PATH", "LANG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
ENGINE = ("dockerd", "containerd", "containerd-shim")


def main() -> int:
    if sys.stdin.isatty():
        question = "This stops the container engine and deletes all kind clusters of this machine. Go on? [y/N] "
        if input(question).strip().lower() not in ("y", "yes"):
            return 130
    if git("status", "--porcelain"):
        print("Changes that are not committed are not in what is tried: only HEAD is.")
    begin = time.monotonic()
    power_cut()
    with tempfile.TemporaryDirectory(prefix="kubeclass-gate-") as work:
        clone = Path(work) / "clone"
        subprocess.run(["git", "clone", "-q", str(paths.COURSE), str(clone)], check=True)
        commit, tree = (git("rev-parse", *what, cwd=clone) for what in (("--short", "HEAD"), ("HEAD^{tree}",)))
        own = {name: os.environ[name] for name in KEPT if name in os.environ}
        # What this machine's environment sets for the package clients.
        own |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "GO", "SSL_"))}
        done = subprocess.run(["bash", ".ci/run"], cwd=clone, env=own, stdin=subprocess.DEVNULL, check=False)
    minutes = (time.monotonic() - begin) / 60
    if done.returncode:
        print(f"\nThe gate is red ({minutes:.1f} min): {commit} would not land.")
        return 1
    green = paths.cache() / "gate-green"
    green.parent.mkdir(parents=True, exist_ok=True)
    with green.open("a") as file:
        file.write(f"{tree}\n")
    print(f"\nThe gate is green ({minutes:.1f} min) for {commit}.")
    return 0


def git(*words: str, cwd: Path = paths.COURSE) -> str:
    return subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


def power_cut() -> None:
    """End the engine and everything in its containers at once, with nothing tidied up. Under systemd, stop it."""
    if Path("/run/systemd/system").is_dir():
        if shutil.which("docker"):
            subprocess.run(["systemctl", "stop", "docker.socket", "docker"], check=False)
        return
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            stat = (folder / "stat").read_text()
            names[int(folder.name)] = stat[stat.index("(") + 1 : stat.rindex(")")]
            parents[int(folder.name)] = int(stat[stat.rindex(")") + 1 :].split()[1])

    def is_the_engines(process: int) -> bool:
        while process > 1:
            if names.get(process) in ENGINE:
                return True
            process = parents.get(process, 0)
        return False

    # The engine first: it must not see its containers end.
    for process in sorted(filter(is_the_engines, names), key=lambda one: names[one] not in ENGINE):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
