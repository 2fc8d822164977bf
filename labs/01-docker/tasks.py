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
    State,
    fail,
    nearest,
    program,
    require_container_answers,
    require_container_reaches,
    require_container_runs,
    task,
)

IMAGE, PROJECT = "my-guestbook:v1", "my-guestbook"


@dataclass(frozen=True)
class Engine(EngineObservation):
    """The engine, and what each guestbook says from inside about its Redis. Read as an EngineView."""

    image = IMAGE
    project = PROJECT
    asked = program(__file__, "ask_guestbook")


ENGINE = Engine()


def built_image(engine: EngineView) -> dict[str, Any]:
    name = engine.named(IMAGE)
    image = engine.images.get(name)
    if image is None:
        others = [other for other, known in engine.images.items() if not known["course"]]
        similar = nearest(name, others)
        fail(
            "image-missing",
            f"There is no image {name}." + (f" There is one called {similar}: did you mean {name}?" if similar else ""),
            expected=name,
            observed=similar or "no image of a similar name",
            object=f"Image/{name}",
        )
    if not is_own_build(image):
        what = "one of the course's own images under another name" if image["course"] else "something else"
        fail(
            "image-not-built",
            f"Image {name} is not what lessons/guestbook makes of itself as v1: it is {what}.",
            expected="an image built from lessons/guestbook",
            observed=what,
            object=f"Image/{name}",
            look=f"docker image history {name}",
        )
    return image


def is_own_build(image: dict[str, Any]) -> bool:
    return not image["course"] and "VERSION=v1" in image["Env"]


@task("image-built", observe=ENGINE)
def image_is_built(state: State, engine: EngineView) -> None:
    built_image(engine)


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
        but = f", but for {made[0].name} of compose project {made[0].project}" if made else ""
        fail(
            "container-missing",
            f"No container was made from image {name}{but}."
            + (f" Container {others[0].name} was made from {others[0].image}." if others else ""),
            expected=f"a container from {name}",
            observed=f"{others[0].name} from {others[0].image}" if others else f"none{but}",
            object=f"Image/{name}",
        )
    one_that_does(require_reached_from_here, ((container,) for container in alone))


def require_reached_from_here(container: Container) -> None:
    """The container answers on a port of this machine. Raises Failed with the first broken link otherwise."""
    if "host" not in container.networks:
        return require_container_answers(container)
    require_container_runs(container)  # on the machine's own network there is nothing to publish
    answer = container.answer
    if answer is None or not answer.ok or answer.host != container.hostname:
        heard = answer.words if answer else "not asked"
        fail(
            "container-does-not-answer",
            f"Container {container.name} is on the network of this machine, and gives no good answer there: {heard}.",
            expected="status 200",
            observed=heard,
            object=container.ref,
            look=f"docker logs {container.name}",
            pending=True,
        )


def one_that_does(what: Callable[..., None], candidates: Iterable[tuple[Container, ...]]) -> tuple[Container, ...]:
    """The first of these candidates of whom this is true; where there is none, fails as it does of the first."""
    failures = []
    for candidate in candidates:
        try:
            what(*candidate)
            return candidate
        except Failed as failure:
            failures.append(failure)
    raise failures[0]


def app_and_redis(engine: EngineView) -> tuple[Container, Container]:
    """The two containers of the project, the one able to reach the other."""
    project = engine.named(PROJECT)
    members = [c for c in engine.containers if c.project == project]
    if not members:
        projects = sorted({c.project for c in engine.containers if c.project})
        similar = nearest(project, projects, 0.6) or next(iter(projects), None)
        fail(
            "project-missing",
            f"There is no compose project {project}." + (f" There is one called {similar}." if similar else ""),
            expected=f"project {project}",
            observed=f"project {similar}" if similar else "no project",
            object=f"Project/{project}",
        )
    apps, stores = [c for c in members if c.is_guestbook], [c for c in members if c.is_redis]
    for found, cause, what in ((apps, "app-missing", "the guestbook"), (stores, "redis-missing", "Redis")):
        if not found:
            fail(
                cause,
                f"None of the containers of project {project} runs {what}.",
                expected=what,
                observed=", ".join(f"{c.service} ({c.image})" for c in members),
                object=f"Project/{project}",
            )
    # What `docker compose run` has left behind ended long ago.
    apps, stores = (sorted(found, key=lambda container: not container.runs) for found in (apps, stores))
    app, redis = one_that_does(require_finds, product(apps, stores))
    return app, redis


def require_finds(app: Container, redis: Container) -> None:
    """The one reaches the other by a name. Raises Failed with the first broken link otherwise."""
    require_container_runs(app)
    host = app.env.get("REDIS_HOST", "").partition(":")[0]
    if not host:
        fail(
            "redis-not-configured",
            f"Container {app.name} has no REDIS_HOST in its environment, so it keeps entries in a file of its own.",
            expected="REDIS_HOST with a name of the Redis container",
            observed="none",
            object=app.ref,
        )
    require_container_reaches(app, redis, name_of(redis, app, host))
    said = app.asked
    if said is None or said["ready"][0] != 200 or "entries" not in (said["redis"] or {}):
        heard = "nothing" if said is None else f"{said['ready'][0]}: {said['ready'][1]}"
        where, expected = "At /readyz it says", "status 200 at /readyz"
        if said and said["ready"][0] == 200:
            heard = (said["redis"] or {}).get("error", "nothing")
            where, expected = "Asked for the number of entries, Redis says", "a number of entries"
        fail(
            "redis-not-answering",
            f"Container {app.name} finds {redis.name}, but gets no good answer from it. {where} {heard}.",
            expected=expected,
            observed=heard,
            object=app.ref,
            look=f"docker logs {redis.name}",
            pending=True,
        )


def name_of(redis: Container, app: Container, host: str) -> str:
    """The name of Redis that a host's name is, where it is one: the engine's DNS knows no capital letters, and `links` add names for one reader."""
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
    memory = (app.asked or {})["redis"]  # it was asked: see require_finds
    mount = redis.mount_at(memory["dir"])
    if mount is None or mount["Type"] not in ("volume", "bind") or mount["Anonymous"]:
        where = (
            "the container's own layer"
            if mount is None
            else "a volume without a name"
            if mount["Anonymous"]
            else f"a {mount['Type']}"
        )
        fail(
            "data-in-container",
            f"Redis keeps its data in {memory['dir']} of container {redis.name}, and that is {where}: it goes with the container.",
            expected=f"a named volume (or a folder of this machine) at {memory['dir']}",
            observed=where,
            object=redis.ref,
            look=f"docker inspect {redis.name}",
        )
    if not memory["entries"]:
        fail(
            "no-entry-written",
            f"The guestbook of project {engine.named(PROJECT)} has no entry.",
            expected="at least one entry",
            observed="none",
            object=app.ref,
        )
    # Redis counts the writes since it started: entries beyond those were there before. And its log goes back to the day
    # when this container was new: a restart of the same container proves nothing.
    survived = memory["entries"] > memory["written"]
    if not survived or redis.began_with_data is False:
        fail(
            "never-recreated",
            f"Container {redis.name} began without data: it is still the one that the entries were written in."
            if survived
            else f"Every entry was written since Redis in container {redis.name} was started last.",
            expected="an entry that is older than the Redis container",
            observed=f"entries: {memory['entries']}, of them written since Redis was started last: {memory['written']}",
            object=redis.ref,
        )
