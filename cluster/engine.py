"""The container engine: which one, whether it runs, and starting it where that is ours to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from cluster import paths
from cluster.language import problem, say
from cluster.problem import Problem
from cluster.process import DidNotEnd, finish, run, succeeds
from cluster.progress import is_agreed, step, tail
from cluster.waiting import wait_until

ENGINE_STARTS_WITHIN = 60  # seconds
CAP_SYS_RESOURCE = 24  # bit in CapBnd, see capabilities(7)


def command() -> str:
    """`docker` or `podman`, as kind itself would choose: KIND_EXPERIMENTAL_PROVIDER, else the first that is installed.

    A `docker` that is Podman under another name (podman-docker) counts as Podman.
    Source: https://kind.sigs.k8s.io/docs/user/quick-start/ (provider detection)
    """
    wished = os.environ.get("KIND_EXPERIMENTAL_PROVIDER", "")
    if wished in ("docker", "podman"):
        return wished
    found = [name for name in ("docker", "podman") if shutil.which(name)]
    if len(found) > 1 and not _is_docker():
        return "podman"
    return found[0] if found else "docker"


def _is_docker() -> bool:
    try:
        return run("docker", "-v").startswith("Docker version")
    except Problem:
        return False


def require_running(engine: str) -> None:
    """Raises Problem where the engine is not installed, does not run, or may not be used by this user."""
    if not shutil.which(engine):
        raise problem("no-engine", start=how_to_start(engine))
    try:
        done = finish(engine, "info", timeout=20)
    except DidNotEnd:
        raise problem("engine-silent", engine=engine, start=how_to_start(engine)) from None
    if done.returncode == 0:
        return
    if "permission denied" in done.err.lower():
        raise problem("engine-forbidden", engine=engine)
    raise problem("engine-stopped", engine=engine, start=how_to_start(engine))


def how_to_start(engine: str) -> str:
    """The next step for somebody whose engine does not run."""
    if sys.platform == "darwin" or sys.platform == "win32":
        return say("engine-start-desktop")
    if Path("/run/systemd/system").is_dir():
        return say("engine-start-systemd", engine=engine)
    if is_debian() and os.geteuid() == 0:
        return say("engine-start-course")
    return say("engine-start-install")


def is_debian() -> bool:
    """Whether this is Debian or one of its family, with apt-get."""
    return bool(shutil.which("apt-get")) and Path("/etc/debian_version").exists()


def ensure() -> str:
    """Return the engine's command with the engine running. Starts it, after asking, where this user may.

    On Debian and Ubuntu as root, docker.io is installed first where it is missing.
    Raises Problem where it does not run and cannot be started here.
    """
    engine = command()
    try:
        require_running(engine)
    except Problem:
        if engine != "docker" or not is_debian() or os.geteuid() != 0:
            raise
        _start_docker()
        require_running(engine)
    return engine


def _start_docker() -> None:
    missing = [] if shutil.which("dockerd") else ["docker.io"]
    missing += [] if shutil.which("iptables") else ["iptables"]
    if not is_agreed(say("engine-question", packages=missing), say("engine-will-start", packages=missing)):
        raise problem("engine-declined", start=how_to_start("docker"))
    if missing:
        install_packages(*missing)
    with step(say("engine-step")):
        if Path("/run/systemd/system").is_dir():
            run("systemctl", "start", "docker", timeout=90)
        else:
            _start_dockerd()


def install_packages(*names: str) -> None:
    """Install packages of the distribution. Raises Problem where this user cannot."""
    if not is_debian() or os.geteuid() != 0:
        raise problem("packages-missing", packages=names)
    with step(say("packages-step", packages=names)):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-qq", timeout=300, env=env)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *names, timeout=900, env=env)


# Of an engine without systemd: the file that holds a process id, and whose it is.
PID_FILES = {
    Path("/var/run/docker.pid"): "dockerd",
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}


def _forget_the_dead() -> None:
    """Remove the pid files of an engine that was killed.

    Where another process now has the number in such a file, the engine would not start.
    """
    for file, name in PID_FILES.items():
        try:
            process = Path("/proc") / file.read_text().strip() / "comm"
        except FileNotFoundError:
            continue
        if not process.exists() or process.read_text().strip() != name:
            file.unlink()


def _start_dockerd() -> None:
    """Start the engine by hand, for a machine without systemd. It goes on when this program ends."""
    _forget_the_dead()
    arguments = []
    if lacks_capabilities():
        wrapper = paths.home() / "bin" / "runc-bounded"
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        program = (Path(__file__).parent / "runc_bounded.py").read_text().split("\n", 1)[1]
        # This very Python: what `env` finds may be a shim that takes longer than runc itself.
        wrapper.write_text(f"#!{os.path.realpath(sys.executable)} -IS\n{program}")
        wrapper.chmod(0o755)
        arguments = ["--add-runtime", f"bounded={wrapper}", "--default-runtime", "bounded"]
    log = paths.home() / "dockerd.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        subprocess.Popen(
            ["dockerd", *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    if not wait_until(lambda: succeeds("docker", "info"), ENGINE_STARTS_WITHIN, pause=0.5):
        raise problem("engine-did-not-start", seconds=ENGINE_STARTS_WITHIN, log_end=tail(log), log=log)


def cgroup_version() -> int | None:
    """1 or 2; None where that is the business of an engine's own virtual machine (Docker Desktop, Podman Desktop)."""
    if sys.platform != "linux":
        return None
    return 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1


def lacks_capabilities() -> bool:
    """Whether this machine withholds CAP_SYS_RESOURCE. Then runc must not be asked for it, see runc_bounded.py."""
    status = Path("/proc/self/status")
    if not status.exists():
        return False
    bounding = next((line.split()[1] for line in status.read_text().splitlines() if line.startswith("CapBnd")), "0")
    return not int(bounding, 16) >> CAP_SYS_RESOURCE & 1
