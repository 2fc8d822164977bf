"""Why a container's image cannot be used: its name, the nodes that have it, the registry that it is pulled from, and its user.

Source: https://kubernetes.io/docs/concepts/containers/images/
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from checker.diagnosis.containers import container_spec, describe, statuses_with_specs
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import Failed, NotPassed, fail

IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"}


def known_images(state: State) -> dict[str, set[str]]:
    """Every image name that some node has, short as learners write it, and the nodes that have it."""
    known: dict[str, set[str]] = {}
    for node in state.objects.get("Node", []):
        for image in node.status.get("images") or []:
            for name in image.get("names") or []:
                if "@" not in name:
                    known.setdefault(short_image(name), set()).add(node.name)
    return known


def short_image(name: str) -> str:
    """An image's name without the parts that are added when they are left out: `docker.io/library/x` is `x:latest`."""
    name = re.sub(r"^(index\.)?docker\.io/(library/)?", "", name)
    return name if ":" in name.rsplit("/", 1)[-1] or "@" in name else f"{name}:latest"


def explain_image(state: State, pod: Object, status: dict[str, Any], waiting: dict[str, Any]) -> NoReturn:
    image = container_spec(pod, status["name"]).get("image") or status.get("image", "")
    node, reason = pod.spec.get("nodeName", ""), waiting.get("reason", "")
    named = {"image": short_image(image), "written": image, "container": status["name"]}
    if reason == "InvalidImageName":
        fail("image-name-invalid", pod, **named)
    known = known_images(state)
    holders = known.get(short_image(image), set())
    if holders and node not in holders:
        fail("image-not-loaded", pod, **named, nodes=sorted(holders), node=node, reason=reason)
    own = [name for name in known if "/" not in name]
    repository = short_image(image).rsplit(":", 1)[0]
    similar = nearest(short_image(image), own, cutoff=0.75)
    if similar:
        tags = sorted(name for name in own if name.rsplit(":", 1)[0] == repository)
        fail("image-name-typo", pod, **named, reason=reason, tags=tags, near="" if tags else similar)
    told = _reason_of_pull(waiting.get("message", ""))
    fail("image-not-found", pod, **named, node=node, reason=reason, pull_error=told)


def _reason_of_pull(message: str) -> str:
    """The last, telling part of the container runtime's chain of errors."""
    return message.rsplit(": ", 1)[-1].strip('" ')[:200]


_DENIED = re.compile(r"401 Unauthorized|403 Forbidden|authorization failed|unauthorized|access denied", re.I)
_UNREACHABLE = re.compile(
    r"no such host|connection refused|i/o timeout|no route to host|network is unreachable|deadline exceeded|x509|tls:|"
    r"server gave HTTP response|EOF|lookup .* on ", re.I
)  # fmt: skip


def refine_image_pull(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """What a registry said to a pull: nothing at all, or no.

    Source: https://kubernetes.io/docs/concepts/containers/images/
    """
    for status, spec in statuses_with_specs(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in ("ErrImagePull", "ImagePullBackOff"):
            continue
        image = spec.get("image", "")
        first = image.split("/")[0]
        registry = first if "/" in image and (set(".:") & set(first) or first == "localhost") else ""
        said = [waiting.get("message", ""), *(e["message"] for e in state.events(pod, "Failed"))]
        told = next((m for m in said if image in m and ": " in m.split(image, 1)[1] and "failed" in m), "")
        reason = told.rsplit(": ", 1)[-1].strip('" ')[:200]
        secrets = [ref.get("name", "") for ref in pod.spec.get("imagePullSecrets") or []]
        missing = [s for s in secrets if not state.find("Secret", s, pod.namespace)] if secrets else []
        if missing and (registry or not told):
            similar = nearest(missing[0], [s.name for s in state.all("Secret", pod.namespace)])
            return Failed(
                "pull-secret-missing",
                f"Image {image} of Pod {pod.name} is pulled with the credentials in Secret {missing[0]}, which does not exist in "
                f"namespace {pod.namespace}." + (f" There is one called {similar}." if similar else ""),
                expected=f"Secret {missing[0]}", observed=reason or "no such Secret", object=pod.ref, look="kubectl get secrets",
            )  # fmt: skip
        if not registry:
            continue
        if _DENIED.search(told):
            return Failed(
                "image-pull-denied", f"Registry {registry} does not give image {image} to the node of Pod {pod.name}: {reason}",
                expected=f"{registry} gives {image}", observed=reason, object=pod.ref, look=describe(pod),
            )  # fmt: skip
        if _UNREACHABLE.search(told) and not re.search(r": not found", told):
            return Failed(
                "registry-unreachable",
                f"Registry {registry}, from which Pod {pod.name} wants image {image}, cannot be reached from its node: {reason}",
                expected=f"{registry} answers", observed=reason, object=pod.ref, look=describe(pod),
            )  # fmt: skip
    return None


def refine_config_error(state: State, pod: Object, fault: NotPassed) -> NotPassed | None:
    """Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"""
    message = fault.facts["message"]
    if "runAsNonRoot" not in message:
        return None
    return Failed(
        "image-runs-as-root",
        f"Pod {pod.name} must not run as root (runAsNonRoot), and its image would: {message}",
        expected="a user other than root", observed=message, object=pod.ref, look=describe(pod),
    )  # fmt: skip
