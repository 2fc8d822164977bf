"""Two learners of a class work in JupyterHub by a browser, apart from each other (`make hub`; see conftest.py)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from checker.classroom.hub import MEMORY, MEMORY_LIMIT
from checker.model.quantity import quantity
from cluster import Problem, paths
from cluster.kubectl import kubectl
from cluster.waiting import wait_until
from tests.browser.jupyterlab import in_a_terminal, keep_screenshot, panel_of
from tests.hub.conftest import CULL_AFTER, NAME, Hub, command
from tests.hub.deploy import PASSWORD

pytestmark = [pytest.mark.cluster, pytest.mark.browser, pytest.mark.xdist_group("hub")]
LEARNERS = ("ada", "bob")
PATIENCE = 120_000  # milliseconds, for what a learner sees
STARTS_WITHIN = 400_000  # milliseconds, for a server
NOTEBOOK = "lab07.ipynb"
CELLS = ("from checker import lab", "!kubeclass start 07 --yes", 'lab("07")')
# What a learner types for lab 07.
SOLVED = (
    "kubectl scale deployment guestbook --replicas=3",
    "kubectl expose deployment guestbook --port=80 --target-port=8080",
    "kubectl expose deployment guestbook --name=outside --type=NodePort --port=80 --target-port=8080",
    "kubectl set selector service news app=news,tier=backend",
    """kubectl patch service news -p '{"spec":{"ports":[{"port":80,"targetPort":"http"}]}}'""",
)
CONNECT = """
import json, socket, sys
def reached(what):
    host, _, port = what.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
        return True
    except OSError:
        return False
print(json.dumps([reached(what) for what in sys.argv[1:]]))
"""


def logged_in(browser: Browser, hub: Hub, user: str) -> Page:
    """A browser of this user's own, behind the hub's login."""
    context = browser.new_context(viewport={"width": 1300, "height": 1400}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.goto(f"{hub.address}/hub/login")
    page.locator("#username_input").fill(user)
    page.locator("#password_input").fill(PASSWORD)
    page.locator("#login_submit").click()
    return page


def at_work(browser: Browser, hub: Hub, user: str) -> Page:
    """The learner's JupyterLab, which opens with the course's first page."""
    page = logged_in(browser, hub, user)
    try:
        page.wait_for_url(re.compile(f"/user/{user}/lab"), timeout=STARTS_WITHIN)
        expect(page.get_by_role("tab", name="00-start.ipynb").first).to_be_visible()
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    finally:
        keep_screenshot(page, f"hub-{user}")
    return page


@pytest.fixture(scope="module")
def pages(browser: Browser, hub: Hub) -> Iterator[dict[str, Page]]:
    opened = {user: at_work(browser, hub, user) for user in LEARNERS}
    yield opened
    for page in opened.values():
        page.context.close()


def in_the_server(hub: Hub, user: str, *words: str, timeout: float = 120) -> str:
    """What a program prints that the learner runs in the terminal of their server."""
    pod = ("exec", "-n", f"{NAME}-{user}-hub", f"jupyter-{user}", "-c", "notebook", "--")
    # As JupyterLab sets it for its terminals.
    own = f"KUBECONFIG=/home/learner/.kubeclass/classes/{NAME}/kubeconfig"
    return kubectl(hub.cluster, *pod, "env", own, *words, timeout=timeout)


def address_of(hub: Hub, namespace: str, *which: str) -> str:
    found = json.loads(kubectl(hub.cluster, "get", "pods", "-n", namespace, *which, "-o", "json"))["items"]
    return str(found[0]["status"]["podIP"])


def put_notebook(page: Page, user: str) -> None:
    """Save a notebook with CELLS into the learner's folder, by the learner's own session in the browser."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None, "id": f"c{n}"}
        for n, source in enumerate(CELLS)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    status = page.evaluate(
        """async ([where, model]) => {
            const found = document.cookie.split('; ').filter(one => one.startsWith('_xsrf='));
            const headers = {'Content-Type': 'application/json', 'X-XSRFToken': found[0].slice(6)};
            return (await fetch(where, {method: 'PUT', headers, body: JSON.stringify(model)})).status;
        }""",
        [f"/user/{user}/api/contents/{NOTEBOOK}", {"type": "notebook", "format": "json", "content": content}],
    )
    assert status in (200, 201)


@pytest.mark.parametrize("user", LEARNERS)
def test_a_learner_does_lab_07_to_full_marks(pages: dict[str, Page], hub: Hub, user: str) -> None:
    page = pages[user]
    put_notebook(page, user)
    page.goto(f"{hub.address}/user/{user}/lab/tree/{NOTEBOOK}")
    try:
        expect(page.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        panel = panel_of(page)
        expect(panel.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "0")
        in_a_terminal(page, "; ".join(SOLVED))
        page.get_by_role("tab", name=re.compile(NOTEBOOK)).first.click()
        expect(panel.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "7")
        panel.get_by_role("button", name="Check now").click()
        expect(panel.get_by_role("status").first).to_have_text(re.compile(r"7 of 7 points\."))
    finally:
        keep_screenshot(page, f"hub-{user}-lab07")
    in_the_server(hub, user, "sh", "-c", f"echo {user} > ~/kubeclass/mine.txt")


@pytest.mark.parametrize("user", LEARNERS)
def test_a_server_runs_as_its_learner_and_uses_what_it_may(pages: dict[str, Page], hub: Hub, user: str) -> None:
    who = in_the_server(hub, user, "kubectl", "auth", "whoami", "-o", "json")
    name = json.loads(who)["status"]["userInfo"]["username"]
    assert name == f"system:serviceaccount:{NAME}-{user}-hub:learner"
    assert f"{NAME}-{user}" in in_the_server(hub, user, "sh", "-c", "kubeclass status || true")
    # What the kernel counts for the container, by cgroup version 2 or 1, and what its processes hold.
    counted = "cat /sys/fs/cgroup/memory.current 2>&- || cat /sys/fs/cgroup/memory/memory.usage_in_bytes"
    used = int(in_the_server(hub, user, "sh", "-c", counted))
    held = in_the_server(
        hub, user, "sh", "-c", "cat /proc/[0-9]*/smaps_rollup 2>&- | awk '/^Pss:/ {k += $2} END {print k}'"
    )
    print(f"{user}'s server: {used / 2**20:.0f}Mi of memory counted, {int(held) / 2**10:.0f}Mi held by its processes")
    assert int(held) * 2**10 < quantity(MEMORY)
    assert used < quantity(MEMORY_LIMIT)


@pytest.mark.parametrize(("user", "other"), [("ada", "bob"), ("bob", "ada")])
def test_a_learner_opens_no_other_server_in_the_browser(
    pages: dict[str, Page], hub: Hub, user: str, other: str
) -> None:
    page = pages[user].context.new_page()
    for path in (f"/user/{other}/lab", f"/user/{other}/api/contents/{NOTEBOOK}", f"/user/{other}/files/{NOTEBOOK}"):
        answer = page.goto(f"{hub.address}{path}")
        assert answer and answer.status in (403, 404), (path, answer and answer.status)
    assert page.goto(f"{hub.address}/user/{user}/api/contents/mine.txt").status == 200  # type: ignore[union-attr]
    page.close()


@pytest.mark.parametrize(("user", "other"), [("ada", "bob"), ("bob", "ada")])
def test_a_learners_token_says_nothing_of_another_to_the_hub(
    pages: dict[str, Page], hub: Hub, user: str, other: str
) -> None:
    ask = 'curl -s -o /dev/null -w "%{http_code}" -H "Authorization: token $JUPYTERHUB_API_TOKEN" -X'
    own = in_the_server(hub, user, "sh", "-c", f"{ask} GET $JUPYTERHUB_API_URL/users/{user}")
    assert own == "200"
    for asked in (
        f"GET $JUPYTERHUB_API_URL/users/{other}",
        f"POST $JUPYTERHUB_API_URL/users/{other}/server",
        f"DELETE $JUPYTERHUB_API_URL/users/{other}/server",
        "GET $JUPYTERHUB_API_URL/users",
        "GET $JUPYTERHUB_API_URL/proxy",
    ):
        assert in_the_server(hub, user, "sh", "-c", f"{ask} {asked}") in ("403", "404"), asked


@pytest.mark.parametrize(("user", "other"), [("ada", "bob"), ("bob", "ada")])
def test_packets_reach_the_hub_and_the_learners_own_pods_only(
    pages: dict[str, Page], hub: Hub, user: str, other: str
) -> None:
    guestbook = ("-l", "app=guestbook")
    own_server, server = (f"{address_of(hub, f'{NAME}-{one}-hub')}:8888" for one in (user, other))
    own_pod, pod = (f"{address_of(hub, f'{NAME}-{one}', *guestbook)}:8080" for one in (user, other))
    hubs = ("hub.kubeclass-hub:8081", "proxy-api.kubeclass-hub:8001", "proxy-public.kubeclass-hub:80")
    wanted = {own_pod: True, hubs[0]: True, pod: False, server: False, hubs[1]: False, hubs[2]: False}
    found = json.loads(in_the_server(hub, user, "python3", "-c", CONNECT, *wanted))
    assert dict(zip(wanted, found, strict=True)) == wanted
    # From a Pod of a lab, which its learner controls.
    wanted = {own_pod: True, pod: False, own_server: False, server: False, hubs[0]: False, hubs[1]: False}
    words = ("exec", "-n", f"{NAME}-{user}", "deployment/guestbook", "--", "python3", "-c", CONNECT, *wanted)
    found = json.loads(kubectl(hub.cluster, *words))
    assert dict(zip(wanted, found, strict=True)) == wanted


@pytest.mark.parametrize(("user", "other"), [("ada", "bob"), ("bob", "ada")])
def test_a_learner_has_no_rights_in_another_namespace_and_none_where_servers_are(
    pages: dict[str, Page], hub: Hub, user: str, other: str
) -> None:
    def may(verb: str, resource: str, namespace: str) -> bool:
        words = ("kubectl", "auth", "can-i", verb, resource, "-n", namespace)
        return in_the_server(hub, user, "sh", "-c", f"{' '.join(words)} || true").strip() == "yes"

    assert may("create", "pods", f"{NAME}-{user}")
    for namespace in (f"{NAME}-{other}", f"{NAME}-{other}-hub", f"{NAME}-{user}-hub", "kubeclass-hub"):
        for verb, resource in (
            *(("get", "pods"), ("create", "pods"), ("create", "pods/exec"), ("get", "secrets")),
            *(("delete", "networkpolicies"), ("get", "persistentvolumeclaims"), ("create", "serviceaccounts/token")),
        ):
            assert not may(verb, resource, namespace), (verb, resource, namespace)


def test_a_learner_runs_no_pod_as_an_account_of_the_class(pages: dict[str, Page], hub: Hub) -> None:
    pod = {"spec": {"serviceAccountName": "learner"}}
    words = ("run", "spy", "--image=guestbook:v1", f"--overrides={json.dumps(pod)}", "--restart=Never")
    with pytest.raises(Problem, match="own account"):
        in_the_server(hub, "ada", "kubectl", *words)


def test_the_files_of_a_learner_are_on_a_volume_of_their_own(pages: dict[str, Page], hub: Hub) -> None:
    volumes = set()
    for user in LEARNERS:
        assert in_the_server(hub, user, "sh", "-c", "cat ~/kubeclass/mine.txt").strip() == user
        claim = kubectl(hub.cluster, "get", "pvc", "home", "-n", f"{NAME}-{user}-hub", "-o", "json")
        volumes.add(json.loads(claim)["spec"]["volumeName"])
    assert len(volumes) == len(LEARNERS)


def test_somebody_who_is_no_learner_gets_no_server(pages: dict[str, Page], browser: Browser, hub: Hub) -> None:
    page = logged_in(browser, hub, "eve")
    expect(page.get_by_text(f"The class {NAME} has no learner with your user name.").first).to_be_visible()
    page.context.close()


def test_the_class_is_whole_and_the_same_command_twice_changes_nothing(pages: dict[str, Page], hub: Hub) -> None:
    status = command("status", NAME, "--json", home=hub.home)
    assert status.returncode == 0, status.stdout + status.stderr
    assert json.loads(status.stdout)["not_well"] == []
    again = command("create", NAME, "--roster", str(hub.roster), "--yes", "--json", home=hub.home)
    assert again.returncode == 0, again.stderr
    told: dict[str, Any] = json.loads(again.stdout)
    assert (told["created"], told["changed"]) == (0, 0)


def test_a_culled_server_comes_back_with_everything(pages: dict[str, Page], browser: Browser, hub: Hub) -> None:
    user, namespace = "ada", f"{NAME}-ada-hub"
    before = in_the_server(hub, user, "sh", "-c", f"cat {_progress()}")
    assert '"07"' in before
    for page in pages.values():
        page.goto("about:blank")
    begin = time.monotonic()

    def pods() -> str:
        return kubectl(hub.cluster, "get", "pods", "-n", namespace, "-o", "name").strip()

    assert wait_until(lambda: not pods(), CULL_AFTER * 4, pause=5), "the server was not culled"
    print(f"culled after {time.monotonic() - begin:.0f} s without a learner")
    page = at_work(browser, hub, user)
    assert in_the_server(hub, user, "sh", "-c", "cat ~/kubeclass/mine.txt").strip() == user
    assert in_the_server(hub, user, "sh", "-c", f"cat {_progress()}") == before
    assert in_the_server(hub, user, "sh", "-c", f"ls ~/kubeclass/{NOTEBOOK} ~/kubeclass/07-services.ipynb")
    checked = json.loads(in_the_server(hub, user, "kubeclass", "check", "07", "--json"))
    assert checked["passed"] and checked["score"] == checked["max_score"] == 7
    page.context.close()


def _progress() -> str:
    return f"~/.kubeclass/{paths.progress().name}"
