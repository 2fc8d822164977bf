"""What a user may do in a namespace, as the API server says it of that user.

Source: https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-rules-review-v1/
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from checker.collect.api import Api
from checker.model.kinds import Kind

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


@dataclass(frozen=True)
class Rights:
    """rules: as the API server lists them. incomplete: whether the cluster's authorizer may allow more than these."""

    rules: tuple[dict[str, Any], ...]
    incomplete: bool = False

    def may(self, verb: str, kind: Kind) -> bool:
        """Whether a rule allows a verb for all objects of a kind."""
        group = kind.group_version.rpartition("/")[0]
        wanted = (("verbs", verb), ("apiGroups", group), ("resources", kind.plural))
        return any(
            not rule.get("resourceNames") and all({"*", value} & set(rule.get(field) or ()) for field, value in wanted)
            for rule in self.rules
        )

    def kinds(self, verb: str, kinds: Iterable[Kind]) -> list[Kind]:
        """Those of the kinds for which a rule allows the verb."""
        return [kind for kind in kinds if self.may(verb, kind)]


def rights_in(api: Api, namespace: str) -> Rights:
    """Raises ApiError where the API server does not say."""
    question = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    status = json.loads(api.request("POST", _REVIEWS, question))["status"]
    return Rights(tuple(status.get("resourceRules") or ()), bool(status.get("incomplete")))
