"""A namespace of the course's cluster, or of a class's, as a lab's environment.

The module says what `start`, `reset` and `clear` do there, and what a check asks.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checker.classroom.registry import prefixed, prefixed_copy, prefixed_objects, send_function
from checker.classroom.target import further_namespaces, registry_of, target
from checker.collect import marks
from checker.collect.api import Api, ApiError
from checker.collect.refused import problem_of
from checker.collect.rights import rights_in
from checker.diagnosis.taints import is_worker
from checker.environments.base import hand_over, run_script
from checker.grading.labs import Lab
from checker.grading.seeds import SEED, bound, checked, seed_in
from checker.model.catalogue import problem, say
from checker.model.fault import Phrase
from checker.model.kinds import KINDS
from checker.model.state import CLASS, LAB, STARTED, Object, State
from cluster import Cluster, engine, paths
from cluster.context import in_namespace
from cluster.kubectl import kubectl
from cluster.progress import step
from cluster.waiting import wait_until

if TYPE_CHECKING:
    from checker.collect.watch import Watch

# What a learner may have made in a namespace. Pods come first, so that those without an owner go at once.
CLEARED = (
    "cronjobs,jobs,deployments,statefulsets,daemonsets,replicasets,pods,services,ingresses,networkpolicies,"
    "persistentvolumeclaims,resourcequotas,limitranges,poddisruptionbudgets,horizontalpodautoscalers,secrets"
)
# ConfigMap kube-root-ca.crt stays: a controller would create it again.
# Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#root-ca-certificate
# A raised hand stays up: it is about the learner, and not about the lab.
LEARNERS_CONFIG_MAPS = (
    "configmaps",
    f"--field-selector=metadata.name!=kube-root-ca.crt,metadata.name!={marks.HAND}",
)
TERMINATING = "deletionTimestamp"  # in the metadata of a namespace: it is terminating
CLEARED_AT = "kubeclass.dev/cleared"  # annotation of a namespace of the course: when `clear` emptied it, RFC 3339

# Before a script in a class: there, nobody but the teacher makes namespaces, and those that a lab asks for exist.
NO_NAMESPACES = """
kubectl() { case "${1-} ${2-}" in "create namespace") ;; *) send "$@" ;; esac; }
"""


class NamespaceEnvironment:
    """A namespace of a cluster.

    On one's own cluster, `start` makes namespaces and writes down at them what it did. Elsewhere it uses the namespaces
    that are there, and writes where it may (checker/collect/marks.py).
    """

    def __init__(
        self,
        namespace: str = "",
        cluster: Cluster | None = None,
        work: Path | None = None,
        seed: str = "",
    ) -> None:
        """namespace: by default, the cluster's. cluster: by default, the one that is meant (classroom/target.py).
        work: where the learner's files for the labs are, a folder per lab; paths.work() by default.
        seed: for a lab that is made from one (checker/grading/seeds.py), instead of the learner's own.

        Raises Problem where the cluster has no usable kubeconfig.
        """
        self.cluster = cluster or target()
        self.namespace = namespace or self.cluster.namespace
        self.api = Api(self.cluster)
        self.work = work or paths.work()
        self.seed = checked(seed) if seed else ""

    def folder(self, lab: Lab) -> Path:
        """Where the learner keeps the files for a lab."""
        return self.work / lab.files(self.namespace, self.cluster.namespace)

    def look(self, lab: Lab, listed: State | None = None) -> State:
        """Collect what the lab's tasks go by. listed: the objects, where a Watch has them."""
        from checker.collect.collect import collect

        folder = self.folder(lab)
        manifests = [
            file for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]) if not self._is_as_given(lab, file)
        ]
        return collect(
            self.api,
            self.namespace,
            lab.observations,
            manifests,
            lab.spec.needs.manifests,
            lab.kinds,
            listed=listed,
            further=lab.namespaces(self.namespace).values(),
        )

    def _is_as_given(self, lab: Lab, file: Path) -> bool:
        """Whether a file of the learner's is still as `start` put it there. So it tells nothing of their work."""
        given = [lab.folder / folder / file.name for folder in ("setup", "files")]
        prefix = registry_of(self.cluster)
        return any(one.exists() and prefixed(one.read_text(), prefix).encode() == file.read_bytes() for one in given)

    def watch(self, lab: Lab, changed: Callable[[], None]) -> Watch:
        """The objects that the lab's tasks go by, kept up to date; `changed` is called whenever one of them changes."""
        from checker.collect.watch import Watch

        return Watch(self.api, self.namespace, changed, lab.kinds, lab.namespaces(self.namespace).values())

    def _namespace(self) -> dict[str, Any]:
        """The Namespace with its marks; {} where there is none. Raises Problem where a class has taken it back."""
        found = self._get(f"/api/v1/namespaces/{self.namespace}", absent=404)
        if self.cluster.kind == "own":
            return found
        if self.cluster.kind == "class" and not found:
            gone = ApiError(404, Phrase("why-no-namespace", {"namespace": self.namespace}))
            raise problem_of(gone, self.cluster)
        return marks.with_marks(found, self._get(marks.path(self.namespace), 403, absent=404))

    def _get(self, path: str, *also: int, absent: int) -> dict[str, Any]:
        """The object at a path; {} for the status `absent`, and for those in `also`. Raises Problem for any other."""
        try:
            found: dict[str, Any] = self.api.get(path)
        except ApiError as error:
            if error.status in (absent, *also):
                return {}
            raise problem_of(error, self.cluster) from None
        return found

    def is_started(self, lab: Lab) -> bool:
        """Whether `start` has set this lab up here. True too where this user may not see the namespace.

        Raises Problem where the cluster does not answer.
        """
        try:
            self.api.get(f"/api/v1/namespaces/{self.namespace}")
        except ApiError as error:
            if error.status == 403:
                return True
        metadata = self._namespace().get("metadata") or {}
        begun = STARTED in (metadata.get("annotations") or {})
        return begun and (metadata.get("labels") or {}).get(LAB) == lab.number

    def leftovers(self, lab: Lab) -> str:
        """The number of the other lab that was started in this namespace before; empty where there was none."""
        metadata = self._namespace().get("metadata") or {}
        labels = metadata.get("labels") or {}
        if TERMINATING in metadata:
            return ""  # `prepare` waits until all is deleted
        return labels[LAB] if labels.get(LAB, lab.number) != lab.number else ""

    def prepare(self, lab: Lab) -> None:
        """Make the namespace the lab's, and put there what the lab begins with. Doing it twice changes nothing.

        If a namespace of the lab is terminating, wait until it is deleted. Raises Problem where the cluster has not
        what the lab needs.
        """
        self._require(lab)
        self._await_deletion(lab)
        metadata = self._namespace().get("metadata") or {}
        begun = (metadata.get("annotations") or {}).get(STARTED)
        same = (metadata.get("labels") or {}).get(LAB) == lab.number
        started = begun if begun and same else datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        kept = {SEED: metadata["annotations"][SEED]} if same and seed_in(metadata) else {}
        self._mark(self.namespace, lab, {STARTED: started, **kept})
        with prefixed_copy(lab.folder, registry_of(self.cluster)) as files:
            hand_over(files, self.folder(lab))
        self.apply(lab, "setup")
        if lab.is_generated:
            self._generate(lab, started, seed_in(metadata) if same else "", bool(begun and same))
        self.look(lab)  # begins the observer's streams

    def _require(self, lab: Lab) -> None:
        """Raises Problem where the cluster lacks what lab.yaml says under `needs`.

        What this user may not see counts as present.
        """
        needs = lab.spec.needs
        try:
            nodes = [Object("Node", raw) for raw in self.api.get("/api/v1/nodes")["items"]] if needs.workers else []
            if nodes and (have := sum(map(is_worker, nodes))) < needs.workers:
                raise problem("too-few-workers-for-lab", lab=lab.number, wanted=needs.workers, have=have)
            if needs.metrics:
                self.api.get("/apis/metrics.k8s.io/v1beta1")
        except ApiError as error:
            if error.status == 404:
                raise problem("no-metrics-server", lab=lab.number) from None
            if error.status != 403:
                raise problem_of(error, self.cluster) from None
        for further in lab.namespaces(self.namespace).values() if self.cluster.kind != "own" else ():
            if not self._get(f"/api/v1/namespaces/{further}", 403, absent=404):
                raise problem("lab-namespace-missing", lab=lab.number, namespace=further)

    def _await_deletion(self, lab: Lab, timeout: float = 120) -> None:
        """Wait until those of the lab's namespaces that are terminating are deleted, and tell so meanwhile.

        The API server creates no object in a terminating namespace.
        timeout: in seconds. Raises Problem for a namespace that is not deleted in time, and for one that this user
        cannot create again.
        Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespacelifecycle
        """

        def is_free(namespace: str) -> bool:
            found = self._get(f"/api/v1/namespaces/{namespace}", 403, absent=404)
            return TERMINATING not in (found.get("metadata") or {})

        for namespace in (self.namespace, *lab.namespaces(self.namespace).values()):
            if is_free(namespace):
                continue
            facts: dict[str, Any] = {"namespace": namespace, "lab": lab.number}
            if self.cluster.kind != "own":
                raise problem("namespace-taken-back", **facts)
            with step(say("start-namespace-step", namespace=namespace)):
                if not wait_until(partial(is_free, namespace), timeout, pause=1):
                    raise problem("namespace-terminating", seconds=f"{timeout:.0f}", **facts)

    def _generate(self, lab: Lab, started: str, kept: str, begun: bool) -> None:
        """Create what the lab makes from its seed, once: a second `start` must not break what was repaired meanwhile.

        kept: the seed that the namespace holds. The seed is written last: where it is, what was made from it is there.
        """
        seed = self.seed or kept or default_seed(self.namespace)
        if begun and seed == kept:
            return
        for suffix, objects in lab.generated(seed).items():
            namespace = f"{self.namespace}-{suffix}" if suffix else self.namespace
            named = prefixed_objects(objects, registry_of(self.cluster))
            listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": named})
            kubectl(self.cluster, "apply", "-n", namespace, "-f", "-", input=listed)
        uid = self._namespace()["metadata"]["uid"]
        self._mark(self.namespace, lab, {STARTED: started, SEED: bound(seed, uid)})

    def _mark(self, namespace: str, lab: Lab, annotations: dict[str, str]) -> None:
        """Make a namespace, or an existing one, the lab's. Who may not change Namespaces marks it inside."""
        marked = {"labels": {LAB: lab.number}, "annotations": annotations}
        metadata = {"name": namespace, **marked}
        try:
            self.api.apply(
                f"/api/v1/namespaces/{namespace}", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            )
        except ApiError as error:
            if error.status != 403 or self.cluster.kind == "own":
                raise problem_of(error, self.cluster) from None
            metadata = {"name": marks.NAME, "namespace": namespace, **marked}
            self._apply_mark(namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
            return
        self.await_account(namespace)

    def _unmark(self, *namespaces: str) -> None:
        """Take the marks of labs from Namespaces that stay. A mark in a ConfigMap went with what was deleted.

        Raises Problem where the cluster does not answer.
        """
        wanted = {"labels": {LAB: None}, "annotations": {STARTED: None, SEED: None}}
        for namespace in namespaces:
            path = f"/api/v1/namespaces/{namespace}"
            metadata = self._get(path, 403, absent=404).get("metadata") or {}
            if not any(key in (metadata.get(part) or {}) for part, keys in wanted.items() for key in keys):
                continue
            try:
                self.api.request("PATCH", path, {"metadata": wanted}, content="application/merge-patch+json")
            except ApiError as error:
                raise problem_of(error, self.cluster) from None

    def _apply_mark(self, namespace: str, config_map: dict[str, Any]) -> None:
        try:
            self.api.apply(marks.path(namespace), config_map)
        except ApiError as error:
            raise problem_of(error, self.cluster) from None

    def await_account(self, namespace: str, timeout: float = 30) -> None:
        """Wait until a new namespace has its service account `default`. Without it, no Pod can be created there.

        timeout: in seconds. Raises Problem where the service account is not there in time.
        Source: https://kubernetes.io/docs/concepts/security/service-accounts/#default-service-accounts
        """

        def has_account() -> bool:
            try:
                self.api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
                return True
            except ApiError as error:
                if error.status != 404:
                    raise problem_of(error, self.cluster) from None
                return False

        if not wait_until(has_account, timeout, pause=0.2):
            raise problem("no-service-account", namespace=namespace, seconds=f"{timeout:.0f}")

    def reset(self, lab: Lab) -> None:
        """Delete what was made for the lab and set it up again, from the same seed."""
        metadata = self._namespace().get("metadata") or {}
        if (metadata.get("labels") or {}).get(LAB) == lab.number:
            self.seed = self.seed or seed_in(metadata)  # `clear` may delete it
        self._await_deletion(lab)
        self.clear(lab)
        self.prepare(lab)

    def clear(self, lab: Lab) -> None:
        """Delete what is in the namespace, and the lab's further namespaces.

        Namespaces that a class gave stay, without the lab's marks. Raises Problem for a namespace that is not a lab's.
        """
        from checker.collect import observer

        found = self._namespace()
        metadata = found.get("metadata") or {}
        own = LAB in (metadata.get("labels") or {}) or CLEARED_AT in (metadata.get("annotations") or {})
        own = own or self.namespace in further_namespaces(self.cluster).values()
        if found and self.namespace != self.cluster.namespace and not own:
            raise problem("not-of-the-course", namespace=self.namespace, lab=lab.number)
        further = lab.namespaces(self.namespace).values()
        observer.forget(self.api, self.namespace, *further)
        if self.cluster.kind != "own":
            self._delete_what_may_be(self.namespace, *further)
            self._unmark(self.namespace, *further)
            return
        self._delete_namespaces(further)
        if found:
            self._delete_all()
            kubectl(self.cluster, "annotate", "namespace", self.namespace, f"{STARTED}-", "--overwrite")

    def _delete_namespaces(self, names: Collection[str]) -> None:
        if names:
            kubectl(self.cluster, "delete", "namespace", *names, "--ignore-not-found", "--timeout=90s", timeout=100)

    def _delete_all(self) -> None:
        """Delete what a learner may have made in the namespace."""
        where = ("-n", self.namespace, "--ignore-not-found", "--timeout=90s")
        kubectl(self.cluster, "delete", CLEARED, "--all", *where, timeout=100)
        kubectl(self.cluster, "delete", *LEARNERS_CONFIG_MAPS, *where, timeout=100)

    def empty(self) -> None:
        """Delete what labs and lessons left: everything in the namespace, and the namespaces that are named after it.

        A namespace in which somebody else began a lab stays. Raises Problem where the cluster does not answer.
        """
        from checker.collect import observer

        if self.cluster.kind != "own":
            self._namespace()  # raises Problem where a class has taken it back
            places = (self.namespace, *further_namespaces(self.cluster).values())
            observer.forget(self.api, *places)
            self._delete_what_may_be(*places)
            self._unmark(*places)
            return
        try:
            listed = [Object("Namespace", raw) for raw in self.api.get("/api/v1/namespaces")["items"]]
        except ApiError as error:
            raise problem_of(error, self.cluster) from None
        begun = {o.name for o in listed if STARTED in o.annotations and o.name != self.namespace}
        further = [
            o.name
            for o in listed
            if o.name.startswith(f"{self.namespace}-")
            and not any(f"{o.name}-".startswith(f"{name}-") for name in begun)
        ]
        observer.forget(self.api, self.namespace, *further)
        self._delete_namespaces(further)
        if any(o.name == self.namespace for o in listed):
            self._delete_all()
            # New events come all the time, so nothing waits for the end of the old ones.
            events = ("events", "--all", "-n", self.namespace, "--ignore-not-found", "--wait=false")
            kubectl(self.cluster, "delete", *events, timeout=100)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            kubectl(
                self.cluster,
                "annotate",
                "namespace",
                self.namespace,
                f"{STARTED}-",
                f"{CLEARED_AT}={now}",
                "--overwrite",
            )
            kubectl(self.cluster, "label", "namespace", self.namespace, f"{LAB}-")

    def _delete_what_may_be(self, *namespaces: str) -> None:
        """Delete in namespaces what this user may delete there, but not what a class put there.

        Raises Problem where the API server does not say what that is.
        """
        for namespace in namespaces:
            try:
                rights = rights_in(self.api, namespace)
            except ApiError as error:
                raise problem_of(error, self.cluster) from None
            where = ("-l", f"!{CLASS}", "-n", namespace, "--ignore-not-found", "--timeout=90s")
            kinds = [kind for kind in KINDS.values() if kind.plural in CLEARED.split(",")]
            plurals = {kind.plural for kind in kinds if rights.may("delete", kind) and rights.may("list", kind)}
            if deleted := ",".join(plural for plural in CLEARED.split(",") if plural in plurals):
                kubectl(self.cluster, "delete", deleted, *where, timeout=100)
            config_maps = KINDS["ConfigMap"]
            if rights.may("delete", config_maps) and rights.may("list", config_maps):
                kubectl(self.cluster, "delete", *LEARNERS_CONFIG_MAPS, *where, timeout=100)

    def apply(self, lab: Lab, folder: str) -> None:
        """Apply the manifests in a folder of the lab.

        A folder in it that has the name of a further namespace holds the manifests for that namespace.
        """
        with prefixed_copy(lab.folder, registry_of(self.cluster)) as files:
            for where, namespace in {".": self.namespace, **lab.namespaces(self.namespace)}.items():
                manifests = files / folder / where
                if any(manifests.glob("*.yaml")):
                    if namespace != self.namespace:
                        self._mark(namespace, lab, {})
                    kubectl(self.cluster, "apply", "-n", namespace, "-f", str(manifests))

    def run(self, lab: Lab, script: str, folder: Path, timeout: float = 120) -> str:
        """Run a shell script as a learner would type it: kubectl goes to this cluster and this namespace.

        In the script, WORK is the folder of the learner's files, and SEED is what the lab was made from. PYTHON is this
        Python, and ENGINE is the container engine's command. Returns what the script printed.
        Raises Problem with the script's output where it fails.
        """
        from cluster.tools import kubectl_path

        work = self.folder(lab)
        work.mkdir(parents=True, exist_ok=True)
        prefix = registry_of(self.cluster)
        with self._own_kubeconfig() as kubeconfig, prefixed_copy(lab.folder, prefix) as files:
            metadata = self._namespace().get("metadata") or {}
            env = {
                "KUBECONFIG": kubeconfig,
                "SEED": seed_in(metadata),
                "PYTHON": sys.executable,
                "ENGINE": engine.command(),
                "WORK": str(work),
                "PATH": f"{kubectl_path().parent}{os.pathsep}{os.environ['PATH']}",
            }
            before = send_function(prefix) + NO_NAMESPACES if self.cluster.kind == "class" else ""
            place = files / folder.relative_to(lab.folder) if folder.is_relative_to(lab.folder) else folder
            return run_script(before + prefixed(script, prefix), place, self.namespace, env, timeout)

    @contextmanager
    def _own_kubeconfig(self) -> Iterator[str]:
        """A kubeconfig whose context's namespace is this one: the course's own file is shared and stays as it is."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "kubeconfig"
            copy.touch(mode=0o600)
            copy.write_text(in_namespace(self.cluster.kubeconfig.read_text(), self.namespace))
            yield str(copy)


def default_seed(namespace: str) -> str:
    """The seed of a learner's lab in a namespace: the same each time for the same two names."""
    try:
        learner = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        learner = ""
    return hashlib.sha256(f"{namespace}/{learner}".encode()).hexdigest()[:8]
