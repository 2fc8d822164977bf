"""Judging lab 01: what the container engine has, what listens, who answers, and what Redis remembers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from checker.sdk import (
    Container,
    EngineObservation,
    EngineView,
    Failed,
    Ref,
    State,
    fail,
    nearest,
    program,
    require_container_answers,
    require_container_reaches,
    require_container_runs,
    task,
    unknown,
)

IMAGE, PROJECT = "my-guestbook:v1", "my-guestbook"
DEFAULT_GREETING = "Welcome to the guestbook!"  # what the app says without the variable (lessons/guestbook/app.py)


@dataclass(frozen=True)
class Engine(EngineObservation):
    """The engine, and what each guestbook says from inside about its Redis. Read as an EngineView."""

    image = IMAGE
    project = PROJECT
    program_in_app = program(__file__, "ask_guestbook")


ENGINE = Engine()


def built_image(engine: EngineView) -> dict[str, Any]:
    name = engine.named(IMAGE)
    image = engine.images.get(name)
    if image is None:
        others = [other for other, known in engine.images.items() if not known["course"]]
        fail("image-missing", Ref("Image", name), near=nearest(name, others))
    if not is_own_build(image):
        fail("image-not-built", Ref("Image", name), form="course" if image["course"] else "")
    return image


def greeting_of(image: dict[str, Any]) -> str | None:
    """The greeting that an image sets; None where it sets none."""
    return dict(variable.partition("=")[::2] for variable in image["Env"]).get("GREETING")


def require_own_greeting(engine: EngineView, image: dict[str, Any]) -> None:
    """Raises Failed if the greeting of an image is empty, or the one that the app says without the variable."""
    greeting = greeting_of(image)
    if greeting in ("", DEFAULT_GREETING):
        form = "default-greeting" if greeting else "empty-greeting"
        fail("image-not-built", Ref("Image", engine.named(IMAGE)), form=form, greeting=greeting)


def require_app_in_image(engine: EngineView, image: dict[str, Any]) -> None:
    """Raises Failed if a container shows that the image does not hold the app.

    Raises Unknown if the app's folder is covered by a mount in every container in which the app runs.
    """
    made = [c for c in engine.containers if c.image_id == image["Id"] and c.app_from]
    name = engine.named(IMAGE)
    for container in made:
        if container.app_from == "container":
            fail("app-not-in-image", Ref("Image", name), container=container.name, path=container.app_path)
    if made and all(container.app_from == "mount" for container in made):
        mount = made[0].mount_at(made[0].app_path) or {}
        unknown(
            "app-not-in-image",
            Ref("Image", name),
            form="covered",
            mount=mount.get("Destination", ""),
            container=made[0].name,
            path=made[0].app_path,
        )


def is_own_build(image: dict[str, Any]) -> bool:
    """Whether an image sets a greeting, as the task asks for and as no image of the course does."""
    return not image["course"] and greeting_of(image) is not None


@task("image-built", observe=ENGINE)
def image_is_built(state: State, engine: EngineView) -> None:
    image = built_image(engine)
    require_own_greeting(engine, image)
    require_app_in_image(engine, image)


@task("container-answers", observe=ENGINE)
def container_answers(state: State, engine: EngineView) -> None:
    image = built_image(engine)
    name = engine.named(IMAGE)

    def is_from(container: Container) -> bool:
        """Whether a container was made from the image, or from an earlier build that had its name."""
        earlier = engine.image_of(container) if container.image == name else None
        return image["Id"] in (container.image, container.image_id) or bool(earlier and is_own_build(earlier))

    made = [c for c in engine.containers if is_from(c)]
    alone = [c for c in made if not c.project]
    if not alone:
        others = [c for c in engine.containers if c.is_guestbook and not c.project]
        other = others[0] if others else None
        fail(
            "container-missing",
            Ref("Image", name),
            of_project=made[0].name if made else "",
            project=made[0].project if made else "",
            other=other.name if other else "",
            other_image=other.image if other else "",
        )
    one_that_does(require_reached_from_here, ((container,) for container in alone))


def require_reached_from_here(container: Container) -> None:
    """The container answers on a port of this machine. Raises Failed with the first broken link otherwise."""
    if "host" not in container.networks:
        return require_container_answers(container)
    require_container_runs(container)  # on the machine's own network there is nothing to publish
    answer = container.answer
    if answer is None or not answer.ok or answer.host != container.hostname:
        if answer is None:
            fail("container-does-not-answer", container, form="host-network-not-asked", in_progress=True)
        facts = {"answer": answer.words}
        fail("container-does-not-answer", container, form="host-network", in_progress=True, **facts)


def one_that_does(what: Callable[..., None], candidates: Iterable[tuple[Container, ...]]) -> tuple[Container, ...]:
    """The first of these candidates that `what` accepts. Raises what it raised for the first where it accepts none."""
    failures = []
    for candidate in candidates:
        try:
            what(*candidate)
            return candidate
        except Failed as failure:
            failures.append(failure)
    raise failures[0]


def app_and_redis(engine: EngineView) -> tuple[Container, Container]:
    """The guestbook and the Redis of the project; the guestbook can reach Redis."""
    project = engine.named(PROJECT)
    members = [c for c in engine.containers if c.project == project]
    if not members:
        projects = sorted({c.project for c in engine.containers if c.project})
        similar = nearest(project, projects, 0.6) or next(iter(projects), None)
        fail("project-missing", Ref("Project", project), near=similar, projects=projects)
    apps, stores = [c for c in members if c.is_guestbook], [c for c in members if c.is_redis]
    for found, cause in ((apps, "app-missing"), (stores, "redis-missing")):
        if not found:
            images = {container.name: container.image for container in members}
            fail(cause, Ref("Project", project), images=images)
    own = [c for c in apps if (image := engine.image_of(c)) is None or is_own_build(image)]
    if not own:
        fail("image-not-built", apps[0], form="of-container", image=apps[0].image)
    apps = own
    # What `docker compose run` has left behind ended long ago.
    apps, stores = (sorted(found, key=lambda container: not container.runs) for found in (apps, stores))
    app, redis = one_that_does(require_finds, product(apps, stores))
    return app, redis


def require_finds(app: Container, redis: Container) -> None:
    """The guestbook reaches Redis by a name. Raises Failed with the first broken link otherwise."""
    require_container_runs(app)
    host = app.env.get("REDIS_HOST", "").partition(":")[0]
    if not host:
        fail("redis-not-configured", app)
    require_container_reaches(app, redis, name_of(redis, app, host))
    inside = app.answers_inside
    if inside is None or inside["ready"][0] != 200 or "entries" not in (inside["redis"] or {}):
        if inside is None:
            fail("redis-not-answering", app, form="not-asked", redis=redis.name, in_progress=True)
        status, text = inside["ready"]
        if status == 200:
            error = (inside["redis"] or {}).get("error", "")
            fail("redis-not-answering", app, form="entries", redis=redis.name, quote=error, in_progress=True)
        fail("redis-not-answering", app, redis=redis.name, status=status or None, quote=text, in_progress=True)


def name_of(redis: Container, app: Container, host: str) -> str:
    """The name of Redis that `host` is, or `host` itself where it is none.

    The engine's DNS does not distinguish capital letters. `links` add names that only one container can use.
    """
    links = {link for network in app.networks.values() for link in network.get("Links") or []}
    if f"{redis.name}:{host}" in links:
        return redis.name
    names = sorted(name for network in redis.networks for name in redis.names_on(network))
    return next((name for name in names if name.lower() == host.lower()), host)


@task("compose-finds-redis", observe=ENGINE)
def guestbook_finds_redis_by_name(state: State, engine: EngineView) -> None:
    app_and_redis(engine)


@task("data-survives", observe=ENGINE)
def data_outlives_its_container(state: State, engine: EngineView) -> None:
    app, redis = app_and_redis(engine)
    memory = (app.answers_inside or {})["redis"]  # it was asked: see require_finds
    mount = redis.mount_at(memory["dir"])
    if mount is None or mount["Type"] not in ("volume", "bind") or mount["Anonymous"]:
        form = "" if mount is None else "anonymous" if mount["Anonymous"] else "mount-type"
        fail(
            "data-in-container",
            redis,
            form=form,
            directory=memory["dir"],
            mount_type=mount["Type"] if mount else "",
        )
    if not memory["entries"]:
        fail("no-entry-written", app, project=engine.named(PROJECT))
    # Redis counts the writes since it started: further entries are older. Its log goes back to the creation of this
    # container: a restart of the same container proves nothing.
    survived = memory["entries"] > memory["written"]
    if not survived or redis.began_with_data is False:
        form = "same-container" if survived else ""
        fail("never-recreated", redis, form=form, entries=memory["entries"], written=memory["written"])
