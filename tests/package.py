"""`make package`: the wheel and the sdist, and the course as somebody has it who installed the wheel and has no clone.

Once with Python 3.11, and once with the newest Python that uv finds or downloads. PYTHONS names others, as uv takes
them: PYTHONS="3.12 /opt/python/bin/python3.13". With `--cluster` (CLUSTER=1 of `make`) the installed course also makes
a cluster of its own, `kubeclass-package`, takes lab 07 from unsolved to solved on it, and deletes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checker.grading.labs import all_labs
from cluster import paths
from cluster.progress import step
from cluster.versions import course_version

OLDEST, NEWER = "3.11", ("3.14", "3.13", "3.12")
CLUSTER = "kubeclass-package"
COMES_UP = 120  # seconds, for JupyterLab on a busy machine
LONGEST = 1800  # seconds, for `up` where everything has to be built

# In a kernel of the running JupyterLab: whose `checker` a lesson imports. Arguments: the server's address, the token.
IN_A_KERNEL = """
import json, sys, urllib.request, uuid
import websocket
address, token = sys.argv[1:]
request = urllib.request.Request(f"{address}/api/kernels", data=b"{}", headers={"Authorization": f"token {token}"})
kernel = json.load(urllib.request.urlopen(request))["id"]
url = f"{address.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels?token={token}"
channel = websocket.create_connection(url, timeout=60)
code = "import checker, cluster; from checker import lab; print(checker.__file__); lab('07')"
header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": "1", "version": "5.3"}
content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
channel.send(json.dumps(message))
while (got := json.loads(channel.recv()))["msg_type"] != "execute_reply":
    if got["msg_type"] == "error":
        sys.exit("\\n".join(got["content"]["traceback"]))
    if got["msg_type"] == "stream":
        print(got["content"]["text"], end="")
"""


@dataclass(frozen=True)
class Installed:
    """A wheel in a virtual environment. home: a home folder that nobody has used."""

    venv: Path
    home: Path

    @property
    def python(self) -> str:
        return str(self.venv / "bin" / "python")

    @property
    def package(self) -> Path:
        return next(self.venv.glob("lib/python3.*/site-packages/kubeclass"))

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of this clone is in it, and nothing of what the learner may have set."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not re.match("KUBECLASS_|PYTHON|VIRTUAL_ENV|JUPYTER|KUBECONFIG", name)
        }
        path = os.pathsep.join([str(self.venv / "bin"), os.environ["PATH"]])
        return {**kept, "HOME": str(self.home), "PATH": path, **more}

    def run(self, *words: str, expect: int = 0, timeout: float = 120, **more: str) -> str:
        """What `kubeclass WORDS` prints. Ends the program where its exit status is another one than `expect`."""
        command = [str(self.venv / "bin" / "kubeclass"), *words]
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != expect:
            sys.exit(
                f"kubeclass {' '.join(words)}: exit status {done.returncode}, not {expect}.\n{done.stdout}{done.stderr}"
            )
        return done.stdout + done.stderr


def main() -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kubeclass-package-") as work:
        folder = Path(work).resolve()
        with step("The sdist, and from it the wheel"):
            wheel = build(folder / "dist")
        for number, python in enumerate(pythons()):
            with step(f"The wheel in an environment of its own: {python}"):
                installed = install(wheel, folder / f"env{number}", python)
            with step(f"Without a cluster: {python}"):
                without_a_cluster(installed)
            if "--cluster" in sys.argv and not number:
                with step("On a cluster"):
                    on_a_cluster(installed)
    print(f"\nThe package is well ({time.monotonic() - began:.0f} s).")
    return 0


def uv(*words: str, timeout: float = 600) -> str:
    """What `uv` prints. Pythons that pyenv keeps beside PATH are found, too. Raises CalledProcessError."""
    own = str(Path(sys.executable).parent)
    pyenv = [str(path) for path in Path.home().glob(".pyenv/versions/3.*/bin")]
    path = os.pathsep.join([*pyenv, os.environ["PATH"], own])
    program = shutil.which("uv", path=path) or "uv"
    env = {**os.environ, "PATH": path}
    done = subprocess.run(
        [program, *words], env=env, capture_output=True, text=True, timeout=timeout, check=False, cwd=paths.COURSE
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
    return done.stdout.strip()


def pythons() -> list[str]:
    """The Pythons to try, as uv takes them: PYTHONS, else 3.11 and the newest that can be had."""
    return os.environ.get("PYTHONS", "").split() or [OLDEST, *newest()]


def newest() -> Iterator[str]:
    """The newest Python after 3.11: one that is installed, or the newest of all where it can be downloaded."""
    downloaded = False
    for version in NEWER:
        if is_found(version):
            yield version
            return
        if not downloaded:
            downloaded = True
            try:
                uv("python", "install", version, timeout=90)
                yield version
                return
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                print(f"   Python {version} is not here and cannot be downloaded.", flush=True)


def is_found(python: str) -> bool:
    try:
        return bool(uv("python", "find", "--no-python-downloads", python))
    except subprocess.CalledProcessError:
        return False


def build(folder: Path) -> Path:
    """The wheel. uv makes it from the sdist, so the sdist is whole. Ends the program where one lacks something."""
    uv("build", "--quiet", "--out-dir", str(folder), str(paths.COURSE))
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    for path in (wheel, sdist):
        print(f"   {path.name}: {path.stat().st_size / 1e6:.1f} MB")
    return wheel


def install(wheel: Path, folder: Path, python: str) -> Installed:
    folder.mkdir()
    installed = Installed(folder / "venv", folder / "home")
    installed.home.mkdir()
    uv("venv", "--quiet", "--python", python, str(installed.venv))
    uv("pip", "install", "--quiet", "--python", installed.python, str(wheel))
    return installed


def without_a_cluster(installed: Installed) -> None:
    """All that needs no cluster. Other packages named `checker` and `cluster` are there; nothing is written to ours."""
    before = contents(installed.package)
    for name in ("checker", "cluster"):
        other = installed.package.parent / name / "__init__.py"
        other.parent.mkdir()
        other.write_text("raise ImportError('This is the package of somebody else.')\n")
    require(f"kubeclass {course_version()}" in installed.run("--version"), "--version says another version.")
    require("Usage: kubeclass" in installed.run("--help"), "--help is another one.")
    require("--namespace" in installed.run("explain", "--help"), "`explain --help` is another one.")
    require("--level 2" in installed.run("hint", "07", "reaches-pods"), "There is no hint for lab 07.")
    reached = json.loads(installed.run("progress", "--json"))["labs"]
    require([row["lab"] for row in reached] == all_labs(), f"The labs are {[row['lab'] for row in reached]}.")
    installed.run("progress")
    installed.run("lab", "check", "07")
    installed.run("check", "07", expect=3)
    require("KUBECLASS_LABS" in installed.run("lab", "new", "17", "own", expect=3), "`lab new` names no way out.")
    installed.run("lab", "new", "17", "own", KUBECLASS_LABS=str(installed.home / "labs"))
    study(installed)
    for name in ("checker", "cluster"):
        shutil.rmtree(installed.package.parent / name)
    require(contents(installed.package) == before, "Something was written into site-packages.")


def study(installed: Installed) -> None:
    """`kubeclass study --no-browser` until a kernel has run, with nothing for `up` to begin with: its lock is taken."""
    home = installed.home / ".kubeclass"
    lock = home / CLUSTER / "lock"
    lock.parent.mkdir(parents=True)
    env = installed.environment(KUBECLASS_CLUSTER=CLUSTER)
    output = installed.home / "study.log"
    with lock.open("w") as locked, output.open("w") as log:
        fcntl.flock(locked, fcntl.LOCK_EX)
        words = [str(installed.venv / "bin" / "kubeclass"), "study", "07", "--no-browser"]
        command = subprocess.Popen(
            words,
            cwd=installed.home,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # What a shell starts in the background ignores SIGINT. Then `study` would be killed, and leave its `up`.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            address, token = address_in(output, command)
            with urllib.request.urlopen(f"{address}/lab?token={token}", timeout=30) as page:
                require(b"jupyter" in page.read().lower(), "The page is not JupyterLab's.")
            asked = [installed.python, "-c", IN_A_KERNEL, address, token]
            done = subprocess.run(
                asked, cwd=installed.home, env=env, capture_output=True, text=True, timeout=120, check=False
            )
            require(
                done.stdout.strip() == str(installed.package / "course" / "checker" / "__init__.py"),
                f"A kernel imports another `checker`: {done.stdout}{done.stderr}",
            )
        finally:
            command.send_signal(signal.SIGINT)
            try:
                command.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(command.pid, signal.SIGKILL)
    folder = installed.home / "kubeclass"
    laid = {path.name for path in folder.iterdir()}
    require({"07-services.ipynb", "glossary.md", "figures", "guestbook", "work"} <= laid, f"Laid into {folder}: {laid}")


def address_in(output: Path, command: subprocess.Popen[bytes]) -> tuple[str, str]:
    """The server's address and token, from what `study` prints when JupyterLab answers."""
    ends = time.monotonic() + COMES_UP
    while time.monotonic() < ends and command.poll() is None:
        if found := re.search(r"(http://127\.0\.0\.1:\d+)\S*token=(\w+)", output.read_text()):
            return found[1], found[2]
        time.sleep(0.2)
    sys.exit(f"JupyterLab does not answer. What `study` printed:\n{output.read_text()}")


def on_a_cluster(installed: Installed) -> None:
    """`up`, lab 07 unsolved and solved, `explain`, `down`. What was built before is taken from the course's cache."""
    more: dict[str, Any] = {"KUBECLASS_CLUSTER": CLUSTER, "KUBECLASS_CACHE": str(paths.cache())}
    try:
        installed.run("up", timeout=LONGEST, **more)
        status = json.loads(installed.run("status", "--json", **more))
        require(status["ready"], f"The cluster is not ready: {status['not_well']}")
        installed.run("start", "07", "--yes", **more)
        unsolved = json.loads(installed.run("check", "07", "--json", expect=1, **more))
        require(unsolved["score"] < unsolved["max_score"], "Lab 07 has full marks before it is solved.")
        installed.run("solve", "07", timeout=300, **more)
        solved = json.loads(installed.run("check", "07", "--json", "--wait", "90", timeout=300, **more))
        require(solved["score"] == solved["max_score"], "Lab 07 has less than full marks when it is solved.")
        installed.run("explain", **more)
    finally:
        installed.run("down", timeout=300, **more)


def contents(folder: Path) -> dict[str, str]:
    """A digest of each file in a folder, but for Python's caches."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        sys.exit(otherwise)


if __name__ == "__main__":
    sys.exit(main())
