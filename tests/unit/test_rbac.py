"""What the API server refuses to a Pod: each form of the sentences, by the container's own words."""

from __future__ import annotations

import pytest

from checker.diagnosis.rbac import explain_forbidden, explain_no_token
from checker.model.state import Object

from .objects import obj, pod, state

USER = 'User "system:serviceaccount:learn:reader" cannot list resource "nodes" in API group ""'
TOKEN = "open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory"


@pytest.mark.parametrize(
    "where, part",
    [
        (
            ' in the namespace "learn"',
            "may not list nodes in namespace learn. No RoleBinding in namespace learn is for it.",
        ),
        (" at the cluster scope", "may not list nodes in the whole cluster."),
    ],
)
def test_a_refused_request_names_the_permission_and_its_scope(where: str, part: str) -> None:
    end = explain_forbidden(state(), pod(), f"nodes is forbidden: {USER}{where}")
    assert end
    words = end.fault.words()
    assert part in words.message
    assert words.look.startswith("kubectl auth can-i list nodes --as=system:serviceaccount:learn:reader ")


def test_the_role_bindings_of_the_account_and_of_others_are_named() -> None:
    def binding(name: str, account: str) -> Object:
        subjects = [{"kind": "ServiceAccount", "name": account, "namespace": "learn"}]
        return obj("RoleBinding", name, roleRef={"kind": "ClusterRole", "name": "view"}, subjects=subjects)

    accounts = obj("ServiceAccount", "reader"), obj("ServiceAccount", "writer")
    refusal = f'{USER} in the namespace "learn"'
    bound = explain_forbidden(state(*accounts, binding("readers", "reader")), pod(), refusal)
    assert bound and bound.fault.facts["bindings"] == ["readers"] and bound.fault.facts["unbound_in"] == ""
    other = explain_forbidden(state(*accounts, binding("writers", "writer")), pod(), refusal)
    assert other and other.fault.facts["others"] == ["writer"] and other.fault.facts["unbound_in"] == "learn"


@pytest.mark.parametrize("form", ["", "pod", "account"])
def test_a_missing_token_says_which_object_turns_it_off(form: str) -> None:
    account = obj("ServiceAccount", "default", automountServiceAccountToken=form != "account")
    sick = pod()
    if form == "pod":
        sick.spec["automountServiceAccountToken"] = False
    end = explain_no_token(state(account), sick, TOKEN)
    assert end and end.fault.form == form
    assert ("automountServiceAccountToken: false" in end.fault.words().message) == bool(form)
