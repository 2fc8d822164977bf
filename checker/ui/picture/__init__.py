"""The picture of a namespace in a notebook: it moves as the cluster changes.

As SVG and as text where there is no front end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from checker.classroom.target import further_namespaces
from checker.classroom.target import target as meant
from checker.collect.api import Api
from checker.collect.collect import look
from checker.collect.watch import Watch
from checker.diagnosis.explain import explained, parsed
from checker.model.catalogue import say, texts
from checker.model.explanation import Explanation
from checker.model.kinds import KINDS
from checker.model.state import State
from checker.ui.picture.drawing import Places, laid_out, svg
from checker.ui.picture.scene import scene
from checker.ui.suspects import without_kept_back
from cluster import Cluster, Problem

# Seconds: from the first of a burst of changes to the drawing; the least time and the most between two drawings.
# There is a most, because an object that is on its way for too long becomes a fault without any change.
DEBOUNCE, REST, REFRESH = 0.05, 0.15, 5.0
DRAWN = {"EndpointSlice", "NetworkPolicy", "Node", "Pod", "Service"}


class Picture:
    """What `picture()` returns."""

    def __init__(
        self, target: str = "", name: str = "", *, namespace: str = "", cluster: Cluster | None = None
    ) -> None:
        """namespace: by default, the cluster's. cluster: by default, the one that is meant (classroom/target.py).

        Raises Problem for an unknown kind, and where there is no cluster.
        """
        cluster = cluster or meant()
        self.namespace = namespace or cluster.namespace
        self._further = tuple(further_namespaces(cluster).values())
        self._kind, self._name = parsed(target, name) if target else ("", "")
        self._places = Places()
        self._widget: Any = None  # one for all the places where this picture is shown
        self._api = Api(cluster)
        self._seen: set[str] = set()  # of the kinds that are drawn
        self._found: Explanation | None = None  # what is broken, by the last look that had all it takes
        self.view: dict[str, Any] = {}
        self.view = self._drawn(self._look())

    def _look(self, listed: State | None = None) -> State:
        return look(self.namespace, listed, self._api, self._further)

    def _drawn(self, state: State, found: Explanation | None = None) -> dict[str, Any]:
        """The cluster as it is now, without what the user's rights hide.

        What was seen before and cannot be seen now stays as it was, with the reason.
        found: what is broken, if it is known already. Otherwise it is diagnosed from this State, which must be whole.
        """
        lost = next((why for kind, why in state.unlisted.items() if kind in self._seen), "")
        if lost:
            return {**self.view, "away": say("picture-away", why=lost)}
        self._seen = DRAWN - state.unlisted.keys()
        hidden = {kind: state.unlisted[kind] for kind in sorted(DRAWN - self._seen)}
        away = say("picture-hidden", kinds=list(hidden), why=next(iter(hidden.values()))) if hidden else ""
        self._found = found or without_kept_back(explained(state, self._kind, self._name))
        drawn = laid_out(scene(state, self._found, self._kind, self._name), self._places)
        return {**drawn, "away": away, "texts": texts("picture-", "widget-")}

    def follow(self, notify: Callable[[], None]) -> Callable[[], None]:
        """From now on `view` follows the cluster, until the caller calls the function that is returned.

        told: is called after each change, from another thread.
        """
        changed, ended = threading.Event(), threading.Event()
        watch = Watch(self._api, self.namespace, changed.set, KINDS, self._further)

        def show(drawn: dict[str, Any]) -> None:
            if drawn != self.view and not ended.is_set():
                self.view = drawn
                notify()

        def draw() -> None:
            while True:
                changed.wait(REFRESH)
                ended.wait(DEBOUNCE)
                changed.clear()
                if ended.is_set():  # asked after the clearing, as in checker/live.py
                    return
                listed = watch.state()
                if listed is None:
                    continue
                show(
                    self._drawn(listed, self._found)
                )  # what the objects say; what is broken takes observations to know
                with suppress(Problem):  # the cluster went away while it was asked: the watch says so
                    show(self._drawn(self._look(listed)))
                ended.wait(REST)

        thread = threading.Thread(target=draw, name="picture", daemon=True)
        watch.start()
        thread.start()

        def end() -> None:
            ended.set()
            changed.set()
            thread.join()
            watch.stop()

        return end

    def __repr__(self) -> str:
        return "\n".join(filter(None, (self.view["text"], self.view["away"])))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        still = {"image/svg+xml": svg(self.view), "text/plain": repr(self)}
        try:
            from checker.ui.picture.widget import LivePicture
        except ImportError:
            return still
        self._widget = self._widget or LivePicture(self)
        return {**self._widget.shown(), **still}


def picture(
    target: str = "", name: str = "", *, namespace: str = "", context: str = "", kubeconfig: str = ""
) -> Picture:
    """A picture of a namespace: `picture()`; of one object and what belongs to it: `picture("deploy/web")`.

    namespace: by default, the cluster's. context, kubeconfig: see classroom/target.py.
    """
    return Picture(target, name, namespace=namespace, cluster=meant(context, kubeconfig))
