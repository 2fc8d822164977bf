"""What conda installs is what pip installs: environment.yml, and the recipe for conda-forge, both against pyproject."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import jinja2
import yaml

from cluster import paths

PROJECT = tomllib.loads((paths.COURSE / "pyproject.toml").read_text())
# The packages that conda-forge has under another name.
ON_CONDA_FORGE = {"kubernetes": "python-kubernetes", "jupyterlab-server": "jupyterlab_server"}
# What is no Python package, and what installs one.
BEYOND = {"kubernetes-kind", "kubernetes-client", "pip"}


def as_conda_names_it(requirement: str) -> str:
    """A requirement of pyproject under the name that conda-forge has for it."""
    return re.sub(r"^[a-z0-9_-]+", lambda name: ON_CONDA_FORGE.get(name.group(), name.group()), requirement)


def required() -> set[str]:
    """What pyproject requires, as conda names it."""
    python = f"python{PROJECT['project']['requires-python']}"
    return {python, *map(as_conda_names_it, PROJECT["project"]["dependencies"])}


def environment() -> set[str]:
    """The conda packages of environment.yml, each with its versions."""
    entries = yaml.safe_load((paths.COURSE / "environment.yml").read_text())["dependencies"]
    return {entry for entry in entries if isinstance(entry, str)}


def recipe() -> dict[str, Any]:
    """The recipe, rendered as conda-build renders it. A name that conda-build does not give is an error."""
    text = (paths.COURSE / "recipe" / "meta.yaml").read_text()
    rendered = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(PYTHON="python")
    read: dict[str, Any] = yaml.load(rendered, yaml.BaseLoader)
    return read


def test_environment_yml_says_the_same_as_pyproject() -> None:
    assert required() <= environment()
    assert {re.match(r"[a-z-]+", entry).group() for entry in environment() - required()} == BEYOND


def test_the_recipe_installs_the_same_as_environment_yml() -> None:
    entries = recipe()["requirements"]["run"]
    assert {entry.replace(" ", "") for entry in entries} == environment() - {"pip"}


def test_the_recipe_is_of_this_version_and_has_its_command() -> None:
    read, project = recipe(), PROJECT["project"]
    assert read["package"] == {"name": project["name"], "version": project["version"]}
    assert read["build"]["entry_points"] == [f"{name} = {code}" for name, code in project["scripts"].items()]
    about = {"summary": project["description"], "license": project["license"], "license_file": "LICENSE"}
    assert read["about"] == about
    assert (paths.COURSE / about["license_file"]).is_file()


def test_the_recipe_builds_with_what_pyproject_builds_with() -> None:
    host = {entry.replace(" ", "") for entry in recipe()["requirements"]["host"]}
    least = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert host == {f"python{least}", "pip", *PROJECT["build-system"]["requires"]}
