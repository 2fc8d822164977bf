"""The teacher's live page in the system's Chromium, with thirty made-up learners. It needs no cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from checker.diagnosis.explain import explained
from checker.model.catalogue import texts
from checker.ui.picture.drawing import Places, laid_out
from checker.ui.picture.scene import scene
from tests.browser.jupyterlab import keep_screenshot, serious_faults
from tests.unit.live_class import TOKEN, MadeUpLive, Served, judged, roster, served

# Chromium gives up requests where network interfaces come and go: see tests/browser/jupyterlab.py.
pytestmark = [pytest.mark.browser, pytest.mark.alone("engine")]


@pytest.fixture
def live_page() -> Iterator[Served]:
    with served(MadeUpLive(30), roster(30)) as found:
        yield found


def opened(page: Page, served: Served) -> Page:
    page.goto(f"{served.url}/?token={TOKEN}")
    expect(page.get_by_role("heading", name="Class t, live")).to_be_visible()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_readable_and_whole(scheme: str, browser_page: Page, live_page: Served) -> None:
    live_page.live.raise_hand(4, minutes=3)
    live_page.live.raise_hand(1)
    browser_page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = opened(browser_page, live_page)
    assert TOKEN not in page.url
    table = page.get_by_role("table", name="Lab 07, learners and tasks")
    expect(table.get_by_role("row")).to_have_count(31)
    expect(table.get_by_role("rowheader", name="learner004")).to_contain_text("hand is up")
    expect(page.get_by_role("table", name="what is wrong")).to_contain_text("The Service selects no Pod")
    expect(table).to_contain_text("Name <b>0</b>")  # markup in a name stays text
    table.get_by_role("button", name="learner001").click()
    panel = page.locator(".kc-panel")
    expect(panel).to_contain_text("✘ failed")
    keep_screenshot(page, f"watch-{scheme}")
    assert serious_faults(page, "main") == []
    page.get_by_role("button", name="Hide names").click()
    expect(page.locator("body")).not_to_contain_text("learner004")
    expect(table.get_by_role("button", name="learner-01")).to_be_disabled()
    keep_screenshot(page, f"watch-{scheme}-hidden")


def test_the_section_of_a_lesson_opens_as_a_page_for_all(browser_page: Page, live_page: Served) -> None:
    page = opened(browser_page, live_page)
    link = page.get_by_role("link", name="Lesson 07: A Service: one name for many Pods").first
    with page.context.expect_page() as opening:
        link.click()
    shown = opening.value
    expect(shown.get_by_role("heading", name="A Service: one name for many Pods")).to_be_visible()
    expect(shown.get_by_text("service/demo created")).to_be_visible()
    keep_screenshot(shown, "watch-lesson")
    assert serious_faults(shown, "main") == []
    shown.goto(f"{live_page.url}/lesson?lesson=07&section=Which+component+spreads+the+requests%3F")
    expect(shown.locator("main")).to_contain_text("kube-proxy")
    assert shown.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    shown.close()


def test_the_page_follows_and_keeps_the_focus(browser_page: Page, live_page: Served) -> None:
    page, live = opened(browser_page, live_page), live_page.live
    row = page.get_by_role("row", name="learner001")
    button = row.get_by_role("button")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(row.get_by_text("✘ failed").first).to_be_visible()
    live.looks["learner001"] = live.look_of(live.learners[1], "solution")
    live.learners.pop(0)
    live_page.change()
    expect(row.get_by_text("✔ passed")).to_have_count(len(live.lab.spec.tasks))
    expect(page.locator(".kc-panel")).to_contain_text("What you have just shown")
    expect(page.get_by_role("row", name="learner000")).to_have_count(0)
    expect(button).to_be_focused()


def test_the_picture_of_a_learners_namespace_is_drawn(
    browser_page: Page, live_page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, _ = judged("selector-typo")
    drawn = laid_out(scene(state, explained(state)), Places())
    view = {**drawn, "away": "", "texts": texts("picture-", "widget-")}
    monkeypatch.setattr("checker.ui.watch.server.picture_view", lambda *asked: view)
    page = opened(browser_page, live_page)
    page.get_by_role("button", name="learner001").click()
    page.get_by_role("button", name="Draw the picture").click()
    picture = page.get_by_role("region", name="Namespace t-ada")
    expect(picture.locator('[data-kind="Service"][data-name="guestbook"]')).to_be_visible()
    expect(picture.locator(".kc-nowhere")).to_have_count(1)
    picture.locator('[data-name="guestbook"]').first.click()
    expect(picture).to_contain_text("kubectl")
    keep_screenshot(page, "watch-picture")
    assert serious_faults(page, ".detail") == []


def test_a_hand_is_taken_down_from_the_page(browser_page: Page, live_page: Served) -> None:
    page, live = opened(browser_page, live_page), live_page.live
    expect(page.get_by_text("No hand is up.")).to_be_visible()
    live.raise_hand(7, minutes=2)
    live.raise_hand(2)
    live_page.change()
    hands = page.get_by_role("region", name="Raised hands").get_by_role("listitem")
    expect(hands.first).to_contain_text("1. learner007, 2 min")
    hands.first.get_by_role("button").click()
    live_page.change()
    expect(hands).to_have_count(1)
    assert live.down == ["/api/v1/namespaces/t-learner007/configmaps/kubeclass-hand"]


def test_a_cluster_that_is_away_leaves_what_was_seen(browser_page: Page, live_page: Served) -> None:
    page = opened(browser_page, live_page)
    live_page.live.away = "no answer"
    live_page.change()
    expect(page.get_by_text("The cluster cannot be asked (no answer)")).to_be_visible()
    expect(page.get_by_role("row", name="learner001")).to_contain_text("✘ failed")
    live_page.live.away = ""
    live_page.change()
    expect(page.get_by_text("The cluster cannot be asked")).to_have_count(0)


def test_a_page_that_lost_the_command_says_so(browser_page: Page) -> None:
    with served(MadeUpLive(3), []) as page_of_three:
        page = opened(browser_page, page_of_three)
    expect(page.get_by_text("kubeclass does not answer.")).to_be_visible()
    expect(page.get_by_role("row", name="learner001")).to_be_visible()
