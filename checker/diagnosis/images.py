"""Why a container's image cannot be used: its name, the nodes that have it, its registry, and its user.

Source: https://kubernetes.io/docs/concepts/containers/images/
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from checker.diagnosis.component_words import words_of
from checker.diagnosis.containers import container_spec, statuses_with_specs
from checker.model.fault import Fault, Ref, fail
from checker.model.image_name import ImageName
from checker.model.spelling import nearest
from checker.model.state import Object, State

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
    """An image's name as nodes list it: `docker.io/library/x` is `x:latest`."""
    return ImageName.parse(name).with_tag


def explain_image(state: State, pod: Object, status: dict[str, Any], waiting: dict[str, Any]) -> NoReturn:
    """Raise Failed with the reason why a container's image cannot be used.

    status: the container's status. waiting: its state `waiting`, with the reason and the message of the kubelet.
    """
    written = container_spec(pod, status["name"]).get("image") or status.get("image", "")
    image, reason, node = short_image(written), waiting.get("reason", ""), pod.spec.get("nodeName", "")
    facts: dict[str, Any] = {"container": status["name"], "written": written, "image": image, "reason": reason}
    if reason == "InvalidImageName":
        fail("image-name-invalid", pod, **facts)
    known = known_images(state)
    holders = known.get(image, set())
    if holders and node not in holders:
        fail("image-not-loaded", pod, node=node, nodes=sorted(holders), **facts)
    policy = container_spec(pod, status["name"]).get("imagePullPolicy", "")
    if holders and policy == "Always" and reason in ("ErrImagePull", "ImagePullBackOff"):
        latest = "latest" if image.endswith(":latest") and not written.endswith(":latest") else ""
        error = _last_reason(waiting.get("message", ""))
        fail("image-pulled-anyway", pod, form=latest, node=node, pull_error=error, **facts)
    own = [name for name in known if "/" not in name]
    similar = nearest(image, own, cutoff=0.75)
    if similar:
        repository = ImageName.parse(image).repository
        tags = sorted(name for name in own if ImageName.parse(name).repository == repository)
        fail("image-name-typo", pod, tags=tags, near="" if tags else similar, **facts)
    fail("image-not-found", pod, node=node, pull_error=_last_reason(waiting.get("message", "")), **facts)


def _last_reason(message: str) -> str:
    """The last, telling part of the container runtime's chain of errors."""
    return message.rsplit(": ", 1)[-1].strip('" ')[:200]


_DENIED = re.compile(r"401 Unauthorized|403 Forbidden|authorization failed|unauthorized|access denied", re.I)
_LIMITED = re.compile(r"toomanyrequests|429 Too Many Requests|pull rate limit", re.I)
_UNREACHABLE = re.compile(
    r"no such host|connection refused|i/o timeout|no route to host|network is unreachable|deadline exceeded|x509|tls:|"
    r"server gave HTTP response|EOF|lookup .* on ",
    re.I,
)


def refine_image_pull(state: State, pod: Object, fault: Fault) -> Fault | None:
    """What a registry answered to a pull: nothing at all, or a refusal.

    Source: https://kubernetes.io/docs/concepts/containers/images/
    """
    for status, spec in statuses_with_specs(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in ("ErrImagePull", "ImagePullBackOff"):
            continue
        image, node = spec.get("image", ""), pod.spec.get("nodeName", "")
        first = image.split("/")[0]
        registry = first if "/" in image and (set(".:") & set(first) or first == "localhost") else ""
        messages = [waiting.get("message", ""), *(e["message"] for e in state.events(pod, "Failed"))]
        message = next((m for m in messages if image in m and ": " in m.split(image, 1)[1] and "failed" in m), "")
        reason = _last_reason(message)
        secrets = [ref.get("name", "") for ref in pod.spec.get("imagePullSecrets") or []]
        missing = [s for s in secrets if not state.find("Secret", s, pod.namespace)] if secrets else []
        if missing and (registry or not message):
            near = nearest(missing[0], [s.name for s in state.all("Secret", pod.namespace)])
            return Fault(
                "pull-secret-missing",
                Ref.of(pod),
                {"image": image, "secret": missing[0], "near": near, "pull_error": reason},
            )
        if _LIMITED.search(message):
            facts = {"image": image, "registry": registry or "docker.io", "node": node, "pull_error": reason}
            return Fault("image-pull-limited", Ref.of(pod), facts)
        if not registry:
            continue
        if _DENIED.search(message):
            return Fault(
                "image-pull-denied",
                Ref.of(pod),
                {"image": image, "registry": registry, "node": node, "pull_error": reason},
            )
        if _UNREACHABLE.search(message) and not re.search(r": not found", message):
            return Fault(
                "registry-unreachable",
                Ref.of(pod),
                {"image": image, "registry": registry, "node": node, "pull_error": reason},
            )
    return None


def refine_config_error(state: State, pod: Object, fault: Fault) -> Fault | None:
    """Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"""
    message = words_of(fault)
    if "runAsNonRoot" not in message:
        return None
    form = "unknown-user" if "non-numeric user" in message else ""
    return Fault("image-runs-as-root", Ref.of(pod), {"message": message}, form=form)
