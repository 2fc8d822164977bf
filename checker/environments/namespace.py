"""A namespace of the course's cluster as a lab's environment.

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checker.collect.api import Api, ApiError
from checker.diagnosis.taints import is_worker
from checker.environments.base import run_script
from checker.grading.labs import Lab
from checker.grading.seeds import SEED, bound, checked, seed_in
from checker.model.catalogue import problem
from checker.model.state import LAB, STARTED, Object, State
from cluster import Cluster, Problem, current, engine, paths
from cluster.context import DEFAULT_NAMESPACE, in_namespace
from cluster.kubectl import kubectl
from cluster.waiting import wait_until

if TYPE_CHECKING:
    from checker.collect.watch import Watch

# What a learner may have made in a namespace. Pods come first, so that those without an owner go at once.
CLEARED = (
    "cronjobs,jobs,deployments,statefulsets,daemonsets,replicasets,pods,services,ingresses,networkpolicies,"
    "persistentvolumeclaims,resourcequotas,limitranges,poddisruptionbudgets,horizontalpodautoscalers,secrets"
)
CLEARED_AT = "kubeclass.dev/cleared"  # annotation of a namespace of the course: when `clear` emptied it, RFC 3339


class NamespaceEnvironment:
    """A namespace of the course's cluster."""

    def __init__(
        self,
        namespace: str = DEFAULT_NAMESPACE,
        cluster: Cluster | None = None,
        work: Path | None = None,
        seed: str = "",
    ) -> None:
        """work: where the learner's files for the labs are, a folder per lab; paths.work() by default.
        seed: for a lab that is made from one (checker/grading/seeds.py), instead of the learner's own.

        Raises Problem where the cluster has no usable kubeconfig.
        """
        self.namespace = namespace
        self.cluster = cluster or current()
        self.api = Api(self.cluster)
        self.work = work or paths.work()
        self.seed = checked(seed) if seed else ""

    def folder(self, lab: Lab) -> Path:
        """Where the learner keeps the files for a lab."""
        return self.work / lab.files(self.namespace)

    def look(self, lab: Lab, listed: State | None = None) -> State:
        """Collect what the lab's tasks go by. listed: the objects, where a Watch has them."""
        from checker.collect.collect import collect

        folder = self.folder(lab)
        manifests = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        return collect(
            self.api, self.namespace, lab.observations, manifests, lab.spec.needs.manifests, lab.kinds, listed=listed
        )

    def watch(self, lab: Lab, changed: Callable[[], None]) -> Watch:
        """The objects that the lab's tasks go by, kept up to date; `changed` is called whenever one of them changes."""
        from checker.collect.watch import Watch

        return Watch(self.api, self.namespace, changed, lab.kinds)

    def _namespace(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.api.get(f"/api/v1/namespaces/{self.namespace}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise unreachable(error) from None
        return found

    def is_started(self, lab: Lab) -> bool:
        """Whether `start` has set this lab up here. True too where this user may not see the namespace.

        Raises Problem where the cluster does not answer.
        """
        try:
            metadata = self.api.get(f"/api/v1/namespaces/{self.namespace}")["metadata"]
        except ApiError as error:
            if error.status not in (403, 404):
                raise unreachable(error) from None
            return error.status == 403
        begun = STARTED in (metadata.get("annotations") or {})
        return begun and (metadata.get("labels") or {}).get(LAB) == lab.number

    def leftovers(self, lab: Lab) -> str:
        """The number of the other lab that was started in this namespace before; empty where there was none."""
        labels = ((self._namespace() or {}).get("metadata") or {}).get("labels") or {}
        return labels[LAB] if labels.get(LAB, lab.number) != lab.number else ""

    def prepare(self, lab: Lab) -> None:
        """Make the namespace the lab's, and put there what the lab begins with. Doing it twice changes nothing.

        Raises Problem where the cluster has not what the lab needs.
        """
        self._require(lab)
        metadata = (self._namespace() or {}).get("metadata") or {}
        begun = (metadata.get("annotations") or {}).get(STARTED)
        same = (metadata.get("labels") or {}).get(LAB) == lab.number
        started = begun if begun and same else datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        kept = {SEED: metadata["annotations"][SEED]} if same and seed_in(metadata) else {}
        self._mark(self.namespace, lab, {STARTED: started, **kept})
        self.folder(lab).mkdir(parents=True, exist_ok=True)
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
                raise unreachable(error) from None

    def _generate(self, lab: Lab, started: str, kept: str, begun: bool) -> None:
        """Create what the lab makes from its seed, once: a second `start` must not break what was repaired meanwhile.

        kept: the seed that the namespace holds. The seed is written last: where it is, what was made from it is there.
        """
        seed = self.seed or kept or default_seed(self.namespace)
        if begun and seed == kept:
            return
        for suffix, objects in lab.generated(seed).items():
            namespace = f"{self.namespace}-{suffix}" if suffix else self.namespace
            listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
            kubectl(self.cluster, "apply", "-n", namespace, "-f", "-", input=listed)
        uid = (self._namespace() or {})["metadata"]["uid"]
        self._mark(self.namespace, lab, {STARTED: started, SEED: bound(seed, uid)})

    def _mark(self, namespace: str, lab: Lab, annotations: dict[str, str]) -> None:
        """Make a namespace, or an existing one, the lab's."""
        metadata = {"name": namespace, "labels": {LAB: lab.number}, "annotations": annotations}
        try:
            self.api.apply(
                f"/api/v1/namespaces/{namespace}", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            )
        except ApiError as error:
            raise unreachable(error) from None
        self.await_account(namespace)

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
                    raise unreachable(error) from None
                return False

        if not wait_until(has_account, timeout, pause=0.2):
            raise problem("no-service-account", namespace=namespace, seconds=f"{timeout:.0f}")

    def clear(self, lab: Lab) -> None:
        """Delete what is in the namespace, and the lab's further namespaces.

        Raises Problem for a namespace that is not a lab's.
        """
        from checker.collect import observer

        found = self._namespace()
        metadata = (found or {}).get("metadata") or {}
        own = LAB in (metadata.get("labels") or {}) or CLEARED_AT in (metadata.get("annotations") or {})
        if found and self.namespace != DEFAULT_NAMESPACE and not own:
            raise problem("not-of-the-course", namespace=self.namespace, lab=lab.number)
        further = lab.namespaces(self.namespace).values()
        observer.forget(self.api, self.namespace, *further)
        self._delete_namespaces(further)
        if found:
            self._delete_all()
            kubectl(self.cluster, "annotate", "namespace", self.namespace, f"{STARTED}-", "--overwrite")

    def _delete_namespaces(self, names: Collection[str]) -> None:
        if names:
            kubectl(self.cluster, "delete", "namespace", *names, "--ignore-not-found", "--timeout=90s", timeout=100)

    def _delete_all(self) -> None:
        """Delete what a learner may have made in the namespace.

        ConfigMap kube-root-ca.crt stays: a controller would create it again.
        Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#root-ca-certificate
        """
        where = ("-n", self.namespace, "--ignore-not-found", "--timeout=90s")
        kubectl(self.cluster, "delete", CLEARED, "--all", *where, timeout=100)
        made = ("configmaps", "--field-selector=metadata.name!=kube-root-ca.crt")
        kubectl(self.cluster, "delete", *made, *where, timeout=100)

    def empty(self) -> None:
        """Delete what labs and lessons left: everything in the namespace, and the namespaces that are named after it.

        A namespace in which somebody else began a lab stays. Raises Problem where the cluster does not answer.
        """
        from checker.collect import observer

        try:
            listed = [Object("Namespace", raw) for raw in self.api.get("/api/v1/namespaces")["items"]]
        except ApiError as error:
            raise unreachable(error) from None
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

    def apply(self, lab: Lab, folder: str) -> None:
        """Apply the manifests in a folder of the lab.

        A folder in it that has the name of a further namespace holds the manifests for that namespace.
        """
        for where, namespace in {".": self.namespace, **lab.namespaces(self.namespace)}.items():
            manifests = lab.folder / folder / where
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
        with self._own_kubeconfig() as kubeconfig:
            metadata = (self._namespace() or {}).get("metadata") or {}
            env = {
                "KUBECONFIG": kubeconfig,
                "SEED": seed_in(metadata),
                "PYTHON": sys.executable,
                "ENGINE": engine.command(),
                "WORK": str(work),
                "PATH": f"{kubectl_path().parent}{os.pathsep}{os.environ['PATH']}",
            }
            return run_script(script, folder, self.namespace, env, timeout)

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


def unreachable(error: ApiError) -> Problem:
    """The Problem that stands for an API server that does not answer, or refuses."""
    if error.status == 403:
        return problem("no-access", message=error.why)
    return problem("cluster-refuses" if 400 <= error.status < 500 else "cluster-away", message=error.why)
