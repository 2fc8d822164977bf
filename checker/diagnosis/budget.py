"""PodDisruptionBudgets: whether an eviction can ever be allowed.

Source: https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from __future__ import annotations

from checker.diagnosis.owners import workload_of
from checker.diagnosis.selectors import selector_words, selects, wished
from checker.model.spelling import nearest, nearest_labels, pairs
from checker.model.state import WORKLOADS, Object, State
from checker.model.verdict import fail

# Labels that the controllers of Kubernetes put on each Pod.
_BY_KUBERNETES = {
    "pod-template-hash",
    "controller-revision-hash",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
}


def walk_budget(state: State, budget: Object) -> None:
    """Return where a PodDisruptionBudget allows evictions, or will do so once its Pods are healthy.

    Raises Failed for one that can never allow an eviction, for two that select the same Pod, and for one that selects
    none.
    """
    pods = [pod for pod in _selected(state, budget) if pod.status.get("phase") not in ("Succeeded", "Failed")]
    for other in state.all("PodDisruptionBudget", budget.namespace):
        shared = [pod.name for pod in _selected(state, other) if pod.uid in {p.uid for p in pods}]
        if other.uid != budget.uid and shared:
            first, second = sorted((budget.name, other.name))
            fail("budgets-overlap", budget, budgets=[first, second], pods=sorted(shared))
    status = budget.status
    expected, desired = status.get("expectedPods", 0), status.get("desiredHealthy", 0)
    if budget.is_stale or not status:
        return
    if not expected:
        _explain_selects_nobody(state, budget)
        return
    written = next((f"{f} {budget.spec[f]}" for f in ("minAvailable", "maxUnavailable") if f in budget.spec), "")
    facts = {"written": written, "expected_pods": expected, "desired": desired}
    if desired > expected:
        fail("budget-never-met", budget, **facts)
    if desired == expected and status.get("currentHealthy", 0) >= expected and not _is_of_a_role(state, budget, pods):
        selector = selector_words(budget.spec.get("selector"))
        fail("budget-allows-none", budget, form="ever", selector=selector, **facts)


def _is_of_a_role(state: State, budget: Object, pods: list[Object]) -> bool:
    """Whether a budget selects Pods by a label that no template gives them, such as `role: primary`.

    A program puts this label on one Pod of several, and can put it on another one before a drain.
    """
    keys = set(wished(budget.spec.get("selector"))) - _BY_KUBERNETES
    makers = [maker for pod in pods if (maker := workload_of(state, pod))]
    given = [((one.spec.get("template") or {}).get("metadata") or {}).get("labels") or {} for one in makers]
    return bool(makers) and all(keys - set(labels) for labels in given)


def _explain_selects_nobody(state: State, budget: Object) -> None:
    """Raise Failed where a budget selects no Pod, and Pods have nearly the labels that it asks for.

    A workload that has no Pods now may have them later: then the budget is right.
    """
    selector = budget.spec.get("selector")
    wanted = wished(selector)
    made = [
        ((one.spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
        for kind in WORKLOADS
        for one in state.all(kind, budget.namespace)
    ]
    if not wanted or any(selects(selector, labels) for labels in made):
        return
    pods = [pod for pod in state.all("Pod", budget.namespace) if not pod.is_terminating]
    near = nearest_labels(wanted, [pod.labels for pod in pods]) or {}
    labels = {key: near[key] for key, value in wanted.items() if key in near and nearest(value, [near[key]], 0.5)}
    if len(labels) < len(wanted) or any(selects(selector, pod.labels) for pod in pods):
        return
    alike = sum(labels.items() <= pod.labels.items() for pod in pods)
    facts = {"selector": selector_words(selector), "labels": pairs(labels), "pods": alike}
    fail("budget-selects-nothing", budget, **facts)


def _selected(state: State, budget: Object) -> list[Object]:
    """The Pods that a budget selects, without terminating Pods. Without a selector it selects none."""
    selector = budget.spec.get("selector")
    pods = state.all("Pod", budget.namespace) if selector is not None else []
    return [pod for pod in pods if selects(selector, pod.labels) and not pod.is_terminating]
