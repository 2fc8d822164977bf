"""The observer as the checker uses it: a batch of questions, and their answers.

cluster/observer/ holds the observer itself.
"""

from __future__ import annotations

import json
from typing import Any

from checker.collect.api import Api, ApiError
from checker.model.fault import Phrase
from cluster.observer import NAMESPACE

_PROXY = f"/api/v1/namespaces/{NAMESPACE}/services/http:observer:8080/proxy/ask"
ASK_TIMEOUT = 8.0  # seconds for one batch; a single request inside it has 2


def ask(api: Api, questions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Answers to a batch of questions (see cluster/observer/server.py), by key.

    Where the observer cannot be asked, each answer is `{"error": why}`.
    """
    if not questions:
        return {}
    try:
        answers: dict[str, Any] = json.loads(
            api.request("POST", _PROXY, {"questions": questions}, read_timeout=ASK_TIMEOUT)
        )
    except ApiError as error:
        known = {404: Phrase("why-observer-missing"), 503: Phrase("why-observer-not-ready")}
        why = known.get(error.status) or Phrase("why-observer-not-asked", {"message": error.why})
        return {key: {"error": why} for key in questions}
    return answers


def forget(api: Api, *namespaces: str) -> None:
    """End the observer's streams in these namespaces, and drop what they saw."""
    ask(api, {namespace: {"do": "forget", "namespace": namespace} for namespace in namespaces})
