"""PodDisruptionBudgets: whether an eviction can ever be allowed.

Source: https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from __future__ import annotations

from checker.diagnosis.selectors import selector_words, selects
from checker.model.state import Object, State
from checker.model.verdict import fail


def walk_budget(state: State, budget: Object) -> None:
    """Return where a PodDisruptionBudget allows evictions, or will do so once its Pods are healthy.

    Raises Failed for one that can never allow an eviction, and for two that select the same Pod.
    """
    pods = [pod for pod in _selected(state, budget) if pod.status.get("phase") not in ("Succeeded", "Failed")]
    for other in state.all("PodDisruptionBudget", budget.namespace):
        shared = [pod.name for pod in _selected(state, other) if pod.uid in {p.uid for p in pods}]
        if other.uid != budget.uid and shared:
            first, second = sorted((budget.name, other.name))
            fail("budgets-overlap", budget, budgets=[first, second], pods=sorted(shared))
    status = budget.status
    expected, desired = status.get("expectedPods", 0), status.get("desiredHealthy", 0)
    if budget.is_stale or not status or not expected:
        return
    written = next((f"{f} {budget.spec[f]}" for f in ("minAvailable", "maxUnavailable") if f in budget.spec), "")
    facts = {"written": written, "expected_pods": expected, "desired": desired}
    if desired > expected:
        fail("budget-never-met", budget, **facts)
    if desired == expected and status.get("currentHealthy", 0) >= expected:
        selector = selector_words(budget.spec.get("selector"))
        fail("budget-allows-none", budget, form="ever", selector=selector, **facts)


def _selected(state: State, budget: Object) -> list[Object]:
    """The Pods that a budget selects, without terminating Pods. Without a selector it selects none."""
    selector = budget.spec.get("selector")
    pods = state.all("Pod", budget.namespace) if selector is not None else []
    return [pod for pod in pods if selects(selector, pod.labels) and not pod.is_terminating]
