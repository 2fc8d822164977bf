"""Judging lab 15. Failover from the observer's timeline: what was closed, drained and away, and whether anybody noticed. The capstone from
what it is like now, beside what its seed says is right; nothing is read from what a learner could write there."""

import math
import re
import shlex
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Any, NoReturn
from urllib.parse import urlsplit

from checker.sdk import (
    CONDITION_TAINT_PREFIX,
    Answers,
    Drain,
    Http,
    Lookup,
    NodeInterval,
    Object,
    PodsInside,
    State,
    Timeline,
    Traffic,
    answers_from_pod,
    are_no,
    ask_in_pod,
    counted,
    environment_references,
    fail,
    fail_if_budget_blocks,
    is_address,
    quantity,
    require_node_well,
    running_pods,
    seed_of,
    selects,
    source_of_file,
    source_of_variable,
    target_ports,
    task,
    unknown,
    untolerated_taints,
    volume_references,
)

from . import setup as capstone

SETTLE = 3.0  # seconds in which a Pod that was told to go may still be sent requests
SILENCE = 60.0  # seconds within which the control plane notices that a node is away
LOCAL = ("localhost", "127.0.0.1", "::1")
URL = re.compile(r"https?://[^\s'\"]+")
PATIENCE = 120  # seconds of failures that a readiness probe may take to be believed


@dataclass(frozen=True)
class LiveTraffic(Traffic):
    """The stream of requests to the guestbook that people use, in the lab's further namespace."""

    def question(self, state: State) -> dict[str, Any] | None:
        namespace = f"{state.namespace}-live"
        service = state.find("Service", self.service, namespace)
        if not service:
            return None
        port = (service.spec.get("ports") or [{}])[0].get("port", 80)
        url = f"http://{self.service}.{namespace}.svc.cluster.local.:{port}{self.path}"
        return {"do": "timeline", "url": url, "namespace": namespace}


@dataclass(frozen=True)
class CapstoneAsked(Http):
    """Requests to the capstone's Service at the port that its seed says."""

    def question(self, state: State) -> dict[str, Any] | None:
        asked = super().question(state)
        port = capstone.plan(seed_of(state)).port
        if not asked or port not in ports(state.find("Service", self.service)):
            return None
        return {**asked, "url": f"http://{self.service}.{state.namespace}.svc.cluster.local.:{port}{self.path}"}


@dataclass(frozen=True)
class RedisAsked(PodsInside):
    """In a running Pod of the capstone: where its own REDIS_HOST leads, and what the app says to /entries."""

    deployment: str

    def question(self, state: State) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = running_pods(state, deployment) if deployment else []
        host = variable(state, pods[0], "REDIS_HOST").partition(":")[0] if pods else ""
        if not host:
            return None
        listens = capstone.plan(seed_of(state)).listens if secret_with(state, pods[0], "PORT") else 8080
        port = variable(state, pods[0], "PORT") or listens
        return self.ask({"": ask_in_pod(pods[0], {
            "names": {"do": "dns", "names": [host, "kubernetes.default"]},
            "entries": {"do": "http", "url": f"http://127.0.0.1:{port}/entries"},
        }) | {"container": app(pods[0])["name"]}})  # fmt: skip

    def read(self, seen: Any) -> Any:
        return seen[""]  # read only once the Pods are known to work (see `answered`): one that is down cannot be asked


LIVE = LiveTraffic("guestbook", "/hostname")
ASKED = CapstoneAsked("guestbook", "/", times=20, per_pod=True)
REDIS = RedisAsked("guestbook")


def ports(service: Object | None) -> list[int]:
    return [port["port"] for port in (service.spec.get("ports") or [] if service else [])]


def app(workload: Object) -> dict[str, Any]:
    """The container of a Pod, or of a Pod template, that is the guestbook: what stands beside it says nothing of it, not even from the same image."""
    named = [c for c in workload.containers if c["image"].rpartition("/")[2].partition(":")[0] == "guestbook"]

    def likeness(container: dict[str, Any]) -> int:
        told = {v["name"] for v in container.get("env") or []} & {"PORT", "REDIS_HOST"}
        return (container["name"] == "guestbook") + bool(container.get("readinessProbe")) + len(told)

    return max(named or workload.containers, key=likeness)


def variable(state: State, pod: Object, name: str) -> str:
    """What the guestbook in a Pod is given under this name; empty where it is given nothing, or by a Secret."""
    return state.env(pod, app(pod)).get(name, "")


def secret_with(state: State, pod: Object, name: str) -> str:
    """The Secret that a variable of the guestbook in a Pod comes from; empty where it comes from none."""
    source = source_of_variable(state, pod, app(pod), name)
    return source.name if source and source.kind == "Secret" else ""


# -- failover --------------------------------------------------------------------------------------------------------


def live_deployment(state: State) -> Object:
    """The Deployment that people use, working, and its Service too."""
    namespace = f"{state.namespace}-live"
    for kind in ("Deployment", "Service"):
        if not state.find(kind, "guestbook", namespace):
            fail(
                "object-missing", f"{kind} guestbook of namespace {namespace}, which people use, is gone.",
                expected=f"{kind} guestbook in namespace {namespace}", observed="none", object=f"{kind}/guestbook",
                look=f"kubectl get deployments,services -n {namespace}",
            )  # fmt: skip
    return state.require("Deployment", "guestbook", namespace)


def workers(state: State) -> dict[str, Object]:
    """The workers by name, also one that somebody's own taint keeps Pods away from."""
    return {n.name: n for n in state.everywhere("Node") if "node-role.kubernetes.io/control-plane" not in n.labels}


def since_start(state: State, moment: float) -> bool:
    """Whether something happened after the lab was started: the observer may have been looking before."""
    return not state.started or moment >= state.started.timestamp()


def words(lost: dict[str, int]) -> str:
    return ", ".join(f"{count} {error}" for error, count in sorted(lost.items()))


def were_lost(lost: dict[str, int]) -> str:
    return f"{counted(sum(lost.values()), 'request')} {'was' if sum(lost.values()) == 1 else 'were'} lost"


def lost_in(timeline: Timeline, drain: Drain) -> dict[str, int]:
    return timeline.lost_between(drain.begin, drain.end + SETTLE)


@task("drained", observe=LIVE)
def a_worker_was_drained(state: State, timeline: Timeline) -> None:
    deployment = live_deployment(state)
    known = workers(state)
    drains = [
        drain for drain in timeline.drains("guestbook") if drain.node in known and since_start(state, drain.begin)
    ]
    good = [drain for drain in drains if not drain.staying and not lost_in(timeline, drain)]
    if not drains:
        timeline.require_watched(state)
        empty = [spell for spell in timeline.closed() if spell.node in known]
        fail(
            "node-never-drained",
            f"Node {empty[-1].node} was closed, but no Pod of the guestbook of namespace {deployment.namespace} was on it."
            if empty
            else f"No worker with Pods of the guestbook of namespace {deployment.namespace} on it was closed since the lab was started.",
            expected="a worker closed, and its Pods gone elsewhere", observed="only nodes without its Pods" if empty else "no node was closed",
            object=deployment.ref, look=f"kubectl get pods -o wide -n {deployment.namespace}",
        )  # fmt: skip
    if good:
        theirs = [drain for drain in good if not strangers(timeline, drain)]
        if not theirs:
            fail_for_strangers(timeline, deployment, good[-1])
        state.require_working(state.require("Service", "guestbook", deployment.namespace))
        if timeline.until < theirs[0].end + SETTLE:
            unknown(
                "not-observed",
                "The last Pod went only a moment ago.",
                object=deployment.ref,
                look=f"kubectl get pods -n {deployment.namespace}",
                pending=True,
            )
        return
    fail_if_budget_blocks(state, [pod for pod in state.pods_of(deployment) if pod.name in drains[-1].staying])
    explain_drain(timeline, deployment, drains[-1])


def explain_drain(timeline: Timeline, deployment: Object, drain: Drain) -> None:
    """Why this drain was none, or was noticed."""
    look = f"kubectl get pods -o wide -n {deployment.namespace}"
    if drain.staying:
        fail(
            "node-not-emptied", f"Node {drain.node} was closed, but {len(drain.staying)} of the {len(drain.pods)} Pods of the guestbook that were on it "
            f"stayed: {', '.join(sorted(drain.staying))}.",
            expected=f"no Pod of the guestbook on {drain.node}", observed=f"{len(drain.staying)} of {len(drain.pods)} still there",
            object=f"Node/{drain.node}", look=look, pending=timeline.until - drain.begin < 20,
        )  # fmt: skip
    lost = lost_in(timeline, drain)
    elsewhere = [
        pod["name"]
        for pod in timeline.pods_of("guestbook")
        if pod["node"] != drain.node
        and pod["ready"]
        and pod["ready"] < drain.told
        and not (pod["deleted"] and pod["deleted"] <= drain.told)
    ]
    evidence = {
        "expected": "every request answered", "observed": f"{sum(lost.values())} lost ({words(lost)})", "object": deployment.ref, "look": look,
    }  # fmt: skip
    if not elsewhere:
        fail(
            "drained-all-at-once", f"{were_lost(lost)} while node {drain.node} was drained: {counted(len(drain.pods), 'Pod')} of the guestbook "
            f"{'was on it, and none was ready elsewhere when it' if len(drain.pods) == 1 else 'were on it, and none was ready elsewhere when the last of them'} was told to go.",
            **evidence,
        )  # fmt: skip
    fail("requests-lost", f"{were_lost(lost)} while node {drain.node} was drained.", **evidence)


def strangers(timeline: Timeline, drain: Drain) -> set[str]:
    """Who answered while a node was drained, and is no Pod of the Deployment that this is about."""
    hosts = timeline.hosts_between(drain.begin - SETTLE, drain.end + SETTLE)
    return hosts - {pod["name"] for pod in timeline.pods_of("guestbook")}


def fail_for_strangers(timeline: Timeline, deployment: Object, drain: Drain) -> NoReturn:
    who = sorted(strangers(timeline, drain))
    names = ", ".join(who)
    fail(
        "service-answers-wrong", f"While the node was drained, {names} answered, which {are_no(len(who), 'Pod')} of Deployment guestbook.",
        expected="answers from Pods of Deployment guestbook", observed=names, object=deployment.ref,
        look=f"kubectl get endpointslices -n {deployment.namespace}",
    )  # fmt: skip


@task("node-back", observe=LIVE)
def a_worker_was_lost_and_came_back(state: State, timeline: Timeline) -> None:
    deployment = live_deployment(state)
    known = workers(state)
    away = [spell for spell in timeline.away() if spell.node in known and since_start(state, spell.begin)]
    placed = [(pod["node"], pod["added"]) for pod in timeline.pods_of("guestbook")]
    spells = [spell for spell in away if any(node == spell.node and at < spell.begin for node, at in placed)]
    whole = [
        spell
        for spell in spells
        if spell.end < math.inf and not had_pods(timeline, spell) and not lost_while_away(timeline, spell)
    ]
    for spell in whole:
        node = known[spell.node]
        if not kept_closed(node) and node.condition("Ready").get("status") == "True":
            state.require_working(state.require("Service", "guestbook", deployment.namespace))
            if timeline.until < spell.end + SETTLE:
                unknown(
                    "not-observed",
                    "The node came back only a moment ago.",
                    object=node.ref,
                    look="kubectl get nodes",
                    pending=True,
                )
            return
    if not spells:
        timeline.require_watched(state)
        if away:
            fail(
                "node-never-drained",
                f"Node {away[-1].node} was away, but no Pod of the guestbook of namespace {deployment.namespace} had been on it before: nobody could notice.",
                expected="the worker that was drained", observed="one that never had its Pods", object=f"Node/{away[-1].node}",
                look=f"kubectl get pods -o wide -n {deployment.namespace}",
            )  # fmt: skip
        fail(
            "node-never-lost", "No worker was seen going away since the lab was started.",
            expected="a worker that was NotReady, and is ready again", observed="all were ready all the time", object="Node",
            look="kubectl get nodes",
        )  # fmt: skip
    spell = (whole or spells)[-1]
    node = known[spell.node]
    if node.condition("Ready").get("status") != "True":
        require_node_well(state, node)
    if spell in whole:
        fail(
            "node-left-cordoned", f"Node {node.name} was away, nobody noticed, and it is ready again; but it takes no Pods yet.",
            expected="a node that takes Pods", observed=kept_closed(node), object=node.ref,
            look="kubectl get nodes" if node.spec.get("unschedulable") else f"kubectl describe node {node.name}",
        )  # fmt: skip
    lost, pods = lost_while_away(timeline, spell), had_pods(timeline, spell)
    evidence = {
        "expected": "every request answered", "observed": f"{sum(lost.values())} lost ({words(lost)})" if lost else "none was lost, by luck",
        "object": node.ref, "look": f"kubectl get pods -o wide -n {deployment.namespace}",
    }  # fmt: skip
    if pods:
        names = ", ".join(sorted(pod["name"] for pod in pods))
        fail(
            "lost-with-pods", f"Node {node.name} went away with Pods of the guestbook on it ({names}), and {were_lost(lost)} around that time.",
            **evidence,
        )  # fmt: skip
    fail(
        "requests-lost",
        f"{were_lost(lost)} around the time that node {node.name} was away.",
        **evidence,
    )


def kept_closed(node: Object) -> str:
    """What keeps Pods away from a node that is ready, in words; empty where nothing does."""
    if node.spec.get("unschedulable"):
        return "Ready,SchedulingDisabled"
    own = [
        taint["key"] for taint in untolerated_taints(node, []) if not taint["key"].startswith(CONDITION_TAINT_PREFIX)
    ]
    return f"Ready, with a taint: {own[0]}" if own else ""


def had_pods(timeline: Timeline, spell: NodeInterval) -> list[dict[str, Any]]:
    """The guestbook's Pods that were on a node when it went away."""
    return timeline.pods_on(spell.node, spell.begin, "guestbook")


def lost_while_away(timeline: Timeline, spell: NodeInterval) -> dict[str, int]:
    """What was lost from when the node may have gone until it was back; what its own draining lost before is not counted again."""
    drained = [
        drain.end + SETTLE + 1
        for drain in timeline.drains("guestbook")
        if drain.node == spell.node and drain.end < spell.begin
    ]
    return timeline.lost_between(max([spell.begin - SILENCE, *drained]), min(spell.end, timeline.until) + SETTLE)


# -- the capstone ----------------------------------------------------------------------------------------------------


def answering(state: State, answers: Answers) -> Object:
    """The capstone's Service, at the right port, answered well by the Pods of the Deployment guestbook and nobody else."""
    right = capstone.plan(seed_of(state))
    deployment = state.require("Deployment", "guestbook")
    service = state.require("Service", "guestbook")
    state.require_working(service)
    require_port(service, right.port)
    state.require_answers(service, answers)
    state.fail_for_strangers(service, deployment, answers.hosts)
    return service


def require_port(service: Object, port: int) -> None:
    if port not in ports(service):
        fail(
            "service-port-missing", f"Service {service.name} takes no requests on port {port}, where the handbook's readers ask.",
            expected=f"port {port}", observed=f"ports: {', '.join(map(str, ports(service))) or 'none'}", object=service.ref,
            look=f"kubectl get service {service.name}",
        )  # fmt: skip


@task("answers", observe=ASKED)
def guestbook_answers(state: State, answers: Answers) -> None:
    service = answering(state, answers)
    silent = {pod.name for pod in state.ready_pods(service)} - answers.hosts
    if silent:
        fail(
            "replica-gets-no-traffic", f"Of {len(answers)} requests to Service guestbook, none was answered by {', '.join(sorted(silent))}.",
            expected="answers from every ready Pod", observed=f"none from {', '.join(sorted(silent))}", object=service.ref,
            look="kubectl get endpointslices", pending=True,
        )  # fmt: skip
    require_app_port(state, service)


def require_app_port(state: State, service: Object) -> None:
    """The guestbook listens where the handbook says: it was not moved to where a Service's wrong port led."""
    right = capstone.plan(seed_of(state))
    for pod in state.ready_pods(service):
        target = target_ports(service, pod).get(right.port)
        if target != right.listens and variable(state, pod, "PORT") != str(right.listens):
            fail(
                "app-port-moved", f"The guestbook in Pod {pod.name} answers, but it listens on port {target} now, and the handbook says another.",
                expected=f"port {right.listens}", observed=f"port {target}", object="Deployment/guestbook",
                look="kubectl set env deployment guestbook --list",
            )  # fmt: skip


@task("says", observe=ASKED)
def guestbook_says_what_it_should(state: State, answers: Answers) -> None:
    right = capstone.plan(seed_of(state))
    answering(state, answers)
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    state.require_image(deployment, right.image)
    said = sorted({answer.text.rpartition("\n")[0].strip() for answer in answers})  # its last line is who says it
    if said != [right.greeting]:
        other = next(line for line in said if line != right.greeting)
        fail(
            "greeting-wrong", f"The guestbook says {other!r}, and that is not what the handbook says.",
            expected="the handbook's words, to the letter", observed=other, object=deployment.ref, look=f"kubectl describe configmap {right.config}",
        )  # fmt: skip
    other_version = next(
        (a.text for a in answers if not a.text.rpartition("\n")[2].startswith(f"This is {right.version} ")), ""
    )
    if other_version:
        fail(
            "wrong-image", f"The guestbook is made from {right.image}, and tells people something else: {other_version.rpartition(chr(10))[2]!r}.",
            expected=f"This is {right.version} on …", observed=other_version.rpartition("\n")[2], object=deployment.ref,
            look="kubectl set env deployment guestbook --list",
        )  # fmt: skip
    for pod in state.pods_of(deployment):
        key = taken_from(state, pod, right.config)
        if key is None:
            fail(
                "greeting-hard-coded", f"Pod {pod.name} says the right words, but not from ConfigMap {right.config}: when they change there, it will not follow.",
                expected=f"GREETING from ConfigMap {right.config}", observed="written down elsewhere", object=deployment.ref,
                look="kubectl set env deployment guestbook --list",
            )  # fmt: skip
        if key and key != right.key:
            fail(
                "greeting-hard-coded",
                f"Pod {pod.name} says the right words, but from a second place, key {key} of ConfigMap {right.config}: when they change where the "
                "handbook keeps them, it will not follow.",
                expected=f"GREETING from where the handbook keeps it in ConfigMap {right.config}", observed=f"from key {key}", object=deployment.ref,
                look="kubectl set env deployment guestbook --list",
            )  # fmt: skip
    source = state.require("ConfigMap", right.config)
    state.require_key(source, right.key)
    held = (source.raw.get("data") or {}).get(right.key, "").strip().partition("\n")[0]
    if held != right.greeting:
        fail(
            "greeting-hard-coded", f"The guestbook says the right words, but ConfigMap {right.config} does not hold them under key {right.key}.",
            expected="the words in the ConfigMap", observed=held or "none", object=source.ref, look=f"kubectl describe configmap {right.config}",
        )  # fmt: skip


def taken_from(state: State, pod: Object, config: str) -> str | None:
    """The key of this ConfigMap that the greeting of a Pod comes from; empty where the app is given no variable for it, but the
    ConfigMap (a command may make one of the other), and None where the greeting comes from elsewhere."""
    container = app(pod)
    path = state.env(pod, container).get("GREETING_FILE")
    file = source_of_file(state, pod, container, path) if path else None
    source = source_of_variable(state, pod, container, "GREETING")
    is_told = bool(source) and (source.kind, source.name) == ("ConfigMap", config)
    if file and not file.kind and is_told:
        unknown(
            "not-observed", f"The guestbook in Pod {pod.name} says what file {path} says, if there is one, and that would be in {file.words}: whether its words "
            "come from there or from GREETING, the checker cannot tell. Without GREETING_FILE it can.",
            expected=f"GREETING from ConfigMap {config}", observed=f"GREETING_FILE={path}", object="Deployment/guestbook",
            look="kubectl set env deployment guestbook --list",
        )  # fmt: skip
    if file and (file.key or not file.kind):  # the file wins over the variable, where it is there
        source, is_told = file, (file.kind, file.name) == ("ConfigMap", config)
    if source:
        return source.key or "" if is_told else None
    mounted = {mount["name"] for mount in container.get("volumeMounts") or []}
    references = [r for v in pod.spec.get("volumes") or [] if v["name"] in mounted for r in volume_references(v)]
    given = {(r.kind, r.name) for r in (*environment_references(container), *references)}
    return "" if ("ConfigMap", config) in given else None


@task("entries", observe=REDIS)
def entries_are_kept_in_redis(state: State, asked: dict) -> None:
    right = capstone.plan(seed_of(state))
    deployment = state.require("Deployment", "guestbook")
    pods = running_pods(state, deployment)
    if not pods:
        state.require_working(deployment)
    look = {"object": deployment.ref, "look": "kubectl set env deployment guestbook --list"}
    for pod in pods:
        host = variable(state, pod, "REDIS_HOST").partition(":")[0]
        secret = secret_with(state, pod, "REDIS_HOST")
        if secret:
            unknown(
                "not-observed", f"Pod {pod.name} is told where Redis is by Secret {secret}, and the checker looks into none. A name that "
                "everybody may read, in the Deployment or in a ConfigMap, can be followed.",
                expected="REDIS_HOST with the name of a Service", observed=f"Secret {secret}", **look,
            )  # fmt: skip
        if not host:
            fail(
                "redis-not-configured", f"Pod {pod.name} has no REDIS_HOST: it keeps its entries in a file of its own.",
                expected="REDIS_HOST with the name of a Service", observed="no REDIS_HOST", **look,
            )  # fmt: skip
        by_hand = next((a["ip"] for a in pod.spec.get("hostAliases") or [] if host in (a.get("hostnames") or [])), "")
        if by_hand or is_address(host):
            fail(
                "redis-by-address", f"Pod {pod.name} was given the address {by_hand or host}{' for that name' if by_hand else ''}. It works until that changes.",
                expected="a name", observed=by_hand or host, object=deployment.ref,
                look="kubectl get deployment guestbook -o yaml" if by_hand else look["look"],
            )  # fmt: skip
    state.require_working(deployment)
    asked = answers_from_pod(asked)
    host = variable(state, pods[0], "REDIS_HOST").partition(":")[0]
    lookup = Lookup(**asked["names"][host])
    if lookup.error:
        state.explain_name(host, asked["names"], deployment)
    service = state.require("Service", right.store)
    theirs = {service.spec.get("clusterIP"), *(pod.status.get("podIP") for pod in state.pods_of(service))}
    if not theirs & set(lookup.addresses):
        meant = [s.name for s in state.all("Service") if s.spec.get("clusterIP") in lookup.addresses]
        where = f"Service {meant[0]}" if meant else ", ".join(lookup.addresses)
        fail(
            "name-resolves-elsewhere", f"In Pod {pods[0].name} the name {host} leads to {where}, and the guestbook's Redis is behind Service {right.store}.",
            expected=f"Service {right.store}", observed=where, **look,
        )  # fmt: skip
    if host.partition(".")[0].lower() != right.store:
        fail(
            "service-is-externalname", f"The guestbook asks for {host}, and that is only another name for Service {right.store}.",
            expected=f"the name {right.store}", observed=host, **look,
        )  # fmt: skip
    state.require_working(service)
    require_port(service, right.store_port)
    store = state.require("Deployment", right.store)
    redis = {pod.name for pod in state.pods_of(store)}
    if len(state.ready_pods(store)) > 1:
        fail(
            "entries-scattered", f"Deployment {right.store} has {len(state.ready_pods(store))} Pods, and each Redis keeps what it happens to be given: "
            "whoever reads sees the entries of one of them.",
            expected="one Redis", observed=f"{len(state.ready_pods(store))} Pods", object=store.ref, look="kubectl get pods -o wide",
        )  # fmt: skip
    strangers = {pod.name for pod in state.pods_of(service)} - redis
    if strangers:
        fail(
            "name-resolves-elsewhere", f"Service {right.store} leads to {', '.join(sorted(strangers))}, which {are_no(len(strangers), 'Pod')} of Deployment {right.store}.",
            expected=f"Pods of Deployment {right.store}", observed=", ".join(sorted(strangers)), object=service.ref,
            look=f"kubectl describe service {right.store}",
        )  # fmt: skip
    answer = asked["entries"][0]
    if answer["status"] != 200:
        fail(
            "redis-not-answering", f"{host} leads to the right Service, but the app says: {answer['text'] or answer['error']}",
            expected="the entries", observed=answer["text"] or answer["error"], pending=state.changed_within(20, pods[0]), **look,
        )  # fmt: skip


@task("every-replica")
def every_replica_works(state: State) -> None:
    right = capstone.plan(seed_of(state))
    deployment = state.require("Deployment", "guestbook")
    state.require_working(deployment)
    ready = state.ready_pods(deployment)
    if len(ready) < right.replicas:
        fail(
            "too-few-replicas", f"Deployment guestbook asks for {counted(deployment.spec.get('replicas', 1), 'replica')}; ready: {len(ready)}.",
            expected=f"at least {right.replicas}, as the handbook says", observed=str(len(ready)), object=deployment.ref,
        )  # fmt: skip
    for pod in ready:
        limit = memory_limit(pod)
        if limit and quantity(limit) < quantity(right.memory):
            fail(
                "limit-too-small", f"The guestbook of Pod {pod.name} is killed when it uses more than {limit} of memory, and the handbook says that it may need more.",
                expected="as much as the handbook says that it may need", observed=f"limits.memory: {limit}", object=deployment.ref,
                look="kubectl describe deployment guestbook",
            )  # fmt: skip
    probe = app(deployment).get("readinessProbe")
    evidence = {
        "expected": "a readiness probe that asks for /readyz",
        "object": deployment.ref,
        "look": "kubectl describe deployment guestbook",
    }
    if not probe:
        fail(
            "no-readiness-probe", "The Pods of Deployment guestbook have no readiness probe any more: they count as ready, whatever they say.",
            observed="none", **evidence,
        )  # fmt: skip
    get, command = probe.get("httpGet") or {}, (probe.get("exec") or {}).get("command") or []
    service = state.require("Service", "guestbook")
    if service.spec.get("publishNotReadyAddresses"):
        fail(
            "probe-weakened", "Service guestbook sends requests to its Pods whether they are ready or not (publishNotReadyAddresses): what /readyz says changes nothing.",
            observed="publishNotReadyAddresses: true", expected="requests for ready Pods only", object=service.ref, look="kubectl get service guestbook -o yaml",
        )  # fmt: skip
    elsewhere = asks_elsewhere(state, ready[0], get, command)
    if elsewhere:
        fail(
            "probe-weakened", f"The readiness probe of Deployment guestbook does not ask the app of its own Pod: it asks {elsewhere}.",
            observed=elsewhere, **evidence,
        )  # fmt: skip
    path = f"/{get['path'].removeprefix('/')}" if get.get("path") else ""  # the kubelet adds a slash that is missing
    asks = path + " ".join(command)
    heeded = heeds_readyz(command)
    if command and heeded is None:
        unknown(
            "not-observed", f"The readiness probe of Deployment guestbook runs {asks!r}, and from that the checker cannot tell whether it fails when the app "
            "does not say at /readyz that it is ready. A plainer command, or a probe of kind httpGet, it understands.",
            observed=asks, **evidence,
        )  # fmt: skip
    does = (
        f"it runs {asks}"
        if command
        else " ".join(filter(None, ("it asks", get.get("host"), "for", path)))
        if path
        else "it only connects"
    )
    if not heeded and (get.get("host") or asks.partition("?")[0] != "/readyz"):
        fail(
            "probe-weakened", f"The readiness probe of Deployment guestbook does not depend on what the app says at /readyz: {does}.",
            observed=asks or "a connection, and nothing more", **evidence,
        )  # fmt: skip
    patience = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
    if patience > PATIENCE:
        fail(
            "probe-weakened", f"The readiness probe of Deployment guestbook is only believed after {patience} s of failures: until then a replica that cannot take requests gets them.",
            observed=f"{patience} s", **evidence,
        )  # fmt: skip


def asks_elsewhere(state: State, pod: Object, get: dict[str, Any], command: list[str]) -> str:
    """Whom a probe asks, where that is surely not the app in the same Pod; else empty."""
    container = app(pod)
    told = variable(state, pod, "PORT") or str(
        capstone.plan(seed_of(state)).listens if secret_with(state, pod, "PORT") else 8080
    )
    names = {port["name"]: str(port["containerPort"]) for port in container.get("ports") or [] if port.get("name")}
    port = str(get.get("port", ""))
    if port and not get.get("host") and names.get(port, port) != told:
        return f"port {port}"
    urls = [urlsplit(url) for word in command for url in URL.findall(word)]
    return next(
        (url.netloc for url in urls if "$" not in url.netloc and url.hostname not in (*LOCAL, pod.status.get("podIP"))),
        "",
    )


def heeds_readyz(command: list[str]) -> bool | None:
    """Whether a probe's command fails whenever the app does not say at /readyz that it is ready; None where its text does not tell."""
    words = command
    if command[:1] and command[0].endswith("sh") and command[1:2] == ["-c"]:
        script = "".join(command[2:3]).strip().replace("\n", ";")
        lexer = shlex.shlex(script, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            return None
    if not any("/readyz" in word for word in words):
        return False
    if words[-3:-1] == ["||", "exit"] and words[-1] != "0":
        words = words[:-3]
    if words is not command and any(word != "&&" and not set(word) - set("();<>|&") for word in words):
        return False if words[-1] in ("true", ":", "0", "&") else None  # these make light of any answer
    parts = [list(part) for between, part in groupby(words, "&&".__eq__) if not between]
    program, *given = next(part for part in parts if any("/readyz" in word for word in part))
    while given and program.rpartition("/")[2] in ("exec", "env", "timeout"):
        given = given[1:] if program.rpartition("/")[2] == "timeout" else given  # how long
        program, *given = given or [""]
    if not program.rpartition("/")[2].startswith("python"):
        return None
    code = given[given.index("-c") + 1] if "-c" in given[:-1] else ""
    raises = "urlopen" in code and not any(word in code for word in ("except", "suppress"))
    return raises or any(word.endswith("ask.py") for word in given) or None


def memory_limit(pod: Object) -> str:
    """What the guestbook in a Pod may use, by its own limit or by the Pod's; empty where there is none."""
    for limited in (app(pod), pod.spec):
        if limit := ((limited.get("resources") or {}).get("limits") or {}).get("memory"):
            return str(limit)
    return ""


@task("nothing-else")
def nothing_else_was_changed(state: State) -> None:
    begun = capstone.whole(seed_of(state))
    service = state.require("Service", "guestbook")
    state.require_working(service)
    state.require_working(state.require("Deployment", "guestbook"))
    for ref in (
        "ConfigMap/handbook",  # first, since it says what all the others should be like
        "Deployment/cache",
        "Service/cache",
        "NetworkPolicy/cache",
        "ResourceQuota/house",
    ):
        kind, _, name = ref.partition("/")
        live = state.find(kind, name)
        part = "data" if kind == "ConfigMap" else "spec"
        look = f"kubectl get {kind.lower()} {name} -o yaml"
        if not live or live.is_terminating:
            fail(
                "other-workload-deleted", f"{kind} {name}, which was here when the lab began, is gone.", expected=ref, observed="none", object=ref,
                look=f"kubectl get {kind.lower()}",
            )  # fmt: skip
        difference = first_difference(
            begun[ref][part], live.raw.get(part), part, exact=kind in ("NetworkPolicy", "ResourceQuota")
        )
        if kind == "Service" and live.spec.get("type", "ClusterIP") != "ClusterIP":
            difference = ("spec.type", "ClusterIP", live.spec["type"])
        if difference:
            path, wanted, found = (word.strip()[:120] for word in difference)
            fail(
                "other-workload-changed", f"{kind} {name} is not as it should be: {path} is {found.removesuffix('.')}.",
                expected=f"{path}: {wanted}", observed=f"{path}: {found}", object=ref, look=look,
            )  # fmt: skip
    for policy in state.all("NetworkPolicy"):
        if (
            policy.name != "cache"
            and policy.spec.get("ingress")
            and selects(policy.spec.get("podSelector"), capstone.CACHE)
        ):
            fail(
                "other-workload-changed", f"NetworkPolicy {policy.name} selects the Pods of Deployment cache, too, and has rules of its own for who may reach them: policies add up.",
                expected="the rules of NetworkPolicy cache, and no others", observed=f"rules of NetworkPolicy {policy.name}", object=policy.ref,
                look="kubectl describe networkpolicies",
            )  # fmt: skip
    for node in state.objects.get("Node", []):
        system = node.labels.get("kubernetes.io/os", "linux")
        if system != "linux":
            fail(
                "other-workload-changed", f"Node {node.name} is not as it was: its label kubernetes.io/os is {system}.",
                expected="kubernetes.io/os: linux", observed=f"kubernetes.io/os: {system}", object=node.ref, look="kubectl get nodes --show-labels",
            )  # fmt: skip
    state.require_working(state.require("Deployment", "cache"))
    state.require_working(state.require("Service", "cache"))


def first_difference(wanted: Any, found: Any, path: str, exact: bool = False) -> tuple[str, str, str] | None:
    """Where an object asks for something else than it did: (path, what it did, what it does). What the API server filled in does not
    count; exact: of this kind it fills nothing in. Of selectors it never does."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if difference := first_difference(value, found.get(key), f"{path}.{key}", exact):
                return difference
        more = sorted(set(found) - set(wanted)) if exact or path.endswith(("selector", "matchLabels")) else []
        return (f"{path}.{more[0]}", "not there", str(found[more[0]])) if more else None
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        differences = (
            first_difference(a, b, f"{path}[{i}]", exact) for i, (a, b) in enumerate(zip(wanted, found, strict=True))
        )
        return next((difference for difference in differences if difference), None)
    if wanted == found or same_quantity(wanted, found):
        return None
    if isinstance(wanted, str) and isinstance(found, str) and "\n" in wanted:
        pairs = zip_longest(wanted.splitlines(), found.splitlines(), fillvalue="")
        return next(((f"{path}, line {n}", *pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1]), None)
    return path, str(wanted), "gone" if found is None else str(found)


def same_quantity(one: Any, other: Any) -> bool:
    try:
        return quantity(one) == quantity(other)
    except ValueError:
        return False
