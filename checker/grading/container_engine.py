"""The container engine, as a lab's tasks see it: an observation, and how it reads. ContainerEngineEnvironment asks
(checker/environments/container_engine.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from checker.diagnosis.host_container import Container
from checker.grading.observations import Observation
from checker.model.answers import Answer
from checker.model.state import State


class EngineView:
    """What was seen of the engine; plain data underneath."""

    def __init__(self, seen: dict[str, Any]) -> None:
        self.suffix: str = seen["suffix"]  # behind every name of the lab, outside the default namespace
        self._seen = seen

    def named(self, name: str) -> str:
        """A name of the lab's text as it is in this environment: `my-guestbook`, `my-guestbook:v1`."""
        repository, colon, tag = name.partition(":")
        return f"{repository}{self.suffix}{colon}{tag}"

    @cached_property
    def images(self) -> dict[str, dict[str, Any]]:
        """Images by each of their names."""
        return {tag: image for image in self._seen["images"] for tag in image.get("RepoTags") or []}

    def image_of(self, container: Container) -> dict[str, Any] | None:
        """The image that a container was made from, whatever it is called now; None where it is gone."""
        return next((image for image in self._seen["images"] if image["Id"] == container.image_id), None)

    @cached_property
    def containers(self) -> list[Container]:
        """All containers, the newest first."""
        found = [
            Container(
                c["inspect"],
                self._seen["now"],
                c["listening"],
                c["log"],
                Answer(**c["answer"]) if c["answer"] else None,
                c["asked"],
                c["began_with_data"],
                c.get("app_from"),  # an older recording does not have it
            )
            for c in self._seen["containers"]
        ]
        return sorted(found, key=lambda container: str(container.raw["Created"]), reverse=True)


@dataclass(frozen=True)
class EngineObservation(Observation[EngineView]):
    """Base of what a lab observes of the engine: its containers, images and volumes. Read as an EngineView.

    image: the image that the lab has learners build. project: their compose project, which `reset` removes.
    program_in_app: the text of a Python program that is run in each of the app's containers; its JSON is
    `Container.answers_inside`. The names get the suffix of the lab's namespace (see EngineView.named).
    """

    image: ClassVar[str]
    project: ClassVar[str]
    program_in_app: ClassVar[str]
    observed_by = "engine"

    def question(self, state: State) -> dict[str, Any] | None:
        return None  # ContainerEngineEnvironment asks

    def read(self, seen: Any) -> EngineView:
        return EngineView(seen)
