"""Breakages of configuration, storage, rights, bounds, places, and of the workloads themselves."""

from __future__ import annotations

from tests.breakages.breakage import Manifests, breakage, container, pod_spec, root, variable

# -- ConfigMaps and Secrets ------------------------------------------------------------------------------------------


@breakage("web")
def config_key_slip(it: Manifests) -> str:
    """A variable names a key of a ConfigMap or a Secret with a slip."""
    web = it.named("Deployment", "web")
    name, field = it.random.choice([("GREETING", "configMapKeyRef"), ("TOKEN", "secretKeyRef")])
    reference = variable(web, name)["valueFrom"][field]
    reference["key"] = it.slip(reference["key"])
    return root("config-key-missing", web)


@breakage("web")
def config_name_slip(it: Manifests) -> str:
    """A container names a ConfigMap or a Secret with a slip."""
    web = it.named("Deployment", "web")
    reference = it.random.choice(
        [container(web)["envFrom"][0]["configMapRef"], variable(web, "TOKEN")["valueFrom"]["secretKeyRef"]]
    )
    reference["name"] = it.slip(reference["name"])
    return root("config-object-missing", web)


@breakage("web", when="first")
def secret_missing(it: Manifests) -> str:
    """A Secret that a container needs does not exist."""
    it.remove(it.named("Secret", "web-key"))
    return root("config-object-missing", it.named("Deployment", "web"))


@breakage("web")
def config_kind(it: Manifests) -> str:
    """A variable names a ConfigMap as a Secret."""
    web = it.named("Deployment", "web")
    variable(web, "GREETING")["valueFrom"] = {"secretKeyRef": {"name": "web-settings", "key": "GREETING"}}
    return root("config-kind-mixed-up", web)


@breakage("web shelf")
def volume_name_slip(it: Manifests) -> str:
    """A volume names its ConfigMap with a slip."""
    workload = it.one("Deployment")
    source = pod_spec(workload)["volumes"][0]["configMap"]
    source["name"] = it.slip(source["name"])
    return root("volume-source-missing", workload)


@breakage("web")
def volume_key_slip(it: Manifests) -> str:
    """A volume names a key of its ConfigMap with a slip."""
    web = it.named("Deployment", "web")
    pod_spec(web)["volumes"][0]["configMap"]["items"][0]["key"] = it.slip("greeting.txt")
    return root("volume-key-missing", web)


@breakage("web", when="later", remark=True)
def changed_without_restart(it: Manifests) -> str:
    """A ConfigMap is changed, and the containers that have variables from it are older."""
    it.named("ConfigMap", "web-settings")["data"]["GREETING"] = "Good evening"
    return root("container-older-than-source", it.named("Deployment", "web"))


# -- storage ---------------------------------------------------------------------------------------------------------


@breakage("shelf")
def claim_slip(it: Manifests) -> str:
    """A volume names its claim with a slip."""
    reader = it.named("Deployment", "reader")
    pod_spec(reader)["volumes"][1]["persistentVolumeClaim"]["claimName"] = it.slip("notes")
    return root("claim-missing", reader)


@breakage("shelf", when="first")
def class_slip(it: Manifests) -> str:
    """A claim names its StorageClass with a slip."""
    claim = it.named("PersistentVolumeClaim", "notes")
    claim["spec"]["storageClassName"] = it.random.choice([it.slip("standard"), "fast", "gp2"])
    return root("class-missing", claim)


@breakage("shelf", when="first")
def class_slip_in_template(it: Manifests) -> tuple[str, ...]:
    """The claim template of a StatefulSet names its StorageClass with a slip."""
    stateful_set = it.named("StatefulSet", "shelf")
    stateful_set["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = it.slip("standard")
    claims = tuple(f"class-missing@PersistentVolumeClaim/books-shelf-{n}" for n in range(2))
    return (root("class-missing", stateful_set), *claims)


@breakage("shelf", when="first")
def access_mode(it: Manifests) -> str:
    """A claim asks for an access mode that the storage does not offer."""
    claim = it.named("PersistentVolumeClaim", "notes")
    claim["spec"]["accessModes"] = [it.random.choice(["ReadWriteMany", "ReadOnlyMany"])]
    return root("access-mode-not-offered", claim)


@breakage("shelf", when="first")
def no_class(it: Manifests) -> str:
    """A claim asks for a volume without a StorageClass, and there is none."""
    claim = it.named("PersistentVolumeClaim", "notes")
    claim["spec"]["storageClassName"] = ""
    return root("no-volume-fits", claim)


@breakage("shelf")
def mount_read_only(it: Manifests) -> str:
    """A container writes to a volume that is mounted read-only."""
    reader = it.named("Deployment", "reader")
    container(reader)["volumeMounts"][1]["readOnly"] = True
    return root("file-system-read-only|volume-read-only", reader)


# -- rights ----------------------------------------------------------------------------------------------------------


@breakage("web batch")
def account_slip(it: Manifests) -> str:
    """A Pod names its ServiceAccount with a slip."""
    workload = it.one("Deployment")
    pod_spec(workload)["serviceAccountName"] = it.slip(pod_spec(workload)["serviceAccountName"])
    return root("service-account-missing", workload)


@breakage("batch")
def account_forgotten(it: Manifests) -> str:
    """A Pod runs as ServiceAccount default, and another one has the Role."""
    watcher = it.named("Deployment", "watcher")
    del pod_spec(watcher)["serviceAccountName"]
    return root("rbac-forbidden", watcher)


@breakage("batch")
def role_slip(it: Manifests) -> str:
    """A RoleBinding names its Role with a slip."""
    binding = it.named("RoleBinding", "watcher")
    binding["roleRef"]["name"] = it.slip("watcher")
    return root("role-missing", binding)


@breakage("batch")
def subject_slip(it: Manifests) -> str:
    """A RoleBinding names its ServiceAccount with a slip."""
    binding = it.named("RoleBinding", "watcher")
    binding["subjects"][0]["name"] = it.slip("watcher")
    return root("binding-subject-missing", binding)


@breakage("batch")
def role_without(it: Manifests) -> str:
    """A Role lacks the verb or the resource that is asked for."""
    rule = it.named("Role", "watcher")["rules"][0]
    rule.update(it.random.choice([{"verbs": ["get"]}, {"resources": ["secrets"]}, {"apiGroups": ["apps"]}]))
    return root("rbac-forbidden", it.named("Deployment", "watcher"))


@breakage("batch")
def no_token(it: Manifests) -> str:
    """A Pod has no token of its ServiceAccount."""
    watcher = it.named("Deployment", "watcher")
    pod_spec(watcher)["automountServiceAccountToken"] = False
    return root("token-not-mounted", watcher)


# -- bounds ----------------------------------------------------------------------------------------------------------


@breakage("web store", when="first")
def memory_unit(it: Manifests) -> str:
    """A memory limit is written in thousandths of a byte."""
    workload = it.one("Deployment")
    container(workload)["resources"] = {"limits": {"memory": it.random.choice(["64m", "128m"])}}
    return root("memory-unit-slip", workload)


@breakage("web store shop")
def memory_too_small(it: Manifests) -> str:
    """A memory limit is smaller than what the program needs."""
    workload = it.one("Deployment", lambda d: container(d)["image"].startswith("guestbook"))
    container(workload)["resources"] = {"requests": {"memory": "8Mi"}, "limits": {"memory": "8Mi"}}
    return root("container-oom-killed", workload)


@breakage("web store shop")
def cpu_too_much(it: Manifests) -> str:
    """A container requests more CPUs than any node has."""
    workload = it.one("Deployment")
    container(workload)["resources"] = {"requests": {"cpu": it.random.choice(["64", "500", "1000"])}}
    return root("pod-unschedulable-resources|cpu-unit-slip", workload)


@breakage("shop", when="first")
def quota_of_pods(it: Manifests) -> tuple[str, ...]:
    """A quota allows fewer Pods than there should be."""
    it.named("ResourceQuota", "share")["spec"]["hard"]["pods"] = str(it.random.choice([1, 2]))
    return tuple(root("quota-exceeded", workload) for workload in it.all("Deployment"))


@breakage("web", when="first")
def quota_of_limits(it: Manifests) -> str:
    """A quota counts CPU limits, and the containers have none."""
    it.add("{apiVersion: v1, kind: ResourceQuota, metadata: {name: share}, spec: {hard: {limits.cpu: '4'}}}")
    return root("quota-needs-requests", it.named("Deployment", "web"))


@breakage("shop")
def above_the_maximum(it: Manifests) -> str:
    """A container's memory limit is above the maximum of a LimitRange."""
    workload = it.one("Deployment")
    container(workload)["resources"] = {"limits": {"memory": it.random.choice(["512Mi", "1Gi"])}}
    return root("above-limit-range", workload)


@breakage("shop")
def below_the_minimum(it: Manifests) -> str:
    """A container requests less CPU than the minimum of a LimitRange."""
    workload = it.one("Deployment")
    container(workload)["resources"] = {"requests": {"cpu": "1m"}}
    return root("below-limit-range", workload)


# -- places ----------------------------------------------------------------------------------------------------------


@breakage("web store shelf batch shop")
def node_selector(it: Manifests) -> str:
    """A nodeSelector asks for a label that no node has."""
    workload = it.one("Deployment")
    pod_spec(workload)["nodeSelector"] = it.random.choice([{"disktype": "ssd"}, {"kubernetes.io/os": "linus"}])
    return root("pod-unschedulable-selector", workload)


@breakage("web store batch")
def tainted_node(it: Manifests) -> str:
    """A nodeSelector asks for the control plane's node, whose taint the Pod does not tolerate."""
    workload = it.one("Deployment")
    pod_spec(workload)["nodeSelector"] = {"node-role.kubernetes.io/control-plane": ""}
    return root("pod-unschedulable-taint", workload)


@breakage("web store batch shop")
def node_affinity(it: Manifests) -> str:
    """A node affinity asks for a label that no node has."""
    workload = it.one("Deployment")
    term = {"key": it.random.choice(["zone", "gpu"]), "operator": "In", "values": ["a"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [term]}]}
    pod_spec(workload)["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return root("pod-unschedulable-affinity", workload)


@breakage("web", when="first")
def apart_from_each_other(it: Manifests) -> str:
    """More replicas keep apart from each other than there are nodes."""
    web = it.named("Deployment", "web")
    web["spec"]["replicas"] = 4
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
    pod_spec(web)["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    return root("pod-unschedulable-pod-affinity|pod-unschedulable-together", web)


@breakage("web store")
def node_name(it: Manifests) -> str:
    """A Pod names a node that does not exist."""
    workload = it.one("Deployment")
    pod_spec(workload)["nodeName"] = it.random.choice(["worker-9", "kubeclass-test-wroker"])
    return root("node-name-unknown", workload)


@breakage("store shop")
def scheduler_name(it: Manifests) -> str:
    """A Pod names a scheduler that does not exist."""
    workload = it.one("Deployment")
    pod_spec(workload)["schedulerName"] = it.slip("default-scheduler")
    return root("scheduler-missing", workload)


@breakage("web shop batch")
def priority_class(it: Manifests) -> str:
    """A Pod names a PriorityClass that does not exist."""
    workload = it.one("Deployment")
    pod_spec(workload)["priorityClassName"] = it.random.choice(["high", "important"])
    return root("priority-class-unknown", workload)


@breakage("batch")
def daemon_selector(it: Manifests) -> str:
    """A DaemonSet's nodeSelector matches no node."""
    agent = it.named("DaemonSet", "agent")
    pod_spec(agent)["nodeSelector"] = {"agent": "wanted"}
    return root("daemonset-has-no-node", agent)


# -- workloads -------------------------------------------------------------------------------------------------------


@breakage("batch", when="first")
def job_script_slip(it: Manifests) -> str:
    """A Job's command names a file of its ConfigMap with a slip."""
    job = it.named("Job", "count")
    container(job)["command"][-1] = f"/steps/{it.slip('count')}.py"
    return root("file-not-in-volume|job-backoff-limit", job)


@breakage("batch", when="first")
def job_too_slow(it: Manifests) -> str:
    """A Job has less time than its work takes."""
    job = it.named("Job", "count")
    job["spec"]["activeDeadlineSeconds"] = it.random.randint(2, 4)
    return root("job-deadline", job)


@breakage("batch", when="first")
def job_with_helper(it: Manifests) -> str:
    """A second container of a Job never ends."""
    job = it.named("Job", "count")
    helper = {"name": "helper", "image": "guestbook:v1", "command": ["sleep", "100000"]}
    pod_spec(job)["containers"].append(helper)
    return root("job-container-never-ends", job)


@breakage("batch", when="first")
def job_fails(it: Manifests) -> str:
    """A Job's program fails each time."""
    it.named("ConfigMap", "steps")["data"]["count.py"] = "import sys\nsys.exit('no numbers to count')\n"
    return root("job-backoff-limit|container-crashes", it.named("Job", "count"))


@breakage("batch")
def cron_image_slip(it: Manifests) -> str:
    """A CronJob's image has a slip."""
    cron = it.named("CronJob", "tick")
    container(cron)["image"] = it.slip("guestbook") + ":v1"
    return root("image-name-typo", cron)


@breakage("batch")
def cron_command_slip(it: Manifests) -> str:
    """A CronJob's command has a slip."""
    cron = it.named("CronJob", "tick")
    container(cron)["command"][0] = it.slip("python3")
    return root("command-not-runnable", cron)


@breakage("web", when="later")
def paused(it: Manifests) -> str:
    """A rollout is paused."""
    web = it.named("Deployment", "web")
    web["spec"]["paused"] = True
    container(web)["env"].append({"name": "COLOUR", "value": "blue"})
    return root("rollout-paused", web)


@breakage("web store shop")
def scaled_to_nothing(it: Manifests) -> str:
    """A Deployment behind a Service has no replicas."""
    name = it.random.choice([s["metadata"]["name"] for s in it.all("Service", lambda s: s["spec"].get("selector"))])
    workload = it.named("Deployment", name)
    workload["spec"]["replicas"] = 0
    return root("zero-replicas", workload)


@breakage("shelf", when="later", remark=True)
def on_delete(it: Manifests) -> str:
    """A StatefulSet's update waits until somebody deletes its Pods."""
    stateful_set = it.named("StatefulSet", "shelf")
    stateful_set["spec"]["updateStrategy"] = {"type": "OnDelete", "rollingUpdate": None}
    container(stateful_set)["env"].append({"name": "COLOUR", "value": "blue"})
    return root("rollout-on-delete", stateful_set)


@breakage("web shop")
def readiness_gate(it: Manifests) -> str:
    """A readiness gate waits for a condition that nobody sets."""
    server = it.server()
    pod_spec(server)["readinessGates"] = [{"conditionType": "example.org/registered"}]
    return root("readiness-gate-waits", server)


@breakage(
    "web",
    when="later",
    script="""
    kubectl label namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted
    kubectl delete pods --all --wait=false
    """,
)
def namespace_restricted(it: Manifests) -> str:
    """The namespace admits restricted Pods only, from now on."""
    return root("admission-refused", it.named("Deployment", "web"))


@breakage("web store shop")
def autoscaler_target_slip(it: Manifests) -> str:
    """A HorizontalPodAutoscaler names its target with a slip."""
    target = it.slip({"api": "apis"}.get(name := it.one("Deployment")["metadata"]["name"], name))
    scaler = it.add(
        """
        apiVersion: autoscaling/v2
        kind: HorizontalPodAutoscaler
        metadata: {name: scaler}
        spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment}}
        """
    )
    scaler["spec"]["scaleTargetRef"]["name"] = target
    return root("autoscaler-target-missing", scaler)


@breakage("web")
def budget_of_all(it: Manifests) -> str:
    """A PodDisruptionBudget wants as many Pods as there are."""
    budget = it.named("PodDisruptionBudget", "web")
    del budget["spec"]["maxUnavailable"]
    budget["spec"]["minAvailable"] = it.random.choice([2, "100%"])
    return root("budget-allows-none", budget)


@breakage("web")
def budget_of_more(it: Manifests) -> str:
    """A PodDisruptionBudget wants more Pods than there are."""
    budget = it.named("PodDisruptionBudget", "web")
    del budget["spec"]["maxUnavailable"]
    budget["spec"]["minAvailable"] = it.random.randint(3, 6)
    return root("budget-never-met", budget)


@breakage("web")
def budgets_overlap(it: Manifests) -> tuple[str, str]:
    """Two PodDisruptionBudgets select the same Pods."""
    second = it.add(
        """
        apiVersion: policy/v1
        kind: PodDisruptionBudget
        metadata: {name: all}
        spec: {maxUnavailable: 50%, selector: {matchLabels: {app: web}}}
        """
    )
    return root("budgets-overlap", second), root("budgets-overlap", it.named("PodDisruptionBudget", "web"))
