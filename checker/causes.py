"""The catalogue: every cause that a verdict can name, what it means, and the lesson that covers it.

The sentence that a learner reads first is made where the fault is found, from the evidence; this is what stands behind it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """One entry: a stable id, a title, its meaning in a sentence or two, where to look (a command), the lesson's number."""

    id: str
    title: str
    meaning: str
    look: str
    lesson: str


_DESCRIBE_POD, _GET_ALL = "kubectl describe pod NAME", "kubectl get all"

CATALOGUE: dict[str, Cause] = {
    cause.id: cause
    for cause in (
        # Existence
        Cause("namespace-missing", "The namespace does not exist", "The lab was not started here, or its namespace was deleted.", "kubectl get namespaces", "09"),
        Cause("object-missing", "The object does not exist", "Nothing of this kind and name was made, or it was deleted.", _GET_ALL, "03"),
        Cause("object-being-deleted", "The object is being deleted", "It was asked to go and has not gone yet: containers get time to end.", _GET_ALL, "04"),
        Cause("wrong-namespace", "The object is in another namespace", "Names are looked up in one namespace; the same name in another is another object.", "kubectl get all --all-namespaces", "09"),
        Cause("wrong-name", "The object has another name", "Others find an object by its exact name.", _GET_ALL, "03"),
        Cause("wrong-kind", "Another kind of object was made", "The kind decides which controller looks after an object.", _GET_ALL, "03"),
        Cause("bare-pod", "A bare Pod instead of a workload", "No controller owns a bare Pod: nobody replaces it when it goes away.", "kubectl get pods,deployments", "05"),
        Cause("manifest-malformed", "The manifest is not valid YAML", "The file cannot be read, so nothing of it reached the cluster.", "kubectl apply --dry-run=server -f FILE", "03"),
        Cause("manifest-refused", "The API server refuses the manifest", "The file can be read, but what it asks for is not valid, so nothing was made.", "kubectl apply --dry-run=server -f FILE", "03"),
        Cause("wrong-image", "Another image than asked for", "The Pods run, but not the program that the task is about.", "kubectl get deployments -o wide", "05"),
        # A Pod finds its node
        Cause("pod-not-scheduled-yet", "The Pod has no node yet", "The scheduler has not chosen one so far.", _DESCRIBE_POD, "04"),
        Cause("pod-unschedulable", "No node can take the Pod", "Every node is ruled out by something that the Pod or the node asks for.", _DESCRIBE_POD, "02"),
        Cause("pod-unschedulable-resources", "No node has enough free for the Pod", "The scheduler places by requests, not by use: a request larger than what is left fits nowhere.", _DESCRIBE_POD, "02"),
        Cause("pod-unschedulable-selector", "No node has the labels that the Pod asks for", "A nodeSelector must match labels of a node exactly.", "kubectl get nodes --show-labels", "02"),
        Cause("pod-unschedulable-taint", "Every fitting node keeps the Pod away by a taint", "A taint keeps Pods off a node unless they tolerate it.", "kubectl describe nodes", "02"),
        Cause("pod-unschedulable-volume", "The Pod waits for its volume", "A Pod is placed only when its claims can be bound.", "kubectl get persistentvolumeclaims", "12"),
        # The Pod gets its image
        Cause("image-name-invalid", "That is not an image name", "An image is named name[:tag] in lower case, with its registry in front where it has one.", _DESCRIBE_POD, "04"),
        Cause("image-name-typo", "The image's name or tag is not known", "An image of almost this name exists.", _DESCRIBE_POD, "04"),
        Cause("image-not-loaded", "The image is not on this node", "The cluster's nodes do not share images: each needs its own copy.", _DESCRIBE_POD, "04"),
        Cause("image-not-found", "The image cannot be had", "It is on no node, and cannot be pulled from a registry.", _DESCRIBE_POD, "04"),
        # The Pod gets its configuration
        Cause("config-object-missing", "A ConfigMap, Secret or claim that the Pod needs does not exist", "The container is not started until everything it refers to is there.", _DESCRIBE_POD, "11"),
        Cause("config-key-missing", "A key that the Pod needs is not in the ConfigMap or Secret", "The object exists, but not the key.", "kubectl describe configmap NAME", "11"),
        Cause("container-config-error", "The container cannot be created as configured", "The node could not make the container from its specification.", _DESCRIBE_POD, "11"),
        # The containers start and keep running
        Cause("pod-starting", "The Pod is starting", "Its containers are not all running yet, or only just.", "kubectl get pods", "04"),
        Cause("command-not-runnable", "The container's command does not exist in its image", "The first word of the command must be a program in the image.", _DESCRIBE_POD, "04"),
        Cause("container-start-error", "The node could not start the container", "The container runtime failed before the container's command ran.", _DESCRIBE_POD, "04"),
        Cause("container-crashes", "The container exits with an error", "Kubernetes starts it again, later each time (CrashLoopBackOff).", "kubectl logs NAME --previous", "04"),
        Cause("container-ends", "The container ends by itself", "A long-running workload needs a process that keeps running in the foreground.", "kubectl logs NAME --previous", "04"),
        Cause("container-oom-killed", "The container was killed for using too much memory", "The kernel ends a process that goes over its container's memory limit.", _DESCRIBE_POD, "09"),
        Cause("liveness-probe-fails", "The liveness probe restarts the container", "What the liveness probe asks gets no good answer, so the kubelet restarts the container over and over.", _DESCRIBE_POD, "10"),
        Cause("pod-evicted", "The cluster ended the Pod", "A node in need, or a deadline, ended it.", _DESCRIBE_POD, "15"),
        # Ready
        Cause("readiness-probe-fails", "The readiness probe does not succeed", "The container runs, but does not say that it can take requests, so it gets none.", _DESCRIBE_POD, "10"),
        Cause("startup-probe-fails", "The startup probe does not succeed", "The container has not yet said that it has started.", _DESCRIBE_POD, "10"),
        Cause("probe-port-unknown", "A probe asks a port name that no port has", "A probe's port is a number or the name of a container port.", _DESCRIBE_POD, "10"),
        Cause("pod-not-ready", "The Pod is not ready", "Something that the Pod waits for has not happened.", _DESCRIBE_POD, "10"),
        # Workloads
        Cause("status-stale", "The newest change has not been acted on yet", "The status still speaks of an older generation.", _GET_ALL, "05"),
        Cause("zero-replicas", "No replicas are asked for", "The workload exists, and asks for nothing.", "kubectl get deployments", "05"),
        Cause("too-few-replicas", "Fewer replicas than the task asks for", "The workload works, but is smaller than it should be.", "kubectl get deployments", "05"),
        Cause("rollout-paused", "The rollout is paused", "A paused Deployment takes changes, but does not act on them.", "kubectl rollout status deployment NAME", "06"),
        Cause("rollout-in-progress", "The rollout is not finished", "Pods of the newest revision are still on their way.", "kubectl rollout status deployment NAME", "06"),
        Cause("rollout-stuck", "The rollout makes no progress", "Nothing has moved for longer than the Deployment's progress deadline.", "kubectl rollout status deployment NAME", "06"),
        Cause("quota-exceeded", "The namespace's quota allows no more", "The Pods are refused when the ReplicaSet creates them, so only the ReplicaSet tells.", "kubectl describe replicaset NAME", "09"),
        Cause("admission-refused", "The API server refuses the Pods", "A rule of the namespace or the cluster forbids these Pods.", "kubectl describe replicaset NAME", "09"),
        Cause("pod-never-replaced", "No Pod was seen dying and being replaced", "The observer keeps a timeline; a Pod that is deleted while its ReplicaSet wants it is replaced.", "kubectl get pods --watch", "05"),
        Cause("never-scaled", "No scaling was seen", "The observer keeps a timeline of how many replicas were asked for.", "kubectl get deployments", "05"),
        Cause("requests-lost", "Requests were lost", "Some requests of the observer's stream got no good answer in that time.", "kubectl get pods --watch", "05"),
        # Services
        Cause("service-has-no-selector", "The Service has no selector", "A Service without a selector gets no endpoints by itself.", "kubectl describe service NAME", "07"),
        Cause("service-selects-nothing", "The Service selects no Pod", "A Service finds its Pods by labels, and none has all that its selector asks for.", "kubectl get pods --show-labels", "07"),
        Cause("pods-in-other-namespace", "The Pods are in another namespace", "A Service selects only Pods of its own namespace.", "kubectl get pods --all-namespaces --show-labels", "07"),
        Cause("service-has-no-ready-pod", "No Pod of the Service is ready", "Only ready Pods get requests.", "kubectl get pods", "07"),
        Cause("target-port-name-unknown", "The Service's targetPort names a port that no Pod has", "A named targetPort is looked up among the container ports' names.", "kubectl describe service NAME", "07"),
        Cause("endpoints-not-yet", "The Service has no endpoints yet", "The list of endpoints follows the Pods within moments.", "kubectl get endpointslices", "07"),
        Cause("target-port-refused", "Nothing listens on the Service's target port", "Requests reach the Pods, at a port where no process listens.", "kubectl describe service NAME", "07"),
        Cause("target-port-silent", "The Service's target port gives no answer", "Connections are neither accepted nor refused: something drops them.", "kubectl describe service NAME", "07"),
        Cause("service-ports-swapped", "port and targetPort are swapped", "port is where the Service takes requests; targetPort is where the Pods listen.", "kubectl describe service NAME", "07"),
        Cause("service-answers-wrong", "The answers are not those of the app", "Requests are answered, but not by what the task asks for.", "kubectl describe service NAME", "07"),
        Cause("service-does-not-answer", "Requests to the Service are not answered well", "The Pods accept connections, but requests fail.", "kubectl describe service NAME", "07"),
        Cause("replica-gets-no-traffic", "A ready replica gets no requests", "Every ready Pod that the Service selects should get its share.", "kubectl get endpointslices", "07"),
        Cause("service-sticks-to-clients", "The Service sends each client to one Pod only", "With sessionAffinity ClientIP, all requests of one client go to the same Pod.", "kubectl describe service NAME", "07"),
        Cause("pods-on-one-node", "All Pods are on one node", "If that node goes, everything goes.", "kubectl get pods -o wide", "07"),
        Cause("not-a-node-port", "The Service is not of type NodePort", "Only a NodePort (or a load balancer) opens a port on the nodes.", "kubectl get services", "07"),
        Cause("node-port-unreachable", "The node port does not answer from outside", "The port is open on every node and leads to the Service.", "kubectl describe service NAME", "07"),
        Cause("pod-unreachable", "A Pod does not answer at its own address", "On the cluster's flat network every Pod reaches every other by its IP.", "kubectl get pods -o wide", "07"),
        # What could not be checked
        Cause("api-unreachable", "The API server does not answer", "The cluster is stopped, busy or gone. Nothing was graded.", "kubeclass status", "00"),
        Cause("cannot-list", "Objects could not be listed", "The API server refused or failed. Nothing was concluded from it.", "kubectl auth can-i list pods", "00"),
        Cause("observer-unreachable", "The observer does not answer", "The checker asks a small Pod in namespace kubeclass to make requests, and that Pod could not be asked.", "kubeclass status", "00"),
        Cause("not-observed", "There was nothing to see yet", "What the task needs was not observed, or not for long enough.", "kubeclass check LAB", "00"),
        Cause("outside-unreachable", "The nodes cannot be reached from here", "Requests from outside the cluster could not be tried on this machine.", "kubeclass doctor", "00"),
        Cause("checker-crashed", "The checker itself failed", "A fault of the course, not of your work.", "kubeclass --debug check LAB", "00"),
    )
}  # fmt: skip
