"""`kubeclass study`: JupyterLab at the right lesson.

Everything that is opened in it is set to the course's cluster.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from checker.classroom.lessons import in_class
from checker.classroom.target import target
from checker.collect.kubeconfig import access_of
from checker.model.catalogue import problem, say
from checker.ui import copies, layout
from checker.ui.cluster_status import facts
from cluster import engine, paths, tools
from cluster.context import Cluster
from cluster.progress import last_lines, step, tell
from cluster.waiting import wait_until

PORT = 8888
STOPPED = 130  # the exit status of a `kubeclass` that was stopped by Ctrl-C
# Settings that hold where a learner has chosen none: no question about JupyterLab's news lies over the first page.
DEFAULTS = Path(__file__).parent / "jupyter"
NEVER_SHOWN = ["__pycache__", "*.pyc", "*.pyo", ".DS_Store", "*~"]  # in JupyterLab's list of files
STARTS_WITHIN = 180  # seconds, on a machine that is busy with the cluster


@cache
def pages() -> list[str]:
    """The files of all finished lessons, in order."""
    found = sorted(paths.lessons().glob("[0-9][0-9]-*.ipynb"))
    return [path.name for path in found if not _is_draft(path)]


def _is_draft(path: Path) -> bool:
    return bool(json.loads(path.read_text())["metadata"].get("kubeclass", {}).get("draft"))


def page_of(lesson: str) -> str:
    """The file of a finished lesson; "" where there is none.

    lesson: its number ("07", "7"), its file's name, or the part of that name behind the number.
    """
    wanted = lesson.strip().zfill(2).removesuffix(".ipynb")
    stems = (page.removesuffix(".ipynb") for page in pages())
    return next((f"{stem}.ipynb" for stem in stems if wanted in (stem, stem[:2], stem[3:])), "")


def page_to_open(lesson: str) -> str:
    """As page_of. Raises Problem where there is none."""
    if found := page_of(lesson):
        return found
    names = ", ".join(page.removesuffix(".ipynb") for page in pages())
    raise problem("no-such-lesson", lesson=lesson, lessons=names)


def environment(cluster: Cluster) -> dict[str, str]:
    """The environment of notebooks and terminals: plain kubectl reaches the cluster, and no proxy is asked for it.

    One's own cluster has its name in KUBECLASS_CLUSTER.
    """
    own = [str(Path(sys.executable).parent), str(tools.folder())]  # `up` may not have put kubectl there yet
    local = ["127.0.0.1", "localhost", "::1", *_host_of(cluster)]
    no_proxy = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), *local)))
    return {
        **os.environ,
        **({"KUBECLASS_CLUSTER": cluster.name} if cluster.kind == "own" else {}),
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": os.pathsep.join([*dict.fromkeys(own), os.environ.get("PATH", "")]),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def _host_of(cluster: Cluster) -> list[str]:
    """The host of a class's API server, which the checker asks without a proxy, too; of no other cluster."""
    if cluster.kind != "class":
        return []
    host = urlsplit(access_of(cluster).server).hostname
    return [host] if host else []


def learners_folder(chosen: str = "") -> Path:
    """The learner's folder, with copies of the lessons that are up to date. Tells what was kept.

    chosen: a folder that the learner names; it is kept for later calls. Raises Problem where it cannot be used.
    """
    folder = Path(chosen).expanduser().absolute() if chosen else paths.folder()
    for sentence in copies.bring_up_to_date(folder, pages(), in_class(target())):
        tell(sentence)
    if chosen:
        copies.choose(folder)
    return folder


def study(
    cluster: Cluster, page: str, folder: Path, browser: bool = True, port: int = PORT, plain: bool = False
) -> None:
    """Run JupyterLab on loopback, with a token, until it is stopped. Prints the address.

    One's own cluster comes up in the background. A class's cluster is there already.

    folder: the learner's, see learners_folder. page: a lesson's file in it.
    plain: without the course's arrangement of lesson, picture and terminal (layout.py).

    Raises Problem where it does not start.
    """
    page = copies.file_to_open(folder, page)
    if cluster.kind == "own" and sys.stdin.isatty():
        engine.ensure()  # it may ask, and what goes on behind JupyterLab cannot
    token = secrets.token_hex(24)
    port = _free_port(port)
    where = _first_page(page, folder, plain)
    words = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--LabApp.default_url={where}",
        *_options(folder),
        "--ServerApp.answer_yes=True",
        *([] if browser else ["--no-browser"]),
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]
    env = {**environment(cluster), **_own_environment(folder), "JUPYTER_TOKEN": token}
    with _cluster_behind(cluster) if cluster.kind == "own" else _class_at_hand(cluster):
        # A terminal begins in the folder where the lessons' cells run, so that the same file names work.
        server = subprocess.Popen(words, env=env, cwd=folder)
        try:
            with step(say("study-starting")):
                _wait_until_listening(server, port)
            tell(say("study-address", address=f"http://127.0.0.1:{port}{where}?token={token}"))
            tell(say("study-stop" if cluster.kind == "own" else "study-stop-class"))
            server.wait()
        except KeyboardInterrupt:
            server.terminate()  # Ctrl-C may be ignored where it was started
            server.wait(20)
        finally:
            if server.poll() is None:
                server.kill()


def serve_in_hub(cluster: Cluster, page: str, folder: Path) -> NoReturn:
    """Become the learner's server in JupyterHub, with the same arrangement as `study`.

    Address, port and access come from the hub, by the environment.
    Source: https://jupyterhub.readthedocs.io/en/stable/howto/singleuser.html
    """
    page = copies.file_to_open(folder, page)
    server = str(Path(sys.executable).parent / "jupyterhub-singleuser")
    words = [server, f"--ServerApp.default_url={_first_page(page, folder)}", *_options(folder)]
    os.chdir(folder)
    os.execve(server, words, {**environment(cluster), **_own_environment(folder)})


def _first_page(page: str, folder: Path, plain: bool = False) -> str:
    """The address of a lesson on the server."""
    return f"/lab/tree/{page}" if plain else f"/lab/workspaces/{layout.arrange(page, folder)}"


def _options(folder: Path) -> list[str]:
    """How JupyterLab shows the learner's folder."""
    return [
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.workspaces_dir={layout.folder()}",
        *(f"--ContentsManager.hide_globs={name}" for name in [*NEVER_SHOWN, *copies.never_shown(folder)]),
        "--ServerApp.contents_manager_class=checker.ui.contents.CourseContents",
        "--log-level=WARN",
        "--LabApp.log_level=WARN",  # the line above does not reach JupyterLab's own three lines
    ]


def _own_environment(folder: Path) -> dict[str, str]:
    configs = os.pathsep.join(filter(None, (os.environ.get("JUPYTER_CONFIG_PATH"), str(DEFAULTS))))
    return {"JUPYTER_CONFIG_PATH": configs, "KUBECLASS_FOLDER": str(folder)}


@contextmanager
def _class_at_hand(cluster: Cluster) -> Iterator[None]:
    """Say how a class's cluster is, and see to a kubectl. Raises Problem where none can be had."""
    tools.kubectl_path()
    tell(say("study-class", cluster=cluster.name, namespace=cluster.namespace))
    for sentence in facts(cluster)["not_well"]:
        tell(sentence)
    yield


@contextmanager
def _cluster_behind(cluster: Cluster) -> Iterator[None]:
    """Within this block `kubeclass up` is at work on its own, and its end is told.

    One that is not done by the end of the block is stopped.
    """
    log = cluster.kubeconfig.parent / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        building = subprocess.Popen(
            [sys.executable, "-m", "checker.ui.cli", "up"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    tell(say("study-cluster", log=log))

    def tell_the_end() -> None:
        if not building.wait():
            tell(say("study-cluster-ready"))
        elif building.returncode > 0 and building.returncode != STOPPED:
            tell(f"{say('study-cluster-failed', log=log)}\n{last_lines(log)}")

    threading.Thread(target=tell_the_end, daemon=True).start()
    try:
        yield
    finally:
        if building.poll() is None:
            tell(say("study-cluster-stopped"))
            building.terminate()  # as by Ctrl-C (up.stop_as_by_ctrl_c), also where that is ignored
            building.wait()


def _free_port(wanted: int) -> int:
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port != wanted:
                tell(say("study-port-taken", wanted=wanted, port=port))
            return port
    raise problem("no-free-port", first=wanted, last=wanted + 49)


def _wait_until_listening(server: subprocess.Popen[bytes], port: int) -> None:
    def is_listening() -> bool:
        if server.poll() is not None:
            raise problem("jupyterlab-ended")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    if not wait_until(is_listening, STARTS_WITHIN, pause=0.1):
        raise problem("jupyterlab-slow", seconds=STARTS_WITHIN)
