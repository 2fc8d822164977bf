"""The panel and the picture in a real browser while the cluster is away: they say so, and come back by themselves."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from cluster import current
from cluster.engine import command
from cluster.kubectl import kubectl
from cluster.process import run
from tests.browser.jupyterlab import IN_A_BROWSER, PATIENCE, kubeclass, panel_of, picture_of
from tests.nodes import control_plane

pytestmark = IN_A_BROWSER


def words_are(page: Page, word: str) -> None:
    expect(panel_of(page).locator(".kc-word")).to_have_text([word] * 4)


def test_a_cluster_that_is_gone_for_a_while_is_told_of_and_nothing_is_lost(page: Page) -> None:
    words_are(page, "✘ failed")
    boxes = picture_of(page).locator('[data-kind="Pod"]').count()
    run(command(), "pause", control_plane())
    try:
        words_are(page, "? unknown")
        expect(panel_of(page).get_by_text(re.compile("no answer from")).first).to_be_visible()
        expect(picture_of(page).get_by_text(re.compile("cannot be seen at the moment"))).to_be_visible()
        expect(picture_of(page).locator('[data-kind="Pod"]')).to_have_count(boxes)  # as it was
    finally:
        run(command(), "unpause", control_plane())
    words_are(page, "✘ failed")
    expect(picture_of(page).get_by_text(re.compile("cannot be seen at the moment"))).to_be_hidden()


def test_an_api_server_that_restarts_is_told_of_and_comes_back(page: Page) -> None:
    words_are(page, "✘ failed")
    run(command(), "exec", control_plane(), "pkill", "-9", "kube-apiserver")
    words_are(page, "? unknown")
    words_are(page, "✘ failed")
    a_service_made_now_is_seen(page)  # and kube-proxy follows again: the next test on this cluster needs that


def test_a_cluster_deleted_and_made_anew_is_followed_by_the_same_panel(page: Page) -> None:
    words_are(page, "✘ failed")
    kubeclass("down")
    words_are(page, "? unknown")
    expect(picture_of(page).get_by_text(re.compile("cannot be seen at the moment"))).to_be_visible()
    kubeclass("up", timeout=600)
    # Another cluster, with another address and other certificates; what was in the old one is gone.
    words_are(page, "✘ failed")
    expect(picture_of(page).get_by_text(re.compile("cannot be seen at the moment"))).to_be_hidden()
    expect(picture_of(page).locator('[data-kind="Pod"]')).to_have_count(0)
    kubeclass("start", "07", "--yes")
    expect(picture_of(page).locator('[data-kind="Pod"]').first).to_be_visible()
    kubectl(current(), "rollout", "status", "deployment", "guestbook", "-n", "learn", "--timeout=90s", timeout=100)
    a_service_made_now_is_seen(page)


def a_service_made_now_is_seen(page: Page) -> None:
    kubectl(current(), "expose", "deployment", "guestbook", "--port=80", "--target-port=8080", "-n", "learn")
    expect(panel_of(page).locator(".kc-word").first).to_have_text("✔ passed", timeout=2 * PATIENCE)
