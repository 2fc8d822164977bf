"""The evening before a workshop: a bundle is saved here, and used on bare Debian machines that reach no network.

The machines have Python and an engine, and no clone. They do what the README says, then lab 07, and open JupyterLab.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from checker.ui.study import environment
from cluster import current, paths
from cluster.process import run
from tests.machines.box import in_a_box

pytestmark = [pytest.mark.engine, pytest.mark.alone("engine", "cluster")]
STICK = "/media/stick"  # in the README
# Debian's suites, with the packages that a machine has beside those of `minbase`.
SYSTEMS = {
    "bookworm": "docker.io,iptables,python3-venv",  # Docker 20.10, Python 3.11
    "trixie": "docker.io,docker-cli,iptables,python3-venv",  # Docker 26, Python 3.13
}
# The machine's own Python runs this. Arguments: the README's commands. It prints what came of it, and the times.
SCHOOL = r"""
import json, os, re, signal, subprocess, sys, time, urllib.request

os.chdir(os.environ["HOME"])
routes = open("/proc/net/route").read().splitlines()[1:]
took = {}

def do(title, command, expect=0):
    begin = time.monotonic()
    done = subprocess.run(["sh", "-ec", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    took[title] = round(time.monotonic() - begin)
    if done.returncode != expect:
        sys.exit(f"{command}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout

for command in sys.argv[1:]:
    for part in command.split(" && "):
        do(re.sub(r"(?<!\S)/\S*/", "", part), part)
nodes = do("status", "venv/bin/kubeclass status --json")
do("start 07", "venv/bin/kubeclass start 07 --yes")
unsolved = do("check 07", "venv/bin/kubeclass check 07 --json", expect=1)
do("solve 07", "venv/bin/kubeclass solve 07")
solved = do("check 07 again", "venv/bin/kubeclass check 07 --json --wait 120")
explained = do("explain", "venv/bin/kubeclass explain")
begin = time.monotonic()
study = subprocess.Popen(
    ["venv/bin/kubeclass", "study", "07", "--no-browser"],
    stderr=subprocess.PIPE,
    text=True,
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # else it may ignore it
)
for line in study.stderr:
    if found := re.search(r"http://127\S+", line):
        break
else:
    sys.exit("JupyterLab does not begin.")
page = urllib.request.urlopen(found.group(), timeout=60).read().decode()
took["study"] = round(time.monotonic() - begin)
study.send_signal(signal.SIGINT)
study.communicate(timeout=60)
version = do("engine", "docker version --format '{{.Server.Version}}'").strip()
do("down", "venv/bin/kubeclass down")
print(json.dumps({
    "routes": routes, "took": took, "engine": version, "python": sys.version.split()[0], "status": json.loads(nodes),
    "unsolved": json.loads(unsolved), "solved": json.loads(solved), "explained": explained, "page": "jupyter" in page,
}))
"""


def commands() -> list[str]:
    """What the README says for a machine without a network: the second block of commands of its section."""
    _, section = (paths.COURSE / "README.md").read_text().split("\n## The evening before a workshop\n")
    blocks = re.findall(r"(?:^ {4}\S.*\n)+", section, re.M)
    return [line.strip() for line in blocks[1].splitlines()]


@pytest.fixture(scope="module")
def stick() -> Iterator[Path]:
    """A folder with a bundle."""
    with tempfile.TemporaryDirectory(prefix="kubeclass-stick-") as folder:
        begin = time.monotonic()
        save = (sys.executable, "-m", "checker.ui.cli", "bundle", "save", f"{folder}/kubeclass.tar")
        subprocess.run(save, env=environment(current()), check=True)
        size = (Path(folder) / "kubeclass.tar").stat().st_size / 1024**3
        print(f"bundle save: {time.monotonic() - begin:.0f} s, {size:.1f} GiB")
        yield Path(folder)


@pytest.mark.parametrize("suite", SYSTEMS)
def test_a_bundle_is_all_that_a_machine_without_a_network_needs(suite: str, stick: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="kubeclass-school-") as folder:
        root = Path(folder)
        run("mmdebstrap", "-q", "--variant=minbase", f"--include={SYSTEMS[suite]}", suite, folder, timeout=900)
        (root / "lib/modules").mkdir(parents=True, exist_ok=True)  # kind mounts it into the nodes
        bare = ("env", "-i", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        readme = [line.replace(STICK, str(stick)) for line in commands()]
        done = in_a_box(*bare, "python3", "-c", SCHOOL, *readme, root=root, share=[stick], timeout=2400)
        assert done.returncode == 0, done.stdout + done.stderr
    came = json.loads(done.stdout.splitlines()[-1])
    assert came["routes"] == []
    assert came["status"]["ready"] and len(came["status"]["nodes"]) == 3, came["status"]
    assert came["unsolved"]["score"] < came["unsolved"]["max_score"]
    assert came["solved"]["score"] == came["solved"]["max_score"] > 0, came["solved"]
    assert came["page"]
    assert "Downloading" not in done.stderr and "Pulling" not in done.stderr and "from source" not in done.stderr
    times = "\n".join(f"{seconds:5d} s  {title}" for title, seconds in came["took"].items())
    print(f"Debian {suite}, Docker {came['engine']}, Python {came['python']}:\n{times}\n{done.stderr}")
