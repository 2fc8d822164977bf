"""What the API server refuses, in a learner's words; by the messages of a real one (refusals.yaml, Kubernetes 1.37)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from checker.diagnosis.refusals import in_words, said_by_api_server
from checker.model.fault import Failed, Phrase
from checker.sdk import State
from tests.unit.objects import state

MESSAGES: list[dict[str, str]] = yaml.safe_load((Path(__file__).parent / "refusals.yaml").read_text())
# By name of the manifest: the words, and what of the facts tells it.
WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "number-for-string": ("refused-string-wanted", {"found": "number"}),
    "label-number": ("refused-string-wanted", {"found": "number", "field": "metadata.labels"}),
    "configmap-bool": ("refused-string-wanted", {"found": "boolean", "field": "data"}),
    "string-for-number": ("refused-number-wanted", {}),
    "string-for-number-2": ("refused-number-wanted", {}),
    "map-for-list": ("refused-list-wanted", {}),
    "no-matches": ("refused-no-such-kind", {"kind": "Deployment", "version": "extensions/v1beta1", "now": "apps/v1"}),
    "no-matches-ingress": ("refused-no-such-kind", {"kind": "Ingress", "now": "networking.k8s.io/v1"}),
    "no-matches-cronjob": ("refused-no-such-kind", {"kind": "CronJob", "now": "batch/v1"}),
    "wrong-group": ("refused-no-such-kind", {"kind": "Deployment", "version": "v1", "now": "apps/v1"}),
    "kind-typo": ("refused-no-such-kind", {"kind": "Deploymnt", "near": "Deployment", "now": ""}),
    "unknown-field": ("refused-unknown-field", {"fields": ["spec.replicaCount"], "near": "replicas", "place": ""}),
    "unknown-field-2": ("refused-unknown-field", {"near": "image"}),
    "misplaced-field": ("refused-unknown-field", {"near": "", "place": "spec.replicas"}),
    "misplaced-ports": ("refused-unknown-field", {"near": "", "place": "containers[].ports"}),
    "two-errors": ("refused-unknown-field", {"fields": ["spec.containers[0].comand", "spec.containers[0].prots"]}),
    "selector-mismatch": ("refused-selector-mismatch", {}),
    "selector-missing": ("refused-field-missing", {"fields": ["spec.selector"]}),
    "immutable": ("refused-immutable", {"field": "spec.selector"}),
    "pod-update": ("refused-pod-update", {}),
    "bad-name": ("refused-name", {"field": "Web_App"}),
    "image-missing": ("refused-field-missing", {"fields": ["spec.template.spec.containers[0].image"]}),
    "ports-unnamed": ("refused-field-missing", {"fields": ["spec.ports[0].name", "spec.ports[1].name"]}),
    "unsupported": ("refused-value-unsupported", {"field": "spec.type", "near": "LoadBalancer"}),
    "no-apiversion": ("refused-not-set", {"field": "apiVersion"}),
    "no-kind": ("refused-not-set", {"field": "kind"}),
    "secret-base64": ("refused-base64", {}),
    "bad-quantity": ("refused-quantity", {}),
}
KNOWN = [one for one in MESSAGES if one["name"] in WORDS]


@pytest.mark.parametrize("one", KNOWN, ids=lambda one: f"{one['name']}-{one['when']}")
def test_a_known_message_is_told_with_what_was_found_and_the_api_servers_words(one: dict[str, str]) -> None:
    phrase, facts = WORDS[one["name"]]
    told = in_words(one["message"])
    assert isinstance(told, Phrase)
    assert told.id == phrase
    assert facts.items() <= told.facts.items()
    quote = told.facts["quote"]
    assert f"(The API server: {quote})" in str(told)
    assert "\n" not in str(told)
    assert "map[" not in quote
    assert all(piece in one["message"] for piece in quote.split("; "))


def test_every_message_was_met_on_a_real_cluster() -> None:
    assert {one["name"] for one in KNOWN} == set(WORDS)
    assert len({phrase for phrase, _ in WORDS.values()}) >= 10


@pytest.mark.parametrize("one", [one for one in MESSAGES if one["name"] not in WORDS], ids=lambda one: one["name"])
def test_any_other_message_stays_as_it_is(one: dict[str, str]) -> None:
    assert in_words(one["message"]) == one["message"]


def test_a_phrase_and_an_empty_message_stay_as_they_are() -> None:
    malformed = Phrase("why-not-text")
    assert in_words(malformed) is malformed
    assert in_words("") == ""
    assert said_by_api_server("error: ") == "error: "


def test_a_required_object_that_was_refused_is_told_in_these_words() -> None:
    (message,) = [o["message"] for o in MESSAGES if (o["name"], o["when"]) == ("misplaced-field", "changed")]
    refusals = [{"file": "web.yaml", "kind": "Deployment", "name": "web", "message": message}]
    with pytest.raises(Failed) as end:
        State.of(state(refusals=refusals)).require("Deployment", "web")
    assert end.value.cause == "manifest-refused"
    assert end.value.message == (
        "Deployment web does not exist. The API server refuses your file web.yaml: field spec.template.spec.replicas "
        "does not exist at this place. A field of this name is spec.replicas. "
        '(The API server: strict decoding error: unknown field "spec.template.spec.replicas")'
    )
