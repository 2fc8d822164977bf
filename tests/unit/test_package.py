"""What the wheel holds and where the installed course finds it. `make package` builds it and tries it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from checker.authoring.new import new_lab
from checker.grading.labs import all_labs
from checker.ui import study
from checker.ui.cli import app
from cluster import Problem, doctor, paths
from cluster.versions import course_version

PROJECT = tomllib.loads((paths.COURSE / "pyproject.toml").read_text())
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
# One file of each kind that the course reads when it runs, by where it is read.
NEEDED = (
    "checker/model/catalogue/en/ui.yaml",
    "checker/authoring/template/setup/guestbook.yaml",
    "checker/ui/base_widget.css",
    "checker/ui/base_widget.js",
    "checker/ui/panel/panel.css",
    "checker/ui/picture/picture.js",
    "checker/ui/jupyter/labconfig/default_setting_overrides.json",
    "cluster/versions.json",
    "cluster/language/en.yaml",
    "cluster/recipe/Dockerfile",
    "cluster/recipe/route-pods",
    "cluster/observer/manifest.yaml",
    "cluster/podman-as-docker",
    "cluster/metrics-server.yaml",
    "lessons/00-start.ipynb",
    "lessons/glossary.md",
    "lessons/figures/04-pod.svg",
    "lessons/guestbook/Dockerfile",
    "labs/07-services/lab.yaml",
    "labs/07-services/tasks.py",
    "labs/07-services/causes.yaml",
    "labs/07-services/setup/guestbook.yaml",
    "labs/07-services/solution/make.sh",
    "labs/07-services/mistakes/selector-typo.yaml",
    "labs/11-configuration/programs/compare_secrets.py",
)


def in_git() -> list[str]:
    """The files that git has, or would have: hatchling leaves out what git ignores."""
    words = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(words, cwd=paths.COURSE, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if (paths.COURSE / name).is_file()]


def in_the_wheel() -> dict[str, str]:
    """The wheel's files as hatchling makes them from pyproject.toml: their names in it, by those in the clone."""
    left_out = [pattern.removeprefix("/") for pattern in WHEEL["exclude"]]
    held = {}
    for name in in_git():
        top, _, rest = name.partition("/")
        if top in WHEEL["only-include"] and not any(fnmatch(name, p) or fnmatch(name, f"{p}/*") for p in left_out):
            held[name] = f"{WHEEL['sources'].get(top, top)}/{rest}"
    return held


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder like site-packages with the wheel's files in it; of the labs only 01 and 07."""
    for name, target in in_the_wheel().items():
        if not re.match(r"labs/(?!01|07)", name):
            (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(paths.COURSE / name, tmp_path / target)
    info = tmp_path / "kubeclass-9.9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: kubeclass\nVersion: 9.9.9\n")
    return tmp_path


def python(installed: Path, code: str) -> str:
    """What a Python prints that has only site-packages, and no clone, before its own packages."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("KUBECLASS_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=installed,
        env={**env, "PYTHONPATH": str(installed), "HOME": str(installed / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_the_wheel_holds_all_that_the_course_reads() -> None:
    assert not set(NEEDED) - set(in_the_wheel())
    lessons = [name for name in in_git() if name.startswith("lessons/") and name.endswith((".ipynb", ".md", ".svg"))]
    assert lessons and not set(lessons) - set(in_the_wheel())


def test_the_wheel_holds_no_recordings_and_no_tests() -> None:
    assert not [name for name in in_the_wheel() if "/recorded/" in name or name.startswith(("tests/", "docs/"))]


def test_the_wheel_has_one_name_in_site_packages() -> None:
    assert {target.split("/")[0] for target in in_the_wheel().values()} == {"kubeclass"}


def test_an_installed_course_finds_its_lessons_and_labs(installed: Path) -> None:
    code = (
        "import kubeclass\nfrom checker.grading.labs import load_lab\nfrom cluster import paths\n"
        "from checker.ui.study import page_of\nprint(paths.COURSE, paths.is_installed(), page_of('07'), "
        "load_lab('07').folder.name)"
    )
    course = installed.resolve() / "kubeclass" / "course"
    assert python(installed, code) == f"{course} True 07-services.ipynb 07-services"


def test_an_installed_course_has_the_version_of_its_distribution(installed: Path) -> None:
    assert python(installed, "import kubeclass\nimport cluster.versions as v\nprint(v.course_version())") == "9.9.9"


def test_packages_of_the_same_name_are_not_taken_for_the_courses(installed: Path) -> None:
    for name in ("checker", "cluster"):
        (installed / name).mkdir()
        (installed / name / "__init__.py").write_text("raise ImportError('of somebody else')\n")
    code = (
        "import sys, kubeclass\nsys.argv = ['kubeclass', '--version']\ntry:\n    kubeclass.main()\n"
        "finally:\n    import os\n    print(os.environ['PYTHONPATH'])"
    )
    course = installed.resolve() / "kubeclass" / "course"
    assert python(installed, code) == f"kubeclass 9.9.9\n{course}{os.pathsep}{installed}"


def test_the_version_of_a_clone_is_that_of_pyproject() -> None:
    assert not paths.is_installed()
    assert course_version() == PROJECT["project"]["version"]


def test_no_lab_is_made_in_an_installed_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "COURSE", tmp_path)
    monkeypatch.delenv("KUBECLASS_LABS", raising=False)
    with pytest.raises(Problem, match="Nothing is written there") as told:
        new_lab("42", "answers")
    assert "KUBECLASS_LABS" in str(told.value)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("KUBECLASS_LABS", str(tmp_path.parent / "own-labs"))
    assert new_lab("42", "answers").is_dir()


def run_as_the_service(step: dict[str, Any], folder: Path, **variables: str) -> None:
    """Run a shell step of the workflow in a folder, with the options of bash that GitHub gives.

    Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#defaultsrunshell
    """
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    subprocess.run(words, cwd=folder, env={**os.environ, **variables}, check=True)


def test_the_nightly_proof_has_a_part_for_each_finished_lab(tmp_path: Path) -> None:
    """The shell step of the workflow that lists the parts, run as the service runs it."""
    workflow = yaml.safe_load((paths.COURSE / ".github" / "workflows" / "ci.yml").read_text())
    (step,) = (step for step in workflow["jobs"]["parts"]["steps"] if step.get("id") == "list")
    output = tmp_path / "output"
    run_as_the_service(step, paths.COURSE, GITHUB_OUTPUT=str(output))
    parts = json.loads(output.read_text().removeprefix("parts="))
    assert [part["lab"] for part in parts if "lab" in part] == all_labs()
    assert [part["part"] for part in parts if "lab" not in part] == ["lesson-00", "explain"]


def test_the_nightly_proof_shows_what_the_recordings_have_changed(tmp_path: Path) -> None:
    """The shell step of the workflow, in a small clone with one recording that has changed."""
    workflow = yaml.safe_load((paths.COURSE / ".github" / "workflows" / "ci.yml").read_text())
    (step,) = (step for step in workflow["jobs"]["prove"]["steps"] if "recordings.diff" in step.get("run", ""))
    recording = tmp_path / "labs" / "07-services" / "recorded" / "setup.json"
    for folder in ("labs/07-services/recorded", "lessons", "tests", "docs"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "kept").touch()
    recording.write_text("before\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    recording.write_text("after\n")
    summary = tmp_path / "summary"
    run_as_the_service(step, tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    assert "labs/07-services/recorded/setup.json | 2 +-" in summary.read_text()
    assert "-before\n+after\n" in (tmp_path / "recordings.diff").read_text()


def test_the_services_run_commands_that_the_makefile_has() -> None:
    workflow = yaml.safe_load((paths.COURSE / ".github" / "workflows" / "ci.yml").read_text())
    github = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    jobs = yaml.safe_load((paths.COURSE / ".gitlab-ci.yml").read_text()).values()
    gitlab = [line for job in jobs if isinstance(job, dict) for line in job.get("script", [])]
    makefile = (paths.COURSE / "Makefile").read_text()
    commands = re.search("^[.]PHONY: (.*)$", makefile, re.MULTILINE)
    assert commands
    for steps in (github, gitlab):
        called = {step.removeprefix("make ") for step in steps if step.startswith("make ")}
        assert {"test", "package", "smoke", "site", "prove"} <= called <= set(commands[1].split())


def test_the_development_container_runs_what_there_is() -> None:
    """The properties are those of the published schema: containers.dev/implementors/json_reference."""
    text = (paths.COURSE / ".devcontainer" / "devcontainer.json").read_text()
    container = json.loads(re.sub("^ *//.*$", "", text, flags=re.MULTILINE))
    at_creation, *later = (container[f"post{moment}Command"] for moment in ("Create", "Start", "Attach"))
    target = at_creation.removeprefix("make ")
    assert f"\n{target.replace('.venv', '$(VENV)')}:" in (paths.COURSE / "Makefile").read_text()
    for command in later:
        program, name, *options = command.split()
        assert program == ".venv/bin/kubeclass"
        known = {option for parameter in app.commands[name].params for option in parameter.opts}
        assert set(options) <= known
    assert container["forwardPorts"] == [study.PORT] and list(container["portsAttributes"]) == [str(study.PORT)]
    # The engine runs in it, as root (cluster/engine.py), and its layers are on a volume.
    assert container["privileged"] and "remoteUser" not in container
    assert [mount for mount in container["mounts"] if "target=/var/lib/docker,type=volume" in mount]
    assert int(container["hostRequirements"]["memory"].removesuffix("gb")) * doctor.GIB >= doctor.GOOD_MEMORY


def test_gitlab_proves_the_same_parts() -> None:
    jobs = yaml.safe_load((paths.COURSE / ".gitlab-ci.yml").read_text())
    labs, lessons, rest = jobs["prove"]["parallel"]["matrix"]
    numbers = [path.name[:2] for path in sorted((paths.COURSE / "lessons").glob("[0-9][0-9]-*.ipynb"))]
    assert (labs, lessons, rest) == ({"LAB": all_labs()}, {"LESSON": numbers}, {"EXPLAIN": ["1"]})


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("gitlab-ci", ".gitlab-ci.yml"),
        ("github-workflows", ".github/workflows/ci.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/does-not-work.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/wrong-grade.yml"),
    ],
)
def test_the_services_files_keep_to_the_published_schema(schema: str, file: str) -> None:
    """The schemas are those that check-jsonschema brings with it; nothing is downloaded."""
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(paths.COURSE / file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_forms_for_issues_ask_for_the_machine() -> None:
    forms = sorted((paths.COURSE / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
    assert forms
    for form in forms:
        body = yaml.safe_load(form.read_text())["body"]
        asked = {field["attributes"]["label"] for field in body if field.get("validations", {}).get("required")}
        for command in ("kubeclass doctor --json", "kubeclass --version"):
            assert any(command in label for label in asked), form.name


def test_the_changes_begin_with_this_version() -> None:
    titles = re.findall(r"^## (\S+?),? ", (paths.COURSE / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert titles[0] == course_version()
