"""How soon a browser shows the panel and the picture, and how fluid the picture is while Pods come, go and change.

Chromium draws what is laid out for it, ten changes a second, without a cluster. A frame at rest takes 16.7 ms, and
longer on a machine without a graphics card: what counts is the ratio to the same page with a picture that does not
change.
"""

from __future__ import annotations

import statistics
from typing import Any

from playwright.sync_api import Page, sync_playwright

from checker import lab
from checker.diagnosis.explain import explained
from checker.model.state import Object
from checker.ui import base_widget
from checker.ui.picture.drawing import Places, laid_out
from checker.ui.picture.scene import scene
from tests.bench.measure import measured
from tests.conftest import chromium
from tests.unit.objects import deployment, node, pod, replica_set, service, state

SECONDS, CHANGES = 5, 50
STAGE = """
async ([source, views, pause, seconds]) => {
  const { default: widget } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const listeners = {};
  let view = views[0];
  const model = {
    get: (name) => ({ view, said: "", busy: false })[name],
    on: (event, listener) => { listeners[event] = listener; },
    off: () => {}, send: () => {},
  };
  document.body.replaceChildren();
  const begin = performance.now();
  const end = widget.render({ model, el: document.body });
  await new Promise(requestAnimationFrame);
  const first = performance.now() - begin;
  let number = 0;
  const change = () => { view = views[++number % views.length]; listeners["change:view"](); };
  const timer = pause && setInterval(change, pause);
  const frames = [];
  let last = performance.now();
  while (last - begin < seconds * 1000) {
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - last);
    last = performance.now();
  }
  clearInterval(timer);
  end();
  return { first, frames };
}
"""


def views(number: int) -> list[dict[str, Any]]:
    """A namespace with so many Pods, in which at each step one goes, one comes and one is not ready."""
    app, places, made = deployment("web", replicas=number), Places(), []
    owner = replica_set(app, "web-abc")
    for step in range(CHANGES):
        pods: list[Object] = [
            pod(
                f"web-abc-{n}",
                owner=owner,
                node=f"worker{n % 2 or ''}",
                ip=f"10.244.{n // 250}.{n % 250}",
                ready=n != step + number // 2,
            )
            for n in range(step, step + number)
        ]
        seen = state(app, owner, node("worker"), node("worker1"), service("web"), *pods)
        made.append(laid_out(scene(seen, explained(seen)), places))
    return made


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1400})
        first = frames(page, "panel", "panel", [lab("07").view()], 0)[0]
        measured("the panel of a lab, first drawn by a browser", f"{first:.0f} ms", "100 ms", first <= 100)
        for number in (50, 200):
            still, moving = (frames(page, "pictures", "picture", views(number), pause) for pause in (0, 100))
            ratio = statistics.mean(moving[1]) / statistics.mean(still[1])
            measured(
                f"the picture with {number} Pods that changes ten times a second",
                f"first drawn in {moving[0]:.0f} ms; a frame takes {statistics.median(moving[1]):.1f} ms, "
                f"{ratio:.2f} × one at rest",
                "1.5 ×",
                ratio <= 1.5,
            )
        browser.close()


def frames(page: Page, folder: str, name: str, shown: list[dict[str, Any]], pause: int) -> tuple[float, list[float]]:
    """Milliseconds until the first frame, and for each further one. pause: milliseconds between changes; 0 for none."""
    of = base_widget.HERE / folder
    page.set_content(f"<style>{(of / f'{name}.css').read_text()}</style><body></body>")
    seen = page.evaluate(
        STAGE, [base_widget.module(of / f"{name}.js"), shown, pause, SECONDS if folder == "pictures" else 0]
    )
    return seen["first"], seen["frames"]


if __name__ == "__main__":
    main()
