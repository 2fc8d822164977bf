"""Judging lab 03: not the values of the Deployment, but whether they come from an apply (applied.py)."""

from checker.sdk import REVISION_ANNOTATION, Object, State, fail, refusal_in_words, task, unknown

from .applied import AsDeclared, differences, forgers, is_declared, managers

FIRST, SECOND = "guestbook:v1", "guestbook:v2"


def declared_guestbook(state: State) -> Object:
    """Deployment guestbook. Raises Failed where it was not applied, and Unknown where that cannot be known."""
    deployment = state.require("Deployment", "guestbook")
    if not deployment.metadata.get("managedFields"):
        unknown("not-observed", deployment, form="field-managers")
    if not is_declared(deployment):
        forged = forgers(deployment)
        if forged:
            fail("never-applied", deployment, form="forged", managers=forged)
        # The manager of a client-side apply stays in managedFields after another command removed the annotation.
        ignored = {"kube-controller-manager", "kubectl-client-side-apply"}
        by = sorted({entry["manager"] for entry in managers(deployment, "Update")} - ignored)
        fail("never-applied", deployment, managers=by)
    return deployment


def fail_if_refused(state: State, deployment: Object) -> None:
    """Raise Failed where the API server refuses the learner's manifest of the Deployment, or it is malformed."""
    for refusal in state.refusals:
        if refusal["kind"] not in ("Deployment", "") or refusal["name"] not in ("guestbook", ""):
            continue
        file, reason = refusal["file"], refusal["message"]
        if refusal["kind"]:
            fail("manifest-refused", deployment, form="unchanged", file=file, reason=refusal_in_words(reason))
        fail("manifest-malformed", deployment, form="unchanged", file=file, reason=reason)


@task("declared")
def guestbook_was_declared(state: State) -> None:
    deployment = declared_guestbook(state)
    state.require_working(deployment)
    if not deployment.runs(SECOND):
        state.require_image(deployment, FIRST)


@task("image-changed", observe=AsDeclared("guestbook"))
def image_was_overwritten(state: State, created: Object) -> None:
    deployment = declared_guestbook(state)
    if not deployment.runs(SECOND):
        fail_if_refused(state, deployment)
        state.require_image(deployment, SECOND)
    by_hand = [d for d in differences(deployment, created) if d.path.endswith(".image")]
    if by_hand:
        first = by_hand[0]
        if first.by:
            fail("changed-by-hand", deployment, form="image-written", live=first.live, manager=first.by)
        fail("changed-by-hand", deployment, form="image", live=first.live, declared=first.declared)
    kept = state.owned("ReplicaSet", deployment)
    if not any(rs.runs(FIRST) for rs in kept):
        limit = deployment.spec.get("revisionHistoryLimit", 10)
        revision = int(deployment.annotations.get(REVISION_ANNOTATION, 0))
        if revision > len(kept) > limit:
            unknown(
                "not-observed",
                deployment,
                form="revisions-deleted",
                revision=revision,
                limit=limit,
                kept=len(kept),
                image=FIRST,
            )
        fail("no-earlier-revision", deployment, form="created-again", image=SECOND, earlier=FIRST)
    state.require_working(deployment)


@task("no-drift", observe=AsDeclared("guestbook"))
def nothing_differs(state: State, created: Object) -> None:
    deployment = declared_guestbook(state)
    found = differences(deployment, created)
    if found:
        first, others = found[0], [difference.path for difference in found[1:]]
        if first.by:
            fail("imperative-leftover", deployment, path=first.path, live=first.live, manager=first.by, others=others)
        fail("changed-by-hand", deployment, path=first.path, live=first.live, declared=first.declared, others=others)
    replicas = deployment.spec.get("replicas", 1)
    if replicas < 2:
        fail_if_refused(state, deployment)
        fail("too-few-replicas", deployment, form="spec", replicas=replicas, least=2)
    state.require_working(deployment)
