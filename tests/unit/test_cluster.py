"""The machine's side: doctor, downloads, the engine's absence, versions, the commands' help and exit codes."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checker.grading.labs import all_labs
from checker.ui import layout, study
from cluster import (
    Cluster,
    Problem,
    course_of_cluster,
    doctor,
    engine,
    images,
    network,
    nodeimage,
    paths,
    process,
    programs,
    status,
    tools,
    up,
    up_progress,
    waiting,
)
from cluster.program_text import text_of, with_outer_quotes
from cluster.versions import course_version, versions
from cluster.waiting import wait_until
from tests.bench.measure import HEAD, with_row

LESSONS = paths.COURSE / "lessons"
FIT: dict[str, Any] = {
    "engine": "docker",
    "engine_problem": None,
    "engine_version": "28.2.2",
    "docker_beside": False,
    "memory": 16 * doctor.GIB,
    "disk": 100 * doctor.GIB,
    "disk_folder": "/home",
    "cgroup": 2,
    "inotify": {"max_user_watches": 524288, "max_user_instances": 512},
    "ports": {8888: True, 30080: True},
    "proxy": "",
    "no_proxy": "",
    "registry": True,
    "resolves": True,
    "clock_offset": 0.4,
    "go": False,
    "lacks_capabilities": False,
}


def test_a_fit_machine_is_well_in_everything() -> None:
    found = doctor.findings(FIT)
    assert {finding.id for finding in found if finding.level != "well"} == {"tried"}
    assert doctor.exit_code(found) == 0


@pytest.mark.parametrize(
    ("changes", "is_tried"),
    [
        ({}, True),
        ({"engine_version": "20.10.24+dfsg1", "registry": False}, True),
        ({"engine_version": "20.9.1"}, False),
        ({"engine": "podman", "engine_version": "5.4.2", "registry": False}, True),
        ({"engine": "podman", "engine_version": "6.0.0", "registry": False}, False),
        ({"cgroup": 2}, False),
        ({"cgroup": None}, False),
        ({"engine_version": ""}, False),
    ],
)
def test_a_machine_unlike_all_that_were_tried_is_told_as_such(changes: dict[str, Any], is_tried: bool) -> None:
    found = doctor.findings({**FIT, "engine_version": "29.1.0", "cgroup": 1, **changes})
    last = found[-1]
    assert (last.id, last.level) == ("tried", "well" if is_tried else "warning")
    assert last.observed.startswith("like a machine" if is_tried else "unlike every machine")
    assert doctor.as_text(found, short=True).splitlines()[1:] == [last.observed]
    assert doctor.as_json(found)["tried"] == doctor.tried()


def test_the_readme_has_the_table_of_machines() -> None:
    rows = [
        f"| {one['engine'].capitalize()} {one['version']} | v{one['cgroup']} | {one['images']} | {one['network']} | "
        + ", ".join(f"`{command}`" for command in one["by"].split(", "))
        + " |"
        for one in doctor.tried()
    ]
    assert "\n".join(rows) in (paths.COURSE / "README.md").read_text()


@pytest.mark.parametrize(
    "changes, id, level",
    [
        ({"engine_problem": Problem("docker is installed, but its engine does not run.", "Start it")}, "engine", "bad"),
        ({"engine_version": "19.3.1"}, "engine", "warning"),
        ({"engine": "podman", "engine_version": "5.4.2", "docker_beside": True}, "engine", "warning"),
        ({"memory": 2 * doctor.GIB}, "memory", "bad"),
        ({"memory": 4 * doctor.GIB}, "memory", "warning"),
        ({"memory": None}, "memory", "warning"),
        ({"disk": doctor.GIB}, "disk", "bad"),
        ({"disk": 8 * doctor.GIB}, "disk", "warning"),
        ({"cgroup": 1}, "cgroup", "warning"),
        ({"inotify": {"max_user_watches": 8192, "max_user_instances": 512}}, "inotify-watches", "warning"),
        ({"inotify": {"max_user_watches": 524288, "max_user_instances": 128}}, "inotify-instances", "warning"),
        ({"ports": {8888: False, 30080: True}}, "port-8888", "warning"),
        ({"ports": {8888: True, 30080: False}}, "port-30080", "warning"),
        ({"proxy": "HTTPS_PROXY"}, "proxy", "warning"),
        ({"resolves": False}, "dns", "warning"),
        ({"registry": False}, "registry", "warning"),
        ({"clock_offset": 3600}, "clock", "warning"),
        ({"lacks_capabilities": True}, "capabilities", "warning"),
    ],
)
def test_what_is_amiss_is_found_alone_and_has_a_remedy(changes: dict[str, Any], id: str, level: str) -> None:
    found = doctor.findings({**FIT, **changes})
    amiss = [finding for finding in found if finding.level != "well" and finding.id != "tried"]
    assert [(finding.id, finding.level) for finding in amiss] == [(id, level)]
    assert amiss[0].remedy
    assert doctor.exit_code(found) == (1 if level == "bad" else 0)
    assert amiss[0].remedy in doctor.as_text(found)
    assert doctor.as_json(found)["fit"] is (level != "bad")


def test_a_fit_machine_gets_two_lines_and_another_one_all_findings() -> None:
    fit, not_fit = (
        doctor.findings({**FIT, "cgroup": 1, "engine_version": "29.0.1"}),
        doctor.findings({**FIT, "disk": doctor.GIB}),
    )
    assert doctor.as_text(fit, short=True).startswith("This machine is fit")
    assert len(doctor.as_text(fit, short=True).splitlines()) == 2
    assert "cgroup: " in doctor.as_text(fit)
    assert doctor.as_text(not_fit, short=True) == doctor.as_text(not_fit)


def test_a_proxy_that_leaves_the_cluster_out_is_well() -> None:
    found = doctor.findings({**FIT, "proxy": "HTTPS_PROXY", "no_proxy": "127.0.0.1,localhost"})
    assert {finding.id for finding in found if finding.level != "well"} == {"tried"}


def test_a_download_that_is_not_what_was_published_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = {"u": b"program", "u.sha256": hashlib.sha256(b"another program").hexdigest().encode()}
    monkeypatch.setattr(tools, "fetch", lambda url, timeout: served[url])
    with pytest.raises(Problem, match="is not what was published"):
        tools.download("u", "u.sha256", tmp_path / "kubectl")
    assert list(tmp_path.iterdir()) == []
    served["u.sha256"] = hashlib.sha256(b"program").hexdigest().encode() + b"  kubectl\n"
    tools.download("u", "u.sha256", tmp_path / "kubectl")
    assert (tmp_path / "kubectl").read_bytes() == b"program"
    assert os.access(tmp_path / "kubectl", os.X_OK)


@pytest.mark.parametrize(
    "name, version, serves",
    [
        ("kubectl", "v1.37.2", True),
        ("kubectl", "v1.36.0", True),
        ("kubectl", "v1.38.1", True),
        ("kubectl", "v1.32.0", False),
        ("kubectl", "", False),
        ("kind", "v0.33.0", True),
        ("kind", "v0.34.0", True),
        ("kind", "v0.32.9", False),
        ("kind", "v1.0.0", False),
    ],
)
def test_which_versions_on_path_will_do(name: str, version: str, serves: bool) -> None:
    assert tools.will_do(name, version) is serves


def test_the_pinned_node_image_has_a_digest_and_every_version_is_pinned() -> None:
    assert re.fullmatch(r"kindest/node:v[\d.]+@sha256:[0-9a-f]{64}", versions()["node_image"]["image"])
    for program in programs.PROGRAMS.values():
        assert re.fullmatch(r"v\d+\.\d+\.\d+", programs.version(program)), program
    for tool in tools.RELEASES:
        assert versions()[tool]["checksum"] == "published"


def test_an_image_is_named_by_what_it_is_built_from(monkeypatch: pytest.MonkeyPatch) -> None:
    before = nodeimage.tag()
    assert before == nodeimage.tag()
    monkeypatch.setitem(versions()["modules"], "etcd", "v9.9.9")
    assert nodeimage.tag() != before


@pytest.mark.parametrize("code", ["name = f\"ä {a['b']}-{c}\" + f\"{d['e']}\"", "name = f'plain {x}' + 'it'"])
def test_a_program_has_one_text_with_every_python(code: str) -> None:
    assert text_of(ast.parse(code)) == code
    if sys.version_info >= (3, 12):  # older ones cannot read what Python 3.12.3 writes
        newer = code.replace('"', "'")
        assert with_outer_quotes(newer) == code


def test_every_base_image_of_the_course_can_be_made_without_a_registry() -> None:
    assert set(images.STAND_INS) == set(versions()["course_images"])


@pytest.mark.parametrize(
    "stands_in, made_from, made_anew",
    [("", "", False), ("redis:8", "another recipe", True), ("redis:8", images.STAND_INS["redis:8"].made_from, False)],
    ids=["pulled", "made by another recipe", "made by this recipe"],
)
def test_a_base_image_that_is_there_is_made_anew_only_where_its_recipe_changed(
    monkeypatch: pytest.MonkeyPatch, stands_in: str, made_from: str, made_anew: bool
) -> None:
    made: list[str] = []
    labels = {images.STANDS_IN_FOR: stands_in, images.MADE_FROM: made_from}
    monkeypatch.setitem(versions(), "course_images", ["redis:8"])
    monkeypatch.setattr(images, "succeeds", lambda *_: True)
    monkeypatch.setattr(images, "label", lambda engine, image, label: labels[label])
    monkeypatch.setattr(images, "_have_base", lambda engine, name: made.append(name))
    monkeypatch.setattr(images, "_build_guestbook", lambda engine: None)
    images.prepare("docker")
    assert made == (["redis:8"] if made_anew else [])


def test_a_registry_that_is_said_to_be_away_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    network.registry_answers.cache_clear()
    monkeypatch.setenv("KUBECLASS_NO_REGISTRY", "1")
    monkeypatch.setattr(network, "get_from_internet", lambda *_, **__: pytest.fail("it was asked"))
    assert network.registry_answers() is False
    network.registry_answers.cache_clear()


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    "script, words",
    [
        ("echo 'permission denied while trying to connect' >&2; exit 1", "You have no right to use docker"),
        ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "its engine does not run"),
    ],
)
def test_an_engine_that_cannot_be_used_is_named_with_a_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    program(tmp_path / "bin", "docker", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    with pytest.raises(Problem, match=words) as end:
        engine.require_running("docker")
    assert end.value.next_step


def test_no_engine_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match="neither docker nor podman is installed"):
        engine.require_running(engine.command())


def test_podman_is_used_where_it_is_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    program(tmp_path, "podman", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine.command() == "podman"


@pytest.mark.parametrize(
    "output, chosen", [("Docker version 28.2.2, build x", "docker"), ("podman version 5.4.2", "podman")]
)
def test_a_docker_that_is_podman_by_another_name_is_podman(
    output: str, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    program(tmp_path, "docker", f"echo {output}")
    program(tmp_path, "podman", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert engine.command() == chosen


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    program(tmp_path, "builder", "echo 'write /x: no space left on device' >&2; exit 1")
    with pytest.raises(Problem, match="The disk is full"):
        process.run(str(tmp_path / "builder"))


def test_a_folder_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "file"))
    with pytest.raises(Problem, match="cannot write its folder") as end:
        up.up()
    assert "KUBECLASS_HOME" in end.value.next_step


def test_a_program_that_does_not_end_is_ended() -> None:
    with pytest.raises(process.DidNotEnd, match="did not end within"):
        process.run("sleep", "60", timeout=0.2)
    assert not process._running


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(process.CannotStart, match=r"no-such-program is not installed\."):
        process.run("no-such-program")
    (tmp_path / "tool").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "tool").chmod(0o755)
    with pytest.raises(process.CannotStart, match="cannot be started: Exec format error"):
        process.run(str(tmp_path / "tool"))
    assert tools.version_of(tmp_path / "tool", "kind") == ""
    assert not process.succeeds(str(tmp_path / "tool"))


def test_what_a_program_prints_is_kept_whatever_its_exit_status() -> None:
    words = ("sh", "-c", "echo one; echo two >&2; echo three; exit 3")
    assert process.finish(*words, timeout=10) == process.Finished(3, "one\nthree\n", "two\n")
    assert process.finish(*words, timeout=10, merged=True) == process.Finished(3, "one\ntwo\nthree\n", "")
    with pytest.raises(Problem, match="failed: two"):
        process.run(*words)


def test_while_it_stops_nothing_is_begun_but_what_tidies_up() -> None:
    told: list[str] = []

    def beside() -> None:
        with pytest.raises(Problem):
            process.run("sleep", "60")  # it is ended
        with pytest.raises(Problem, match="Stopped"):
            process.run("true")
        with process.tidying_up():
            told.append(process.run("echo", "gone"))

    with pytest.raises(KeyboardInterrupt), ThreadPoolExecutor(1) as threads, process.stopping_everything(threads):
        threads.submit(beside)
        assert wait_until(lambda: bool(process._running), 10, pause=0.01)
        raise KeyboardInterrupt
    assert told == ["gone\n"]
    assert process.succeeds("true")  # the next command begins anew


def test_status_says_for_each_node_what_is_amiss() -> None:
    facts = {
        "name": "kubeclass",
        "kubeconfig": "/k",
        "context": "kind-kubeclass",
        "ready": False,
        "observer": False,
        "versions": {"kind": "v0.33.0"},
        "nodes": [
            {"name": "n", "role": "worker", "running": False, "ready": False, "version": "", "missing_images": []}
        ],
        "notes": ["Version 0.1.0 of the course set this cluster up."],
        "not_well": ["Node n is stopped. Start it: kubeclass up"],
    }
    text = status.as_text(facts)
    assert "! Version 0.1.0 of the course set this cluster up." in text
    assert "✘ Node n is stopped. Start it: kubeclass up" in text
    assert re.search(r"n +worker +stopped", text)


def kubeclass(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "checker.ui.cli", *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
    )


COMMANDS = ("up", "down", "status", "doctor", "study", "start", "check", "hint", "solve", "reset", "progress", "lesson")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command: str) -> None:
    done = kubeclass(*([command] if command else []), "--help")
    assert done.returncode == 0
    assert "Usage: kubeclass" in done.stdout.replace("python -m checker.ui.cli", "kubeclass")
    if not command:
        for name in COMMANDS:
            assert f"  {name} " in done.stdout


@pytest.mark.parametrize(
    "words, message",
    [
        (("check", "99"), "There is no lab '99'"),
        (("check", "07"), "is not there: it has no kubeconfig"),
        (("start", "07"), "kubeclass up"),
        (("hint", "07", "no-such-task"), "has no task 'no-such-task'"),
    ],
)
def test_a_command_that_cannot_run_says_why_and_what_next(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = kubeclass(*words, KUBECLASS_HOME=str(tmp_path))
    assert done.returncode == 3
    assert message in done.stderr
    assert "Next: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert "Traceback" in kubeclass("--debug", *words, KUBECLASS_HOME=str(tmp_path)).stderr


def test_hints_by_the_command_line() -> None:
    done = kubeclass("hint", "07", "reaches-pods")
    assert done.returncode == 0
    assert "kubeclass hint 07 reaches-pods --level 2" in done.stdout


def test_progress_as_json(tmp_path: Path) -> None:
    rows = json.loads(kubeclass("progress", "--json", KUBECLASS_HOME=str(tmp_path)).stdout)["labs"]
    assert [(row["lab"], row["best"], row["seconds"], row["passed_at"]) for row in rows] == [
        (lab, 0, 0, None) for lab in all_labs()
    ]
    assert len(rows) > 2


@pytest.mark.parametrize("name", ["07", "7", "07-services", "07-services.ipynb", "services"])
def test_a_lesson_is_found_by_its_number_or_name(name: str) -> None:
    assert study.page_of(name) == "07-services.ipynb"


def test_a_lesson_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(Problem, match="There is no lesson 'helm'") as caught:
        study.page_to_open("helm")
    assert "07-services" in str(caught.value)


def test_no_learner_is_shown_a_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study.pages.cache_clear()
    monkeypatch.setattr(paths, "COURSE", tmp_path)
    for name, about in {"07-services": {"made_from": "0123"}, "08-dns": {"draft": True}}.items():
        page = tmp_path / "lessons" / f"{name}.ipynb"
        page.parent.mkdir(exist_ok=True)
        page.write_text(json.dumps({"cells": [], "metadata": {"kubeclass": about}}))
    assert study.page_to_open("07") == "07-services.ipynb"
    with pytest.raises(Problem, match="There is no lesson '08'"):
        study.page_to_open("08")
    assert (study.page_of("08"), study.pages()) == ("", ["07-services.ipynb"])
    study.pages.cache_clear()


def test_a_lesson_is_arranged_once_and_what_a_learner_changed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(tmp_path))
    assert layout.arrange("05-deployments.ipynb", LESSONS) == "05-deployments"
    (kept,) = tmp_path.iterdir()
    arranged = json.loads(kept.read_text())
    (clone,) = (name for name in arranged["data"] if name.startswith("cloned-outputs:05-deployments.ipynb:"))
    cells = json.loads((LESSONS / "05-deployments.ipynb").read_text())["cells"]
    assert "picture()" in "".join(cells[arranged["data"][clone]["data"]["index"]]["source"])
    arranged["data"]["layout-restorer:data"] = {"mine": True}
    kept.write_text(json.dumps(arranged))
    layout.arrange("05-deployments.ipynb", LESSONS)
    assert json.loads(kept.read_text()) == arranged


def test_a_damaged_arrangement_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(tmp_path))
    layout.arrange("05-deployments.ipynb", LESSONS)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_text()
    kept.write_text(whole[:50])
    layout.arrange("05-deployments.ipynb", LESSONS)
    assert kept.read_text() == whole


def test_a_lesson_without_a_picture_is_arranged_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(tmp_path))
    layout.arrange("00-start.ipynb", LESSONS)
    assert "cloned-outputs" not in next(tmp_path.iterdir()).read_text()


def test_a_figure_takes_the_place_of_the_older_one_in_the_table() -> None:
    text = f"Before.\n\n{HEAD}| one | 1 | 2 |\n| two | 2 | 2 |\n\nBehind.\n| one | not a row of it |\n"
    again = with_row(with_row(text, "one", "5", "2; missed"), "three", "3", "3")
    assert again == text.replace("| one | 1 | 2 |", "| one | 5 | 2; missed |").replace(
        "| two | 2 | 2 |\n", "| two | 2 | 2 |\n| three | 3 | 3 |\n"
    )


def test_a_wait_for_the_cluster_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster("kubeclass", tmp_path / "kubeconfig")
    assert up_progress.describe(cluster) == ""
    monkeypatch.setattr(up_progress, "is_running", lambda cluster: True)
    with up_progress.reporting(cluster):
        up_progress.begin_stage("node-image")
        up_progress.estimate(400)
        message = up_progress.describe(cluster)
        assert message == "The cluster is being built: step 3 of 6 (the node image), about 8 minutes left."
        up_progress.begin_stage("observer")
        assert up_progress.describe(cluster).endswith("step 6 of 6 (the observer), less than a minute left.")
    assert up_progress.describe(cluster) == ""
    up_progress.estimate(9)  # outside, nobody is told anything
    assert up_progress.describe(cluster) == ""


def test_a_wait_for_the_cluster_tells_why_it_does_not_come(tmp_path: Path) -> None:
    cluster = Cluster("kubeclass", tmp_path / "kubeconfig")
    with pytest.raises(Problem), up_progress.reporting(cluster):
        up_progress.begin_stage("nodes")
        raise Problem("The disk is full.", "Free some gigabytes")
    assert up_progress.describe(cluster).startswith("The cluster could not be built. The disk is full.")
    with pytest.raises(KeyboardInterrupt), up_progress.reporting(cluster):
        raise KeyboardInterrupt
    assert up_progress.describe(cluster) == ""


def test_waiting_ends_with_the_last_value_also_where_time_runs_out() -> None:
    values = iter(["", [], "third", "fourth"])
    assert waiting.wait_until(lambda: next(values), timeout=30, pause=0) == "third"
    calls: list[int] = []
    assert waiting.wait_until(lambda: calls.append(1), timeout=0, pause=0.01) is None
    assert calls  # once at least
    with pytest.raises(ValueError):  # an error of the condition ends it
        waiting.wait_until(lambda: int("x"), waiting.FOREVER, pause=0)


def test_somebody_is_at_work_on_a_cluster_as_long_as_its_lock_is_held(tmp_path: Path) -> None:
    cluster = Cluster("kubeclass", tmp_path / "kubeconfig")
    assert not up_progress.is_running(cluster)
    with up_progress.lock_file(cluster).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert up_progress.is_running(cluster)
    assert not up_progress.is_running(cluster)


def test_the_pid_file_of_an_engine_that_was_killed_is_removed_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, anothers, alive = tmp_path / "gone", tmp_path / "anothers", tmp_path / "alive"
    own = Path("/proc/self/comm").read_text().strip()
    for file, pid in ((gone, 2**22 + 1), (anothers, os.getpid()), (alive, os.getpid())):
        file.write_text(f"{pid}")
    files = {gone: "dockerd", anothers: "dockerd", alive: own, tmp_path / "none": "dockerd"}
    monkeypatch.setattr(engine, "PID_FILES", files)
    engine._forget_the_dead()
    assert list(tmp_path.iterdir()) == [alive]


def test_the_engine_can_be_cleared_while_the_cluster_is_still_coming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from checker.environments import environments

    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path))
    monkeypatch.setattr(
        "checker.environments.container_engine.ContainerEngineEnvironment", lambda namespace: "the engine"
    )  # none runs here
    assert environments("learn", engine=True) == ["the engine"]
    with pytest.raises(Problem, match="is not there"):
        environments("learn", engine=False)


@pytest.mark.parametrize("observer_ready, ready", [(True, True), (False, False)])
def test_a_cluster_that_has_everything_is_ready_while_up_looks_it_over_again(
    observer_ready: bool, ready: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kubeclass study` runs `up` behind JupyterLab each time; what is there is ready meanwhile."""
    from cluster import status

    cluster = Cluster("mine", tmp_path / "kubeconfig")
    cluster.kubeconfig.touch()
    nodes = [SimpleNamespace(name=name, role="worker", running=True) for name in ("a", "b", "c")]
    live = {node.name: {"ready": True, "version": "v1"} for node in nodes}
    underway = "The cluster is being built."
    for module, name, value in (
        (status.up_progress, "describe", lambda cluster: underway),
        (status.up_progress, "is_running", lambda cluster: True),
        (status.engine, "require_running", lambda command: None),
        (status, "nodes_of", lambda command, cluster: nodes),
        (status, "_live_nodes", lambda cluster: (live, "")),
        (status, "_missing_images", lambda command, node: []),
        (status, "_observer_ready", lambda cluster: observer_ready),
        (status.course_of_cluster, "read", lambda cluster: "0.0.9"),
        (status, "_versions", lambda command, live: {}),
    ):
        monkeypatch.setattr(module, name, value)
    found = status.status(cluster)
    assert found["ready"] is ready
    assert found["not_well"] == ([] if ready else [underway])
    assert found["course"] == "0.0.9" and len(found["notes"]) == 1  # and it is ready for all that


@pytest.mark.parametrize(
    "of_cluster, kubernetes, said",
    [
        ("", "v1.37.2", ""),
        (course_version(), "v1.37.2", ""),
        (course_version(), "v1.30.0", ""),
        ("0.0.9", versions()["modules"]["kubernetes"], "Bring the cluster up to date: kubeclass up"),
        ("0.0.9", "", "Bring the cluster up to date: kubeclass up"),
        ("0.0.9", "v1.30.0", "Create the cluster again: kubeclass down, then kubeclass up"),
    ],
)
def test_a_cluster_of_another_version_of_the_course_is_told(of_cluster: str, kubernetes: str, said: str) -> None:
    told = list(course_of_cluster.differences(of_cluster, kubernetes))
    assert len(told) == bool(said)
    assert all(said in sentence and "0.0.9" in sentence for sentence in told)


def test_the_clusters_version_is_read_where_up_notes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, str] = {}

    def kubectl(cluster: Cluster, verb: str, *words: str, timeout: float) -> str:
        if verb == "annotate":
            name, _, value = words[2].partition("=")
            kept[name] = value
        return json.dumps({"metadata": {"annotations": kept} if kept else {}})

    monkeypatch.setattr(course_of_cluster, "kubectl", kubectl)
    cluster = Cluster("mine", Path("kubeconfig"))
    assert course_of_cluster.read(cluster) == ""
    course_of_cluster.note(cluster)
    assert course_of_cluster.read(cluster) == course_version()
