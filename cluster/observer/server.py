"""The observer: a small Pod in namespace kubeclass that makes requests for the checker and remembers what it saw.

It runs inside the cluster, from a ConfigMap, with nothing but Python's standard library. It only looks: its
ServiceAccount may list Pods, Services and EndpointSlices, watch Pods, ReplicaSets, Deployments and nodes, and review
tokens and rights.

POST /ask with {"questions": {key: question}, "namespaces": […], "tokens": […]} answers {key: answer}. All are asked
side by side. namespaces: those that the questions are about. tokens: show that the asker may reach their Pods
(rights.py). Status 403: no token is good for any of the namespaces. A question about another's Pods has the answer
{"error": why, "refused": true}; one that is too much (bounds.py) has {"error": why, "refused": false}. Of asking.py's
questions it knows http, each, tcp and dns. (Files and variables are asked inside a Pod.) Beside them it knows
  {"do": "timeline", "url": …, "namespace": …} -> what was seen since a stream of requests to that URL began; the first
                                                  time it is asked, it begins
  {"do": "forget", "namespace": …}             -> ends the streams of a namespace and drops what they saw
"""

import http.client
import json
import socket
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from asking import addresses, ask_dns, ask_each, ask_http, ask_tcp, ask_with, fetch
from bounds import BODY, Lanes, Streams, TooMuch, require_few
from in_cluster import CREDENTIALS, Api, call
from rights import NotReviewed, Refused, Rights

# Seconds between two requests of a stream, and of one that nobody has answered for PATIENCE seconds.
PERIOD, SLOW, PATIENCE = 0.1, 1.0, 10.0
LOST = 5.0  # seconds without an answer after which a request of a stream is lost: a busy machine alone is to lose none
FRESH = 2.0  # seconds after which a stream looks its host's name up again
RECHECK = 10.0  # seconds for which the address of a stream counts as the namespace's
GAP = 5.0  # seconds of silence after which a host's next answer begins a new interval
IDLE = 2 * 3600  # seconds after which a stream that nobody asks for ends
KEPT = 500  # Pods, and seconds with losses, remembered per stream
CHANGES = 50  # of readiness and restarts remembered per Pod, and of a node
TEXTS = 20  # changes of the answer's text remembered, per stream and per host


class Timeline:
    """A gentle stream of requests to one URL, and what the namespace's Pods and replica counts did meanwhile."""

    def __init__(self, url, namespace, resolve=addresses):
        """resolve: gives the addresses of the URL's host; it raises Refused where they are not the namespace's."""
        self.url, self.namespace, self.resolve = url, namespace, resolve
        self.refused = False  # while the host leads to addresses of others, nothing is sent and nothing is lost
        self.since = self.asked = self.answered = time.time()
        self.sent = 0
        self.host, self.address = urlsplit(url).hostname, None
        self.out = set()  # when the requests were sent that are neither answered nor lost yet
        self.hosts = {}  # host: [[from, to, count, version], …]
        self.lost = {}  # (second, error): [first, error, count, last]
        self.texts = deque(maxlen=TEXTS)  # [time, first line of an answer] whenever that was another than before
        self.said = {}  # host: [[from, to, first line of its answers], …]
        # uid: {"name", "node", "owner", "added", "ready", "deleted" (it began to terminate), "gone",
        #       "changes": [[time, is ready, restarts], …]}
        self.pods = {}
        self.replicas = {}  # uid: {"kind", "name", "images", "changes": [[time, replicas], …]}
        self.nodes = {}  # name: [[time, is ready, takes Pods], …]
        self.watching = set()  # resources whose first list has arrived
        self.lock = threading.Lock()
        self.ended = threading.Event()
        for work in (self.stream, self.look_up):
            threading.Thread(target=work, daemon=True).start()
        for group, plural, note in (
            (f"api/v1/namespaces/{namespace}", "pods", self.note_pod),
            (f"apis/apps/v1/namespaces/{namespace}", "replicasets", self.note_replicas),
            (f"apis/apps/v1/namespaces/{namespace}", "deployments", self.note_replicas),
            ("api/v1", "nodes", self.note_node),
        ):
            threading.Thread(target=self.watch, args=(group, plural, note), daemon=True).start()

    def stream(self):
        """One request every PERIOD, even while others wait for an answer: a slow one must not hide what happens."""
        with ThreadPoolExecutor(int(LOST / PERIOD)) as pool:
            while not self.ended.is_set() and time.time() - self.asked < IDLE:
                begin = time.time()
                if not self.refused:
                    with self.lock:
                        self.out.add(begin)
                    pool.submit(self.send, begin)
                period = PERIOD if begin - self.answered < PATIENCE else SLOW
                self.ended.wait(max(0.0, period - (time.time() - begin)))
        self.ended.set()

    def send(self, begin):
        at, answer = self.address, {"status": 0, "error": "no-such-host"}
        try:
            if at:
                answer = fetch(self.url, at, LOST)
        finally:
            with self.lock:
                self.out.discard(begin)
                self.note_answer(begin, answer)

    def look_up(self):
        """Keep the host's address. A cluster's DNS that gives no answer for the moment is no reason to forget it."""
        while not self.ended.is_set():
            try:
                self.address, self.refused = self.resolve(self.host)[0], False
            except socket.gaierror as error:
                if error.errno != socket.EAI_AGAIN:
                    self.address = None
            except Refused:
                self.refused = True
            except NotReviewed:
                pass  # the API server is away: it is as it was
            self.ended.wait(FRESH if self.address else PERIOD * 5)

    def note_answer(self, now, answer):
        self.sent += 1
        if answer["status"] != 200:
            error = answer["error"] or f"status {answer['status']}"
            first, _, count, last = self.lost.get((int(now), error), [now, error, 0, now])
            self.lost[int(now), error] = [min(first, now), error, count + 1, max(last, now)]
            while len(self.lost) > KEPT:
                self.lost.pop(next(iter(self.lost)))
            return
        late, self.answered = now < self.answered, max(now, self.answered)  # answered after one that was sent later
        said = answer["text"].split("\n", 1)[0]
        if said != answer["host"]:
            if not late and (not self.texts or self.texts[-1][1] != said):
                self.texts.append([now, said])
            self.note_said(now, answer["host"], said)
        intervals = self.hosts.setdefault(answer["host"] or answer["text"][:100], [])
        if intervals and now - intervals[-1][1] < GAP and intervals[-1][3] == answer["version"]:
            intervals[-1][1] = max(now, intervals[-1][1])
            intervals[-1][2] += 1
        else:
            intervals.append([now, now, 1, answer["version"]])
        while len(self.hosts) > KEPT:
            self.hosts.pop(next(iter(self.hosts)))

    def note_said(self, now, host, said):
        """Each host's answers, apart: where several answer by turns, their common order hides whose changed."""
        runs = self.said.setdefault(host, deque(maxlen=TEXTS))
        if runs and runs[-1][2] == said:
            runs[-1][1] = max(now, runs[-1][1])
        elif not runs or now > runs[-1][1]:  # an answer that comes after that to a later request says nothing new
            runs.append([now, now, said])
        while len(self.said) > KEPT:
            self.said.pop(next(iter(self.said)))

    def watch(self, group, plural, note):
        """List, then watch, again and again: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes"""
        path = f"/{group}/{plural}"
        while not self.ended.is_set():
            try:
                with Api(f"{path}?limit=500") as answer:
                    listed = json.load(answer)
                self.note_list(plural, listed["items"], note)
                with Api(
                    f"{path}?watch=1&allowWatchBookmarks=true&resourceVersion={listed['metadata']['resourceVersion']}"
                ) as answer:
                    while not self.ended.is_set() and (line := answer.readline()):
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            break  # most often 410 Gone: list anew
                        if event["type"] != "BOOKMARK":
                            with self.lock:
                                note(event["object"], event["type"] == "DELETED")
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                self.ended.wait(1.0)  # the API server is away: try again

    def note_list(self, plural, items, note):
        with self.lock:
            present = {item["metadata"]["uid"] for item in items}
            if plural == "pods":
                for uid, pod in self.pods.items():
                    if uid not in present:
                        pod["gone"] = pod["gone"] or time.time()
                        pod["deleted"] = pod["deleted"] or pod["gone"]
            for item in items:
                note(item, False)
            self.watching.add(plural)

    def note_pod(self, pod, deleted):
        metadata, status, now = pod["metadata"], pod.get("status", {}), time.time()
        owner = next((o["uid"] for o in metadata.get("ownerReferences", []) if o.get("controller")), "")
        known = self.pods.setdefault(
            metadata["uid"],
            {
                "name": metadata["name"],
                "node": "",
                "owner": owner,
                "added": now,
                "ready": 0,
                "deleted": 0,
                "gone": 0,
                "changes": [],
            },
        )
        known["node"] = pod["spec"].get("nodeName", "")
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
        if ready and not known["ready"]:
            known["ready"] = now
        restarts = sum(c.get("restartCount", 0) for c in status.get("containerStatuses", []))
        if not known["changes"] or known["changes"][-1][1:] != [ready, restarts]:
            known["changes"] = [*known["changes"], [now, ready, restarts]][-CHANGES:]
        if (deleted or metadata.get("deletionTimestamp")) and not known["deleted"]:
            known["deleted"] = now
        if deleted and not known["gone"]:
            known["gone"] = now
        while len(self.pods) > KEPT:
            self.pods.pop(next(iter(self.pods)))

    def note_replicas(self, owner, deleted):
        metadata, now = owner["metadata"], time.time()
        kind = "ReplicaSet" if "pod-template-hash" in metadata.get("labels", {}) else "Deployment"
        known = self.replicas.setdefault(metadata["uid"], {"kind": kind, "name": metadata["name"], "changes": []})
        known["images"] = [c["image"] for c in owner["spec"]["template"]["spec"]["containers"]]
        replicas = 0 if deleted else owner["spec"].get("replicas", 1)
        if not known["changes"] or known["changes"][-1][1] != replicas:
            known["changes"] = [*known["changes"], [now, replicas]][-KEPT:]

    def note_node(self, node, deleted):
        conditions = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions", [])}
        ready = not deleted and conditions.get("Ready") == "True"
        changes = self.nodes.setdefault(node["metadata"]["name"], [])
        if not changes or changes[-1][1:] != [ready, not node["spec"].get("unschedulable", False)]:
            changes.append([time.time(), ready, not node["spec"].get("unschedulable", False)])
            del changes[:-CHANGES]

    def seen(self):
        with self.lock:
            return json.loads(
                json.dumps(
                    {
                        "since": self.since,
                        "until": min(self.out, default=time.time()),
                        "sent": self.sent,
                        "url": self.url,
                        "hosts": self.hosts,
                        "texts": list(self.texts),
                        "said": {host: list(runs) for host, runs in self.said.items()},
                        "lost": sorted(self.lost.values()),
                        "pods": self.pods,
                        "replicas": self.replicas,
                        "nodes": self.nodes,
                        "watching": sorted(self.watching),
                    }
                )
            )


STREAMS = Streams(Timeline)
LANES = Lanes()


def ask_timeline(asker, question, pool, resolve):
    namespace, url = question["namespace"], question["url"]
    asker.require(namespace)
    resolve_for_long = asker.resolver(addresses, RECHECK)
    with suppress(OSError):  # the host has no address at the moment
        resolve_for_long(urlsplit(url).hostname)
    return STREAMS.get(namespace, url, resolve_for_long).seen()


def ask_forget(asker, question, pool, resolve):
    asker.require(question["namespace"])
    return {"forgotten": STREAMS.forget(question["namespace"])}


def ask_names(asker, question, pool, resolve):
    asker.require_names(question["names"])
    return ask_dns(question, pool)


def with_refusals(ask):
    """The same question; a refusal is its answer."""

    def asked(question, pool, resolve):
        try:
            return ask(question, pool, resolve)
        except (Refused, NotReviewed, TooMuch) as why:
            return {"error": str(why), "refused": isinstance(why, Refused)}

    return asked


def answers(questions, asker):
    """Answers to questions by key. Raises TooMuch where the asker's other questions are not done."""
    known = {"http": ask_http, "each": ask_each, "tcp": ask_tcp}
    own = {"timeline": ask_timeline, "forget": ask_forget, "dns": ask_names}
    known |= {name: partial(ask, asker) for name, ask in own.items()}
    with LANES.lane(asker.owner) as threads:
        known = {name: with_refusals(ask) for name, ask in known.items()}
        return ask_with(threads, known, questions, asker.resolver(addresses))


class Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds without a byte after which a caller is hung up on
    rights = None

    def do_GET(self):
        self.answer(200 if self.path == "/healthz" else 404, {"ok": self.path == "/healthz"})

    def do_POST(self):
        with suppress(ConnectionError):  # the caller did not wait
            self.answer(*self.reply())

    def reply(self):
        """Status and content of the answer to a set of questions."""
        try:
            length = int(self.headers["Content-Length"])
            if not 0 <= length <= BODY:
                return 413, {"message": f"a set of questions may have {BODY} bytes"}
            asked = json.loads(self.rfile.read(length))
            questions = asked["questions"]
            require_few(questions)
            asker = self.rights.asker(asked.get("tokens") or [], asked.get("namespaces") or [])
            return 200, answers(questions, asker)
        except (ValueError, KeyError, TypeError, AttributeError):
            return 400, {"message": "not a set of questions"}
        except Refused as why:
            return 403, {"message": str(why), "reason": "NotShown"}
        except TooMuch as why:
            return 429, {"message": str(why)}
        except OSError as error:
            return 502, {"message": f"the API server did not review the asker's token: {error}"}

    def answer(self, status, data):
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.rights = Rights(call, (CREDENTIALS / "namespace").read_text().strip())
    ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
