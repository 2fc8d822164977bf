"""A class of two with JupyterHub on the tests' cluster, made as a teacher makes it."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from cluster import Cluster, current
from cluster.tools import kubectl_path
from tests.conftest import chromium
from tests.hub import deploy

command = importlib.import_module("tests.class.conftest").command  # `class` is no name that Python imports by itself
NAME = "hub-t"
ROSTER = "id,name\nada,Ada Lovelace\nbob,Bob Byte\n"
CULL_AFTER = 150  # seconds: longer than a learner is quiet in these tests


@dataclass(frozen=True)
class Hub:
    """The hub at work. address: where learners open it. cluster: as its administrator."""

    address: str
    cluster: Cluster
    home: Path
    roster: Path


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """KUBECLASS_KEEP leaves class and hub on the cluster, to look at them."""
    folder = tmp_path_factory.mktemp("hub")
    home, roster, cluster = folder / "home", folder / "roster.csv", current()
    home.mkdir()
    roster.write_text(ROSTER)
    built = deploy.build_images()
    deploy.load(cluster, built)
    where = ("--context", cluster.context, "--kubeconfig", str(cluster.kubeconfig))
    made = command("create", NAME, "--roster", str(roster), "--hub", *where, "--yes", "--json", home=home)
    assert made.returncode == 0, made.stderr
    try:
        deploy.deploy(cluster, NAME, built[0], CULL_AFTER)
        with forwarded(cluster) as address:
            yield Hub(address, cluster, home, roster)
    finally:
        if not os.environ.get("KUBECLASS_KEEP"):
            removed = command("remove", NAME, "--yes", "--json", *where, home=home)
            deploy.remove(cluster)
    if not os.environ.get("KUBECLASS_KEEP"):
        assert removed.returncode == 0 and json.loads(removed.stdout)["left"] == [], removed.stdout + removed.stderr


class forwarded:
    """A port of this machine that leads to the hub's proxy."""

    def __init__(self, cluster: Cluster) -> None:
        config = (f"--kubeconfig={cluster.kubeconfig}", f"--context={cluster.context}")
        words = ("port-forward", "-n", deploy.NAMESPACE, "service/proxy-public", ":80")
        self._process = subprocess.Popen(
            [str(kubectl_path()), *config, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __enter__(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, line
        return f"http://127.0.0.1:{found[1]}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"]
        opened = playwright.chromium.launch(executable_path=chromium(), args=flags)
        yield opened
        opened.close()
