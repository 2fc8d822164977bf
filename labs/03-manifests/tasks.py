"""Judging lab 03: not how the Deployment is, but whether it is as it was declared (applied.py)."""

from checker.sdk import REVISION_ANNOTATION, Object, State, counted, fail, task, unknown

from .applied import differences, forgers, is_declared, managers

LOOK = "kubectl get deployment guestbook -o yaml --show-managed-fields"


def declared_guestbook(state: State) -> Object:
    deployment = state.require("Deployment", "guestbook")
    if not deployment.metadata.get("managedFields"):
        unknown(
            "not-observed",
            "The notes of who wrote which field of Deployment guestbook are gone, so nobody can tell what of it was applied. "
            "Delete it, and begin anew.",
            expected="metadata.managedFields", observed="nothing", object=deployment.ref, look=LOOK,
        )  # fmt: skip
    if not is_declared(deployment):
        by = sorted({entry["manager"] for entry in managers(deployment, "Update")} - {"kube-controller-manager"})
        forged = ", ".join(forgers(deployment))
        if not forged:
            # An apply was there before; another command took its note away.
            by = [name for name in by if name != "kubectl-client-side-apply"]
        fail(
            "never-applied",
            f"What is noted in Deployment guestbook as applied last was written there by {forged}, and no apply has changed it since; one that says `unchanged` leaves no trace."
            if forged
            else f"Deployment guestbook was written by {', '.join(by) or 'hand'}; it holds no manifest that was applied.",
            expected="a manifest that was applied", observed=f"written by {forged or ', '.join(by) or 'hand'}", object=deployment.ref, look=LOOK,
        )  # fmt: skip
    return deployment


def fail_if_refused(state: State, deployment: Object) -> None:
    """What the API server has against the learner's file explains why the Deployment is not as the file says."""
    for refusal in state.refusals:
        if refusal["kind"] in ("Deployment", "") and refusal["name"] in ("guestbook", ""):
            fail(
                "manifest-refused" if refusal["kind"] else "manifest-malformed",
                f"Your file {refusal['file']} is refused, so Deployment guestbook stays as it was: {refusal['message']}",
                expected="a manifest that the API server takes", observed=refusal["message"], object=deployment.ref,
                look=f"kubectl apply --dry-run=server -f FOLDER/{refusal['file']}",
            )  # fmt: skip


@task("declared")
def guestbook_was_declared(state: State) -> None:
    deployment = declared_guestbook(state)
    state.require_working(deployment)
    if not deployment.runs("guestbook:v2"):
        state.require_image(deployment, "guestbook:v1")


@task("image-changed")
def image_was_overwritten(state: State) -> None:
    deployment = declared_guestbook(state)
    if not deployment.runs("guestbook:v2"):
        fail_if_refused(state, deployment)
        state.require_image(deployment, "guestbook:v2")
    by_hand = [d for d in differences(deployment) if d.path.endswith(".image")]
    if by_hand and by_hand[0].by:
        fail(
            "changed-by-hand",
            f"The image of Deployment guestbook is {by_hand[0].live}, which was written by {by_hand[0].by}, not by an apply.",
            expected="an image that was applied", observed=f"written by {by_hand[0].by}", object=deployment.ref, look=LOOK,
        )  # fmt: skip
    if by_hand:
        fail(
            "changed-by-hand",
            f"The image of Deployment guestbook is {by_hand[0].live}, but what was applied last says {by_hand[0].declared}.",
            expected=f"an image that was applied (the last one is {by_hand[0].declared})", observed=by_hand[0].live, object=deployment.ref, look="kubectl diff -f FILE",
        )  # fmt: skip
    kept = state.owned("ReplicaSet", deployment)
    if not any(rs.runs("guestbook:v1") for rs in kept):
        limit, revision = (
            deployment.spec.get("revisionHistoryLimit", 10),
            int(deployment.annotations.get(REVISION_ANNOTATION, 0)),
        )
        if revision > len(kept) > limit:
            unknown(
                "not-observed",
                f"Deployment guestbook is at revision {revision} and keeps {limit} earlier ones (revisionHistoryLimit), none of them "
                "with v1, so nobody can tell whether it ran v1 before.",
                expected="a ReplicaSet with guestbook:v1", observed=f"{len(kept)} of {revision} revisions are kept",
                object=deployment.ref, look="kubectl get replicasets -o wide",
            )  # fmt: skip
        fail(
            "no-earlier-revision",
            "Deployment guestbook is on v2, and was never on v1: it was made anew, or v1 was never applied.",
            expected="a Deployment that ran guestbook:v1 before", observed="no ReplicaSet with guestbook:v1", object=deployment.ref,
            look="kubectl get replicasets -o wide",
        )  # fmt: skip
    state.require_working(deployment)


@task("no-drift")
def nothing_differs(state: State) -> None:
    deployment = declared_guestbook(state)
    found = differences(deployment)
    if found:
        first = found[0]
        more = f" In all, {len(found)} fields differ." if len(found) > 1 else ""
        if first.by:
            fail(
                "imperative-leftover",
                f"Field {first.path} of Deployment guestbook was written by {first.by}, and does not come from what was applied.{more}",
                expected="every field as applied", observed=f"{first.path}: {first.live}", object=deployment.ref, look=LOOK,
            )  # fmt: skip
        fail(
            "changed-by-hand",
            f"Field {first.path} of Deployment guestbook is {first.live}; what was applied last says {first.declared}.{more}",
            expected=f"{first.path}: {first.declared}", observed=first.live, object=deployment.ref, look="kubectl diff -f FILE",
        )  # fmt: skip
    if deployment.spec.get("replicas", 1) < 2:
        fail_if_refused(state, deployment)
        fail(
            "too-few-replicas", f"Deployment guestbook asks for {counted(deployment.spec.get('replicas', 1), 'replica')}.",
            expected="at least 2", observed=str(deployment.spec.get("replicas", 1)), object=deployment.ref,
            look="kubectl describe deployment guestbook",
        )  # fmt: skip
    state.require_working(deployment)
