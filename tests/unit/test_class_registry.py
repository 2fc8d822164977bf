"""A class that pulls its images from a registry: names in set-ups and solutions, and verdicts on them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from checker import recording
from checker.classroom import joined
from checker.classroom.access import ClassAccess
from checker.classroom.access import write as write_access
from checker.classroom.lessons import InClass
from checker.classroom.needs import fitted
from checker.classroom.registry import (
    checked_prefix,
    in_words,
    prefixed,
    prefixed_copy,
    prefixed_objects,
    send_function,
)
from checker.environments.namespace import NO_NAMESPACES
from checker.grading.grade import judge
from checker.grading.labs import all_labs, load_lab
from checker.model.state import State
from checker.ui import study
from checker.ui.lesson_files import lesson
from cluster import Cluster, Problem, observer

PREFIX = "registry.example:5000/course"
IN_CLUSTER = [number for number in all_labs() if not load_lab(number).spec.needs.engine]


def images_in(node: Any) -> Iterator[str]:
    """The images of containers, wherever they are in an object."""
    if isinstance(node, dict):
        if isinstance(node.get("image"), str):
            yield node["image"]
        for value in node.values():
            yield from images_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from images_in(value)


@pytest.mark.parametrize("good", ["registry.example/course", "localhost:5000", "team", "r.example:5000/a/b-c"])
def test_a_prefix_is_taken_without_the_slash_at_its_end(good: str) -> None:
    assert checked_prefix(f" {good}/ ") == good


@pytest.mark.parametrize("bad", ["https://registry.example", "a b", "registry.example/course#x", "-x", "a'b", "a//b"])
def test_what_is_no_prefix_is_told(bad: str) -> None:
    with pytest.raises(Problem, match="is no place of images"):
        checked_prefix(bad)


@pytest.mark.parametrize("number", IN_CLUSTER)
def test_every_image_of_a_set_up_and_a_solution_has_the_prefix(number: str) -> None:
    lab = load_lab(number)
    with prefixed_copy(lab.folder, PREFIX) as copy:
        files = [file for folder in ("setup", "solution") for file in sorted((copy / folder).rglob("*.yaml"))]
        found = [image for file in files for one in yaml.safe_load_all(file.read_text()) for image in images_in(one)]
        scripts = [(copy / "solution" / "make.sh").read_text()] if (copy / "solution" / "make.sh").exists() else []
    assert not copy.exists()
    assert [image for image in found if not image.startswith(f"{PREFIX}/")] == []
    assert all(image.count(PREFIX) == 1 for image in found)
    named = [name for text in scripts for name in re.findall(r"(?:--image=|set image .*=)(\S+)", text)]
    assert [name for name in named if not name.startswith(f"{PREFIX}/")] == []
    if lab.is_generated:
        made = [one for objects in lab.generated("7").values() for one in prefixed_objects(objects, PREFIX)]
        assert {image.startswith(f"{PREFIX}/") for image in images_in(made)} == {True}


def test_without_a_registry_nothing_is_changed() -> None:
    lab = load_lab("07")
    with prefixed_copy(lab.folder, "") as folder:
        assert folder == lab.folder
    assert prefixed("image: redis:8", "") == "image: redis:8"


def test_a_name_that_has_the_prefix_keeps_it_once() -> None:
    once = prefixed("image: redis:8\nargs: [--image=guestbook:v1]", PREFIX)
    assert once == f"image: {PREFIX}/redis:8\nargs: [--image={PREFIX}/guestbook:v1]"
    assert prefixed(once, PREFIX) == once


@pytest.mark.parametrize("number", IN_CLUSTER)
def test_a_solution_with_images_of_a_registry_has_the_same_marks(number: str) -> None:
    """The State that was recorded of the solution is judged with the prefix before each image's name."""
    lab = load_lab(number)
    state, _ = recording.load(lab.folder / "recorded" / "solution.json")
    text = re.sub(r'(?<=")((?:guestbook|redis):v?\d[^"]*")', rf"{PREFIX}/\1", json.dumps(state.to_json()))
    assert PREFIX in text
    changed = State.from_json(json.loads(text))
    told, before = judge(lab, changed), judge(lab, state)
    assert [(task.id, task.verdict, task.cause) for task in told.tasks] == [
        (task.id, task.verdict, task.cause) for task in before.tasks
    ]
    assert told.score == before.score > 0


def test_a_script_that_applies_from_its_standard_input_has_the_prefix(tmp_path: Path) -> None:
    tool = tmp_path / "kubectl"
    tool.write_text('#!/bin/sh\necho "$*"\ncase "$*" in *"-f -"*) cat ;; esac\n')
    tool.chmod(0o755)
    script = """
kubectl create namespace learn-data
printf '%s\\n' 'image: redis:8' '{"image": "guestbook:v1"}' 'image: other/redis:8' | kubectl apply -n learn -f -
kubectl apply -f a.yaml
"""

    def said(prefix: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", send_function(prefix) + NO_NAMESPACES + script],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    asked = ["apply -n learn -f -", "apply -f a.yaml"]
    same = ["image: redis:8", '{"image": "guestbook:v1"}', "image: other/redis:8"]
    assert said("") == [asked[0], *same, asked[1]]
    with_prefix = [f"image: {PREFIX}/redis:8", f'{{"image": "{PREFIX}/guestbook:v1"}}', "image: other/redis:8"]
    assert said(PREFIX) == [asked[0], *with_prefix, asked[1]]


def test_a_lab_in_such_a_class_names_the_images_as_the_class_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECLASS_HOME", str(tmp_path))
    task = fitted(load_lab("05"), join_class(tmp_path)).spec.tasks[0]
    assert f"the image {PREFIX}/guestbook:v1" in task.text
    assert in_words(task.text, PREFIX) == task.text


# An image of the course without a prefix, anywhere in a command or a manifest.
SHORT = re.compile(r"(?<![\w/.-])(?:guestbook|redis|python):v?\d")


@pytest.mark.parametrize("page", study.pages())
def test_commands_and_manifests_of_a_lesson_have_the_prefix(page: str) -> None:
    code = [
        line
        for cell in json.loads(lesson(page, InClass(PREFIX)))["cells"]
        if cell["cell_type"] == "code"
        for line in "".join(cell["source"]).splitlines()
    ]
    if page.startswith("01"):  # it is about the learner's own container engine
        assert lesson(page, InClass(PREFIX)) == lesson(page, InClass())
    else:
        assert [line for line in code if SHORT.search(line) and "docker" not in line] == []


def test_the_copies_of_lessons_have_the_prefix_while_such_a_class_is_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KUBECLASS_HOME", "KUBECLASS_WORK"):
        monkeypatch.setenv(name, str(tmp_path / name))

    def command() -> str:
        study.learners_folder(str(tmp_path / "folder"))
        return next(line for line in (tmp_path / "folder" / "07-services.ipynb").read_text().splitlines() if IN in line)

    assert f"{IN}guestbook:v1 " in command()
    join_class(tmp_path)
    assert f"{IN}{PREFIX}/guestbook:v1 " in command()
    joined.leave()
    assert f"{IN}guestbook:v1 " in command()


IN = "kubectl create deployment demo --image="


def join_class(folder: Path) -> Cluster:
    access = ClassAccess(
        name="autumn",
        learner="ada",
        namespace="autumn-ada",
        registry=PREFIX,
        expires=datetime(2026, 12, 1, tzinfo=UTC),
        server="https://192.0.2.1:6443",
        token="t",
    )
    write_access(folder / "ada.yaml", access)
    return joined.join(folder / "ada.yaml").cluster


def test_the_observer_and_the_wall_are_pulled_from_there() -> None:
    def images(registry: str) -> list[str]:
        return list(images_in(list(yaml.safe_load_all(observer.manifests(registry=registry)))))

    assert images("") == ["python:3.13-slim"] * 2
    assert images(PREFIX) == [f"{PREFIX}/python:3.13-slim"] * 2
    digests = {
        json.dumps(one["spec"]["template"]["metadata"]["annotations"])
        for registry in ("", PREFIX)
        for one in yaml.safe_load_all(observer.manifests(registry=registry))
        if one["kind"] == "Deployment" and one["metadata"]["name"] == "observer"
    }
    assert len(digests) == 1  # an observer that is ready stays, wherever its image came from


def test_the_images_are_pushed_under_their_names_in_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    from checker.classroom import images

    ran: list[tuple[str, ...]] = []
    prepared: list[str] = []
    monkeypatch.setattr(images.images, "prepare", prepared.append)
    monkeypatch.setattr(images, "run", lambda *words, **_: ran.append(words))
    told: list[str] = []
    images.push("podman", PREFIX, told.append)
    names = ["python:3.13-slim", "redis:8", "guestbook:v1", "guestbook:v2", "guestbook:v3"]
    assert prepared == ["podman"] and told == [f"{PREFIX}/{name}" for name in names]
    tagged_and_pushed = [(("podman", "tag", n, f"{PREFIX}/{n}"), ("podman", "push", f"{PREFIX}/{n}")) for n in names]
    assert ran == [words for pair in tagged_and_pushed for words in pair]


def test_the_images_of_a_registry_are_listed() -> None:
    from click.testing import CliRunner

    from checker.ui.class_cli import class_commands

    done = CliRunner().invoke(class_commands, ["images", "--registry", f"{PREFIX}/", "--json"])
    told = json.loads(done.output)
    assert told["registry"] == PREFIX and not told["pushed"]
    assert told["images"]["redis:8"] == f"{PREFIX}/redis:8"
    empty = CliRunner().invoke(class_commands, ["images", "--registry", ""]).exception
    assert "Nothing is no place of images" in str(empty)
