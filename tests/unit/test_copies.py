"""The learner's copies of the lessons: what a newer course replaces, what it keeps, and what no failure loses."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import nbformat
import pytest

from checker.ui import copies, study
from checker.ui.overview import course
from cluster import Cluster, Problem, paths
from tests.unit.test_cluster import kubeclass

PAGES = ["00-start.ipynb", "07-services.ipynb"]
SERVICES = PAGES[1]
NEWER = "07-services.new.ipynb"


def notebook(*sources: str) -> str:
    """A notebook as it is recorded: each cell has an output."""
    output = {"output_type": "stream", "name": "stdout", "text": ["recorded\n"]}
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": ["# A lesson\n", "about it"]}]
    cells += [
        {"cell_type": "code", "metadata": {"tags": []}, "source": [source], "outputs": [output], "execution_count": 1}
        for source in sources
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `lessons` of a small course."""
    lessons = tmp_path / "clone" / "lessons"
    for folder in ("figures", "guestbook"):
        (lessons / folder).mkdir(parents=True)
    for page in PAGES:
        (lessons / page).write_text(notebook(f"!kubectl get pods  # {page}"))
    (lessons / "08-draft.ipynb").write_text(notebook("unfinished"))
    (lessons / "glossary.md").write_text("# Glossary\n")
    (lessons / "sanitize.cfg").write_text("[time]\n")
    (lessons / "figures" / "07.svg").write_text("<svg/>")
    (lessons / "guestbook" / "Dockerfile").write_text("FROM python\n")
    monkeypatch.setattr(paths, "COURSE", lessons.parent)
    monkeypatch.delenv("KUBECLASS_WORK")
    return lessons


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "kubeclass"


def renew(clone: Path, source: str = "!kubectl get services") -> None:
    """The course has a newer lesson 07."""
    (clone / SERVICES).write_text(notebook(source))


def edit(path: Path, source: str = "my own") -> bytes:
    """A learner writes into the last cell of a notebook."""
    data = json.loads(path.read_text())
    data["cells"][-1]["source"] = [source]
    path.write_text(json.dumps(data))
    return path.read_bytes()


def code(path: Path) -> str:
    return "".join(json.loads(path.read_text())["cells"][1]["source"])


# -- the first call --------------------------------------------------------------------------------------------------


def test_the_copies_have_no_outputs_and_the_clone_stays_as_it_is(clone: Path, folder: Path) -> None:
    before = files_of(clone)
    assert copies.bring_up_to_date(folder, PAGES) == [f"Your copies of the lessons are in the folder {folder}."]
    laid = files_of(folder)
    assert set(laid) == {*PAGES, "glossary.md", "figures/07.svg", "guestbook/Dockerfile", copies.MANIFEST}
    for page in PAGES:
        cells = json.loads(laid[page])["cells"]
        assert [cell.get("outputs") for cell in cells] == [None, []]
        assert [cell["source"] for cell in cells] == [cell["source"] for cell in json.loads(before[page])["cells"]]
    assert (folder / "work").is_dir()
    assert files_of(clone) == before
    assert copies.bring_up_to_date(folder, PAGES) == []
    assert files_of(folder) == laid


def test_paths_that_texts_of_labs_name_lead_to_the_learners_files(clone: Path, folder: Path) -> None:
    copies.bring_up_to_date(folder, PAGES)
    (folder / "lessons/work/hello.yaml").write_text("kind: Pod\n")
    assert (folder / "work/hello.yaml").exists() and (folder / "lessons/guestbook/Dockerfile").exists()
    assert copies.never_shown(folder) == ["lessons"]
    (folder / "lessons/mine.txt").write_text("")
    assert copies.never_shown(folder) == []


def test_all_that_the_lessons_of_the_course_refer_to_comes_along(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lessons = paths.COURSE / "lessons"
    tracked = subprocess.run(["git", "ls-files", "."], cwd=lessons, capture_output=True, text=True, check=True).stdout
    copies.bring_up_to_date(folder, study.pages())
    drafts = {path.name for path in lessons.glob("*.ipynb")} - set(study.pages())
    assert set(files_of(folder)) >= set(tracked.split()) - {"sanitize.cfg"} - drafts
    for page in study.pages():
        found = nbformat.read(folder / page, as_version=4)
        nbformat.validate(found)
        texts = [cell.source for cell in found.cells if cell.cell_type == "markdown"]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", "\n".join(texts)):
            assert (folder / target).is_file() or target in drafts, f"{page} refers to {target}"


# -- a newer course --------------------------------------------------------------------------------------------------


def test_a_copy_that_was_only_run_is_replaced(clone: Path, folder: Path) -> None:
    """JupyterLab changes outputs, counts, what is folded, and adds an empty cell behind the last one."""
    copies.bring_up_to_date(folder, PAGES)
    data = json.loads((folder / SERVICES).read_text())
    data["cells"][1] |= {"outputs": [{"output_type": "stream", "name": "stdout", "text": "mine"}], "id": "a1"}
    data["cells"][1] |= {"execution_count": 7, "metadata": {"tags": [], "scrolled": True, "execution": {"x": "y"}}}
    data["cells"][1]["source"] = "".join(data["cells"][1]["source"])
    data["cells"].append({"cell_type": "code", "metadata": {}, "source": [], "outputs": [], "execution_count": None})
    data["metadata"]["language_info"] = {"version": "3.99"}
    (folder / SERVICES).write_text(json.dumps(data))
    run = (folder / SERVICES).read_bytes()
    assert copies.bring_up_to_date(folder, PAGES) == []
    assert (folder / SERVICES).read_bytes() == run  # no newer course: its outputs stay
    renew(clone)
    assert copies.bring_up_to_date(folder, PAGES) == []
    assert code(folder / SERVICES) == "!kubectl get services"
    assert not list(folder.glob("*.new*"))


def test_a_copy_that_was_changed_is_kept_and_the_newer_one_is_beside_it(clone: Path, folder: Path) -> None:
    copies.bring_up_to_date(folder, PAGES)
    mine = edit(folder / SERVICES)
    assert copies.bring_up_to_date(folder, PAGES) == []  # no newer course: nothing to tell
    renew(clone)
    (told,) = copies.bring_up_to_date(folder, PAGES)
    assert told == f"{SERVICES} was kept, because you have changed it. The newer version is {NEWER}."
    assert (folder / SERVICES).read_bytes() == mine
    assert code(folder / NEWER) == "!kubectl get services"
    assert copies.newer_files(folder) == {SERVICES: NEWER}
    assert copies.bring_up_to_date(folder, PAGES) == []
    assert copies.file_to_open(folder, SERVICES) == SERVICES
    renew(clone, "third")
    assert len(copies.bring_up_to_date(folder, PAGES)) == 1
    assert code(folder / NEWER) == "third"  # the second version, not changed, was replaced
    assert not list(folder.glob("*.new2*"))


@pytest.mark.parametrize("change", ["a tag", "a new cell", "a deleted cell", "a picture", "another kind of cell"])
def test_what_a_learner_changes_is_seen(clone: Path, folder: Path, change: str) -> None:
    copies.bring_up_to_date(folder, PAGES)
    data = json.loads((folder / SERVICES).read_text())
    match change:
        case "a tag":
            data["cells"][1]["metadata"]["tags"] = ["mine"]
        case "a new cell":
            data["cells"].insert(1, {"cell_type": "markdown", "metadata": {}, "source": "A note"})
        case "a deleted cell":
            data["cells"].pop()
        case "a picture":
            data["cells"][0]["attachments"] = {"a.png": {"image/png": "iVBO"}}
        case _:
            data["cells"][0]["cell_type"] = "raw"
    (folder / SERVICES).write_text(json.dumps(data))
    mine = (folder / SERVICES).read_bytes()
    renew(clone)
    assert len(copies.bring_up_to_date(folder, PAGES)) == 1
    assert (folder / SERVICES).read_bytes() == mine


def test_a_newer_file_is_offered_once_and_work_in_it_is_kept_too(clone: Path, folder: Path) -> None:
    copies.bring_up_to_date(folder, PAGES)
    edit(folder / SERVICES)
    renew(clone)
    copies.bring_up_to_date(folder, PAGES)
    (folder / NEWER).unlink()  # the learner does not want it
    assert copies.bring_up_to_date(folder, PAGES) == [] and copies.newer_files(folder) == {}
    renew(clone, "third")
    copies.bring_up_to_date(folder, PAGES)
    mine = edit(folder / NEWER)
    renew(clone, "fourth")
    copies.bring_up_to_date(folder, PAGES)
    assert (folder / NEWER).read_bytes() == mine
    assert code(folder / "07-services.new2.ipynb") == "fourth"


def test_a_learner_who_takes_the_newer_file_is_up_to_date(clone: Path, folder: Path) -> None:
    copies.bring_up_to_date(folder, PAGES)
    edit(folder / SERVICES)
    renew(clone)
    copies.bring_up_to_date(folder, PAGES)
    (folder / NEWER).rename(folder / SERVICES)
    assert copies.bring_up_to_date(folder, PAGES) == []
    renew(clone, "third")
    assert copies.bring_up_to_date(folder, PAGES) == []
    assert code(folder / SERVICES) == "third"


def test_other_files_are_kept_in_the_same_way(clone: Path, folder: Path) -> None:
    copies.bring_up_to_date(folder, PAGES)
    for name in ("guestbook/Dockerfile", "figures/07.svg"):
        (clone / name).write_text("newer")
    (folder / "guestbook/Dockerfile").write_text("mine")
    assert len(copies.bring_up_to_date(folder, PAGES)) == 1
    assert (folder / "guestbook/Dockerfile").read_text() == "mine"
    assert (folder / "guestbook/Dockerfile.new").read_text() == (folder / "figures/07.svg").read_text() == "newer"


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_lesson_that_the_course_no_longer_has_goes_where_it_was_not_changed(
    clone: Path, folder: Path, is_changed: bool
) -> None:
    copies.bring_up_to_date(folder, PAGES)
    if is_changed:
        edit(folder / SERVICES)
    (folder / "mine.ipynb").write_text(notebook("mine"))
    copies.bring_up_to_date(folder, PAGES[:1])
    assert (folder / SERVICES).exists() == is_changed and (folder / "mine.ipynb").exists()


def test_a_copy_that_was_deleted_comes_back(clone: Path, folder: Path) -> None:
    copies.bring_up_to_date(folder, PAGES)
    (folder / SERVICES).unlink()
    copies.bring_up_to_date(folder, PAGES)
    assert (folder / SERVICES).exists()


def test_the_start_page_says_that_there_is_a_newer_lesson(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECLASS_FOLDER", str(folder))
    copies.bring_up_to_date(folder, study.pages())
    assert NEWER not in repr(course())
    edit(folder / SERVICES)
    (folder / "guestbook/app.py").write_text("mine")
    manifest = json.loads((folder / copies.MANIFEST).read_text())
    for name in (SERVICES, "guestbook/app.py"):
        manifest["files"][name]["digest"] = "of an older course"
    (folder / copies.MANIFEST).write_text(json.dumps(manifest))
    copies.bring_up_to_date(folder, study.pages())
    told, page = repr(course()), course()._repr_html_()
    assert f"The course's version is {NEWER}." in told and "guestbook/app.new.py" in told
    assert told.count("kubeclass lesson reset 07") == told.count("kubeclass lesson reset") == 1
    assert f'<a href="{NEWER}">{NEWER}</a>' in page and page.count("kubeclass lesson reset") == 1
    (folder / NEWER).unlink()
    assert NEWER not in repr(course())


# -- reset -----------------------------------------------------------------------------------------------------------


def test_a_lesson_is_put_back_and_what_the_learner_wrote_is_kept(clone: Path, folder: Path) -> None:
    copies.bring_up_to_date(folder, PAGES)
    mine = edit(folder / SERVICES)
    renew(clone)
    copies.bring_up_to_date(folder, PAGES)
    assert copies.reset(folder, SERVICES) == "07-services.backup.ipynb"
    assert (folder / "07-services.backup.ipynb").read_bytes() == mine
    assert code(folder / SERVICES) == "!kubectl get services"
    assert not (folder / NEWER).exists()
    assert copies.reset(folder, SERVICES) == ""  # nothing was changed: no backup
    again = edit(folder / SERVICES)
    assert copies.reset(folder, SERVICES) == "07-services.backup2.ipynb"
    assert (folder / "07-services.backup2.ipynb").read_bytes() == again
    assert (folder / "07-services.backup.ipynb").read_bytes() == mine
    assert copies.bring_up_to_date(folder, PAGES) == []


def test_a_lesson_is_put_back_by_a_command(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "is_changed_in_the_clone", lambda page: False)  # whoever runs this may write lessons
    copies.bring_up_to_date(folder, study.pages())
    mine = edit(folder / SERVICES)
    env = {"KUBECLASS_FOLDER": str(folder), "KUBECLASS_HOME": str(tmp_path)}
    done = kubeclass("lesson", "reset", "7", **env)
    assert done.returncode == 0, done.stderr
    assert "Your version is 07-services.backup.ipynb." in done.stdout
    assert (folder / "07-services.backup.ipynb").read_bytes() == mine
    assert "There is no lesson 'helm'" in kubeclass("lesson", "reset", "helm", **env).stderr


def test_a_disk_that_is_full_at_a_reset_leaves_the_learners_lesson_in_place(
    clone: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies.bring_up_to_date(folder, PAGES)
    mine = edit(folder / SERVICES)
    before = files_of(folder)
    fill_the_disk(monkeypatch, after=0)
    with pytest.raises(Problem, match="The disk is full"):
        copies.reset(folder, SERVICES)
    assert files_of(folder) == before and before[SERVICES] == mine


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["", "{", '{"cells": 3}', "[]", '{"cells": [1]}', '{"cells": [{"source": 5}]}'])
def test_a_damaged_notebook_is_kept_beside_the_one_of_the_course(clone: Path, folder: Path, broken: str) -> None:
    copies.bring_up_to_date(folder, PAGES)
    (folder / SERVICES).write_text(broken)
    for _ in range(2):
        (told,) = copies.bring_up_to_date(folder, PAGES)
        assert "it is damaged" in told and NEWER in told
        assert (folder / SERVICES).read_text() == broken
        assert copies.file_to_open(folder, SERVICES) == NEWER
        assert code(folder / NEWER).startswith("!kubectl get pods")
        (folder / NEWER).unlink()
    copies.bring_up_to_date(folder, PAGES)
    assert copies.reset(folder, SERVICES) == "07-services.backup.ipynb"
    assert (folder / "07-services.backup.ipynb").read_text() == broken
    assert not (folder / NEWER).exists()


def test_a_notebook_that_is_not_text_is_kept(clone: Path, folder: Path) -> None:
    copies.bring_up_to_date(folder, PAGES)
    (folder / SERVICES).write_bytes(b"\xff\xfe\x00")
    assert len(copies.bring_up_to_date(folder, PAGES)) == 1
    assert (folder / SERVICES).read_bytes() == b"\xff\xfe\x00"


def test_files_of_somebody_else_are_never_overwritten(clone: Path, folder: Path) -> None:
    (folder / "guestbook").mkdir(parents=True)
    theirs = {SERVICES: notebook("theirs"), "glossary.md": "theirs", "guestbook/Dockerfile": "theirs", NEWER: "theirs"}
    for name, text in theirs.items():
        (folder / name).write_text(text)
    told = copies.bring_up_to_date(folder, PAGES)
    assert len(told) == 4 and "because kubeclass did not create it" in told[1]
    for name, text in theirs.items():
        assert (folder / name).read_text() == text
    assert copies.newer_files(folder)[SERVICES] == "07-services.new2.ipynb"
    assert (folder / "glossary.new.md").read_text() == "# Glossary\n"


@pytest.mark.parametrize("damaged", ["{", '{"files": 3}', "[]"])
def test_a_manifest_that_is_damaged_or_gone_loses_nothing(clone: Path, folder: Path, damaged: str) -> None:
    copies.bring_up_to_date(folder, PAGES)
    mine = edit(folder / SERVICES)
    (folder / copies.MANIFEST).write_text(damaged)
    copies.bring_up_to_date(folder, PAGES)
    assert (folder / SERVICES).read_bytes() == mine
    renew(clone)
    copies.bring_up_to_date(folder, PAGES)
    assert (folder / SERVICES).read_bytes() == mine and code(folder / NEWER) == "!kubectl get services"


def fill_the_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """From the given number of files on, half of a file is written, then the disk is full."""
    written, plain = 0, Path.write_bytes

    def write_bytes(path: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > after:
            plain(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return plain(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


@pytest.mark.parametrize("after", range(6))
def test_a_full_disk_leaves_every_file_old_or_new(
    clone: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    copies.bring_up_to_date(folder, PAGES)
    before = files_of(folder)
    for name in (*PAGES, "glossary.md", "figures/07.svg", "guestbook/Dockerfile"):
        (clone / name).write_text(notebook("newer") if name.endswith(".ipynb") else "newer")
    mine = edit(folder / SERVICES)
    with monkeypatch.context() as patch, pytest.raises(Problem, match="The disk is full") as told:
        fill_the_disk(patch, after)
        copies.bring_up_to_date(folder, PAGES)
    assert "--folder" in str(told.value) and "Left as it was: all your files" in str(told.value)
    now = files_of(folder)
    assert now[SERVICES] == mine
    for name, content in now.items():
        if name not in (SERVICES, copies.MANIFEST):
            assert content == before.get(name) or b"newer" in content
            assert not name.endswith(".part") and (not name.endswith(".ipynb") or json.loads(content))
    copies.bring_up_to_date(folder, PAGES)  # there is space again
    assert (folder / SERVICES).read_bytes() == mine
    assert code(folder / NEWER) == code(folder / PAGES[0]) == "newer"
    assert (folder / "glossary.md").read_text() == "newer"


def test_a_folder_that_cannot_be_used_is_told(clone: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.parent.mkdir()
    folder.write_text("a file")
    with pytest.raises(Problem, match=r"cannot be used: File exists\.") as told:
        copies.bring_up_to_date(folder, PAGES)
    assert "Next: " in str(told.value) and folder.read_text() == "a file"
    folder.unlink()
    folder.symlink_to(folder.parent / "nowhere")
    with pytest.raises(Problem, match="cannot be used"):
        copies.bring_up_to_date(folder, PAGES)
    folder.unlink()
    folder.symlink_to(folder)
    with pytest.raises(Problem, match="cannot be used"):
        copies.bring_up_to_date(folder, PAGES)


def test_a_folder_with_a_directory_or_a_file_in_the_way_is_told(clone: Path, folder: Path) -> None:
    (folder / SERVICES).mkdir(parents=True)
    with pytest.raises(Problem, match=r"because of .*07-services\.ipynb: Is a directory"):
        copies.bring_up_to_date(folder, PAGES)
    (folder / SERVICES).rmdir()
    (folder / "figures").write_text("mine")
    with pytest.raises(Problem, match="cannot be used"):
        copies.bring_up_to_date(folder, PAGES)
    assert (folder / "figures").read_text() == "mine"


def test_a_folder_that_must_not_be_written_is_told(clone: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies.bring_up_to_date(folder, PAGES)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(Problem, match="cannot be used: Permission denied"):
        copies.bring_up_to_date(folder, PAGES)


def test_a_folder_in_the_clone_is_refused_also_by_a_link(clone: Path, folder: Path, tmp_path: Path) -> None:
    before = files_of(clone)
    link = tmp_path / "link"
    link.symlink_to(clone)
    for inside in (clone, clone.parent, clone / "mine", link, link / "mine"):
        with pytest.raises(Problem, match="is in the course's own folder") as told:
            copies.bring_up_to_date(inside, PAGES)
        assert "--folder DIR" in str(told.value)
    for name in ("guestbook", "work"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(clone)
        with pytest.raises(Problem, match="is in the course's own folder"):
            copies.bring_up_to_date(folder, PAGES)
        (folder / name).unlink()
    assert files_of(clone) == before


def test_a_folder_behind_a_link_is_used(clone: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    copies.bring_up_to_date(folder, PAGES)
    assert (tmp_path / "elsewhere" / SERVICES).exists() and folder.is_symlink()


# -- which folder ----------------------------------------------------------------------------------------------------


def test_a_folder_that_was_chosen_is_kept_for_later_calls(
    clone: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("KUBECLASS_FOLDER")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(study, "pages", lambda: PAGES)
    assert paths.folder() == tmp_path / "kubeclass" and paths.work() == tmp_path / "kubeclass" / "work"
    with pytest.raises(Problem):
        study.learners_folder(str(clone))
    assert paths.folder() == tmp_path / "kubeclass"  # what cannot be used is not kept
    monkeypatch.chdir(tmp_path)
    assert study.learners_folder("there") == tmp_path / "there"
    assert "Your copies of the lessons are in" in capsys.readouterr().err
    assert paths.folder() == study.learners_folder() == tmp_path / "there"
    assert study.learners_folder("~/home") == tmp_path / "home"
    monkeypatch.setenv("KUBECLASS_FOLDER", str(folder))
    assert paths.folder() == folder
    monkeypatch.delenv("KUBECLASS_FOLDER")
    (tmp_path / "own" / "learners-folder").write_bytes(b"\xff")
    assert paths.folder() == tmp_path / "kubeclass"


def test_a_clone_in_the_default_folder_has_its_copies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("KUBECLASS_FOLDER")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(paths, "COURSE", tmp_path / "kubeclass")
    assert paths.folder() == tmp_path / "kubeclass-lessons"
    monkeypatch.setattr(paths, "COURSE", tmp_path / "elsewhere")
    assert paths.folder() == tmp_path / "kubeclass"
    for name in ("cluster", "lessons"):
        (tmp_path / "kubeclass" / name).mkdir(parents=True)
    (tmp_path / "kubeclass" / "cluster" / "versions.json").write_text("{}")  # another clone
    assert paths.folder() == tmp_path / "kubeclass-lessons"
    with pytest.raises(Problem, match="is in the course's own folder"):
        copies.bring_up_to_date(tmp_path / "kubeclass" / "lessons", PAGES)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_jupyterlab_opens_the_copies(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_damaged: bool
) -> None:
    """Its root, its terminals and the folder of `work` are the learner's folder."""
    monkeypatch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(tmp_path / "workspaces"))
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("KUBECLASS_FOLDER")
    started: list[tuple[list[str], dict[str, Any]]] = []

    class Server:
        def __init__(self, words: list[str], **settings: Any) -> None:
            started.append((words, settings))

        def wait(self) -> None: ...

        def poll(self) -> int:
            return 0

    own = study.learners_folder(str(folder))
    monkeypatch.setattr("subprocess.Popen", Server)
    monkeypatch.setattr(study, "_cluster_behind", lambda cluster: nullcontext())
    monkeypatch.setattr(study, "_wait_until_listening", lambda server, port: None)
    if is_damaged:
        (folder / SERVICES).write_text("{")
        study.learners_folder()
    study.study(Cluster("kubeclass", tmp_path / "kubeconfig"), study.page_to_open("07"), own, browser=False)
    ((words, settings),) = started
    stem = "07-services-new" if is_damaged else "07-services"
    assert f"--ServerApp.root_dir={folder}" in words
    assert f"--LabApp.default_url=/lab/workspaces/{stem}" in words
    assert "--ContentsManager.hide_globs=lessons" in words
    assert settings["cwd"] == folder and settings["env"]["KUBECLASS_FOLDER"] == str(folder)
    (workspace,) = (tmp_path / "workspaces").iterdir()
    assert f"notebook:{NEWER if is_damaged else SERVICES}" in json.loads(workspace.read_text())["data"]


# -- what a learner wrote into the clone, with an older course -------------------------------------------------------


def test_files_of_lessons_work_are_copied_once(clone: Path, folder: Path) -> None:
    (clone / "work" / "07").mkdir(parents=True)
    (clone / "work" / "07" / "service.yaml").write_text("kind: Service\n")
    (clone / "work" / "dangling").symlink_to("nowhere")
    told = copies.bring_up_to_date(folder, PAGES)
    assert told[1:] == [f"Your files for the labs were copied from {clone / 'work'} to {folder / 'work'}."]
    assert (folder / "work/07/service.yaml").read_text() == "kind: Service\n"
    assert (clone / "work/07/service.yaml").exists()
    (folder / "work/07/service.yaml").unlink()
    (folder / "work/07").rmdir()
    assert copies.bring_up_to_date(folder, PAGES) == []
    assert not any((folder / "work").iterdir())


def test_files_of_lessons_work_are_not_mixed_with_others(clone: Path, folder: Path) -> None:
    (clone / "work").mkdir()
    (clone / "work" / "hello.yaml").write_text("old")
    (folder / "work").mkdir(parents=True)
    (folder / "work" / "hello.yaml").write_text("mine")
    assert len(copies.bring_up_to_date(folder, PAGES)) == 1
    assert (folder / "work/hello.yaml").read_text() == "mine"


def test_a_file_of_lessons_work_that_may_not_be_read_is_named(
    clone: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "work").mkdir()
    for name in ("data.rdb", "hello.yaml"):
        (clone / "work" / name).write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".rdb"))  # root may read everything
    _, told = copies.bring_up_to_date(folder, PAGES)
    assert told.endswith("could not be read, and they were not copied: data.rdb.")
    assert [path.name for path in (folder / "work").iterdir()] == ["hello.yaml"]


def test_a_disk_that_is_full_while_work_is_copied_is_told_and_it_is_copied_later(
    clone: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "work").mkdir()
    (clone / "work" / "hello.yaml").write_text("old")

    def full(source: Path, target: Path) -> None:
        target.write_text("o")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(Problem, match="The disk is full"):
        patch.setattr("shutil.copy2", full)
        copies.bring_up_to_date(folder, PAGES)
    assert not any((folder / "work").iterdir()) and not list(folder.glob(".work*"))
    copies.bring_up_to_date(folder, PAGES)
    assert (folder / "work/hello.yaml").read_text() == "old"


def test_a_lesson_that_was_changed_in_the_clone_is_kept(clone: Path, folder: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *words], cwd=clone, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "The course")
    data = json.loads((clone / PAGES[0]).read_text())
    data["cells"][1]["outputs"] = []
    (clone / PAGES[0]).write_text(json.dumps(data))  # this one was only run
    mine = edit(clone / SERVICES)
    told = copies.bring_up_to_date(folder, PAGES)
    backup = "07-services.backup.ipynb"
    assert told[1:] == [f"You have changed {SERVICES} in the clone. Your version was also copied to {backup}."]
    git("checkout", ".")
    assert copies.bring_up_to_date(folder, PAGES) == []
    assert (folder / backup).read_bytes() == mine
    assert code(folder / SERVICES).startswith("!kubectl get pods")
    assert len(list(folder.glob("*.backup*"))) == 1
