"""The picture in a real browser: it moves with a real cluster."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from cluster import current
from cluster.kubectl import kubectl
from tests.browser.jupyterlab import IN_A_BROWSER, keep_screenshot, picture_of, serious_faults, use_theme

pytestmark = IN_A_BROWSER
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "open"},
    "spec": {"podSelector": {}, "ingress": [{}], "policyTypes": ["Ingress"]},
}


OF_THE_GUESTBOOK = '[data-kind="Pod"][data-name^="guestbook-"]'  # lab 07 also has a Pod of Deployment news


def pods(page: Page) -> Locator:
    return picture_of(page).locator(OF_THE_GUESTBOOK)


def test_a_killed_pod_is_seen_going_and_another_one_coming(page: Page) -> None:
    expect(pods(page)).to_have_count(1)
    first = pods(page).get_attribute("data-name") or ""
    kubectl(current(), "delete", "pod", first, "-n", "learn", "--wait=false")
    old = picture_of(page).locator(f'[data-name="{first}"]')
    expect(old).to_have_attribute("data-tone", "leaving")
    new = picture_of(page).locator(f'{OF_THE_GUESTBOOK}:not([data-name="{first}"])')
    expect(new).to_have_attribute("data-tone", "well")
    expect(old).to_have_count(0)


def test_a_broken_service_is_drawn_as_broken_and_repaired_as_whole(page: Page) -> None:
    kubectl(current(), "expose", "deployment", "guestbook", "--port=80", "--target-port=8080", "-n", "learn")
    whole, broken = picture_of(page).locator(".kc-line:not(.kc-nowhere)"), picture_of(page).locator(".kc-nowhere")
    expect(whole).to_have_count(1)
    expect(broken).to_have_count(1)  # Service news of lab 07 selects no Pod
    for app, lines, broken_lines in (("guestbok", 0, 2), ("guestbook", 1, 1)):
        patch = json.dumps({"spec": {"selector": {"app": app}}})
        kubectl(current(), "patch", "service", "guestbook", "-n", "learn", "--patch", patch)
        expect(whole).to_have_count(lines)
        expect(broken).to_have_count(broken_lines)
        sentence = picture_of(page).get_by_text("Service/guestbook: The Service selects no Pod").first
        expect(sentence).to_be_visible(visible=app == "guestbok")


def test_details_by_keyboard(page: Page) -> None:
    pod = pods(page).first
    pod.focus()
    page.keyboard.press("Enter")
    expect(pod).to_have_attribute("aria-expanded", "true")
    expect(picture_of(page).locator("dd").first).to_have_text(pod.get_attribute("data-name") or "")
    expect(picture_of(page).get_by_text(re.compile("^kubectl describe pod guestbook-"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(picture_of(page).locator("dd")).to_have_count(0)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_nothing_is_hard_to_perceive_in_either_theme(page: Page, jupyter: str, theme: str) -> None:
    """A picture with everything on it: Services that lead somewhere and nowhere, gates, details."""
    kubectl(current(), "create", "service", "clusterip", "nobody", "--tcp=80", "-n", "learn")
    kubectl(current(), "expose", "deployment", "guestbook", "--port=80", "--target-port=8080", "-n", "learn")
    kubectl(current(), "scale", "deployment", "guestbook", "--replicas=3", "-n", "learn")
    kubectl(current(), "apply", "-n", "learn", "-f", "-", input=json.dumps(POLICY))
    use_theme(page, jupyter, theme)
    expect(picture_of(page).locator(".kc-nowhere")).to_have_count(2)  # of Services nobody and news
    expect(picture_of(page).locator(".kc-line:not(.kc-nowhere)")).to_have_count(3)
    expect(picture_of(page).locator(".kc-gate:not([d=''])")).to_have_count(4)
    pods(page).first.click()
    keep_screenshot(picture_of(page), f"picture-{theme.split()[-1].lower()}")
    assert serious_faults(page, ".kc-picture") == []
