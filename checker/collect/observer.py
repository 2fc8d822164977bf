"""The observer as the checker uses it: a batch of questions, and their answers.

cluster/observer/ holds the observer itself. It answers only for namespaces whose Pods the asker may reach
(cluster/observer/rights.py). The asker shows that by tokens that only the observer takes, made by TokenRequest: one of
the observer's own namespace where the API server gives it (the administrator of the cluster gets it), else one of each
namespace that is asked about. The API server's proxy does not hand on who called it.
Source: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from checker.collect.api import Api, ApiError
from checker.model.fault import OBSERVER_SILENT, Phrase
from cluster import observer
from cluster.observer.rights import AUDIENCE

ASK_TIMEOUT = 8.0  # seconds for one batch; a single request inside it has 2
LASTS = 600  # seconds for which a token is asked for, the least that the API server gives
USED = 480  # seconds after which another is made
REFUSED = 60  # seconds after which the API server is asked again for a token that it did not give
ACCOUNT = "default"  # a ServiceAccount that every namespace has


def ask(api: Api, questions: dict[str, dict[str, Any]], namespaces: Iterable[str] = ()) -> dict[str, Any]:
    """Answers to a batch of questions (see cluster/observer/server.py), by key.

    namespaces: those that the questions are about.
    Where the observer cannot be asked, each answer is `{"error": why}`. Where it does not ask for this user, the answer
    is `{"error": why, "refused": True}`.
    """
    if not questions:
        return {}
    named, begin = list(dict.fromkeys(namespaces)), time.monotonic()
    try:
        answers = _ask(api, questions, named)
        again = {key: questions[key] for key, answer in answers.items() if _is_refused(answer)}
        if again and _tokens(api).forget(begin):  # tokens of a namespace that was deleted are good for nothing
            answers |= _ask(api, again, named)
    except ApiError as error:
        return dict.fromkeys(questions, _no_answer(error))
    return {key: _as_answered(answer) for key, answer in answers.items()}


def forget(api: Api, *namespaces: str) -> None:
    """End the observer's streams in these namespaces, and drop what they saw."""
    ask(api, {namespace: {"do": "forget", "namespace": namespace} for namespace in namespaces}, namespaces)


def _ask(api: Api, questions: dict[str, dict[str, Any]], namespaces: list[str]) -> dict[str, Any]:
    """As `ask`, once. Raises ApiError where the observer could not be asked."""
    tokens = _tokens(api).of(api, namespaces)
    path = f"/api/v1/namespaces/{observer.NAMESPACE}/services/{observer.PROXY}/proxy/ask"
    body = {"questions": questions, "namespaces": namespaces, "tokens": tokens}
    try:
        answers = json.loads(api.request("POST", path, body, read_timeout=ASK_TIMEOUT))
    except ValueError:
        answers = None
    except ApiError as error:
        if error.status != 403:
            raise
        return {key: {"error": error.why, "refused": True} for key in questions}
    if not isinstance(answers, dict):  # something else than the observer has answered, such as a proxy on the way
        return {key: {"error": Phrase("why-answer-unreadable")} for key in questions}
    return answers


def _is_refused(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.get("refused") is True


def _as_answered(answer: Any) -> Any:
    """An answer as a State holds it: that something was too much at once is no refusal."""
    if isinstance(answer, dict) and answer.get("refused") is False:
        return {"error": Phrase(OBSERVER_SILENT, {"message": answer["error"]})}
    return answer


def _no_answer(error: ApiError) -> dict[str, Any]:
    known = {404: Phrase("why-observer-missing"), 503: Phrase("why-observer-not-ready")}
    return {"error": known.get(error.status) or Phrase(OBSERVER_SILENT, {"message": error.why})}


@dataclass(frozen=True)
class _Token:
    value: str  # empty where the API server gave none
    made: float  # by time.monotonic()

    @property
    def is_good(self) -> bool:
        return time.monotonic() < self.made + (USED if self.value else REFUSED)


class _Tokens:
    """Tokens of one cluster, each made when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[object, str], _Token] = {}

    def of(self, api: Api, namespaces: list[str]) -> list[str]:
        """The tokens that speak for these namespaces, as far as the API server gives them.

        Raises ApiError where it does not answer.
        """
        # A class gives no learner a token of the observer's own namespace.
        everything = "" if api.cluster.kind == "class" else self._of_namespace(api, observer.NAMESPACE)
        if everything or not namespaces:
            return [everything] if everything else []
        with ThreadPoolExecutor(max_workers=4) as pool:
            return [token for token in pool.map(partial(self._of_namespace, api), namespaces) if token]

    def forget(self, before: float) -> bool:
        """Drop what was made before that moment (by time.monotonic()). Returns whether there was any."""
        with self._lock:
            old = [key for key, token in self._kept.items() if token.made < before]
            for key in old:
                del self._kept[key]
        return bool(old)

    def _of_namespace(self, api: Api, namespace: str) -> str:
        key = (api.edition(), namespace)
        with self._lock:
            known = self._kept.get(key)
        if known is None or not known.is_good:
            known = _Token(_make(api, namespace), time.monotonic())
            with self._lock:
                self._kept[key] = known
        return known.value


def _make(api: Api, namespace: str) -> str:
    """A token of a namespace, or "" where the API server refuses it. Raises ApiError where it does not answer."""
    wanted = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [AUDIENCE], "expirationSeconds": LASTS},
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{ACCOUNT}/token"
    try:
        made = json.loads(api.request("POST", path, wanted))
    except ApiError as error:
        if error.status in (403, 404):
            return ""
        raise
    return str((made.get("status") or {}).get("token") or "")


_OF_CLUSTERS: WeakKeyDictionary[Api, _Tokens] = WeakKeyDictionary()
_LOCK = threading.Lock()


def _tokens(api: Api) -> _Tokens:
    with _LOCK:
        return _OF_CLUSTERS.setdefault(api, _Tokens())
