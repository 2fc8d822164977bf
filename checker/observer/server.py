"""The observer: a small Pod in namespace kubeclass that makes requests for the checker and remembers what it saw.

It runs inside the cluster, from a ConfigMap, with nothing but Python's standard library. It only looks: its service
account may list and watch Pods, ReplicaSets and Deployments, and nothing else.

POST /ask with {"questions": {key: question}} answers {key: answer}, all asked side by side. A question is one of
  {"do": "http", "url": …, "times": n}         -> [{"status", "text", "host", "version", "error", "count"}], alike ones counted
  {"do": "each", "urls": {name: url}}          -> {name: {"status", …}}, one request each
  {"do": "tcp", "to": ["10.244.1.5:8080"]}     -> {"10.244.1.5:8080": "open" | "refused" | "timeout" | …}
  {"do": "dns", "name": …}                     -> {"addresses": […], "error": …}
  {"do": "timeline", "url": …, "namespace": …} -> what was seen since a stream of requests to that URL began; the first
                                                  time it is asked, it begins
  {"do": "forget", "namespace": …}             -> ends the streams of a namespace and drops what they saw
"""

import http.client
import json
import socket
import ssl
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 2.0  # seconds that one request or connection may take
PERIOD = 0.1  # seconds between two requests of a stream
GAP = 5.0  # seconds of silence after which a host's next answer begins a new interval
IDLE = 2 * 3600  # seconds after which a stream that nobody asks for ends
KEPT = 500  # Pods, and seconds with losses, remembered per stream

CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def error_word(error):
    """One word for what went wrong with a connection."""
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, socket.gaierror):
        return "no-such-host"
    if isinstance(error, (ConnectionResetError, http.client.RemoteDisconnected, BrokenPipeError)):
        return "reset"
    return type(error).__name__


def fetch(url):
    """One GET over a connection of its own, so that the Service chooses a Pod anew."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT)
    try:
        connection.request(
            "GET", parts.path or "/", headers={"Connection": "close", "User-Agent": "kubeclass-observer"}
        )
        answer = connection.getresponse()
        text = answer.read(4096).decode(errors="replace").strip()
        return {
            "status": answer.status,
            "text": text,
            "host": answer.headers.get("X-Guestbook-Host", ""),
            "version": answer.headers.get("X-Guestbook-Version", ""),
            "error": "",
        }
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "text": "", "host": "", "version": "", "error": error_word(error)}
    finally:
        connection.close()


def ask_http(question, pool):
    answers = Counter(
        json.dumps(answer, sort_keys=True) for answer in pool.map(fetch, [question["url"]] * question.get("times", 1))
    )
    return [{**json.loads(answer), "count": count} for answer, count in sorted(answers.items())]


def ask_each(question, pool):
    return {
        name: {**answer, "count": 1}
        for name, answer in zip(question["urls"], pool.map(fetch, question["urls"].values()), strict=True)
    }


def knock(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=TIMEOUT).close()
        return "open"
    except OSError as error:
        return error_word(error)


def ask_tcp(question, pool):
    return dict(zip(question["to"], pool.map(knock, question["to"]), strict=True))


def ask_dns(question, pool):
    try:
        found = socket.getaddrinfo(question["name"], None, socket.AF_INET, socket.SOCK_STREAM)
        return {"addresses": sorted({address[4][0] for address in found}), "error": ""}
    except OSError as error:
        return {"addresses": [], "error": error_word(error)}


class Timeline:
    """A gentle stream of requests to one URL, and what the namespace's Pods and replica counts did meanwhile."""

    def __init__(self, url, namespace):
        self.url, self.namespace = url, namespace
        self.since = self.asked = time.time()
        self.sent = 0
        self.hosts = {}  # host: [[from, to, count, version], …]
        self.lost = deque(maxlen=KEPT)  # [second, error, count]
        self.pods = {}  # uid: {"name", "node", "owner", "added", "ready", "deleted"}
        self.replicas = {}  # uid: {"kind", "name", "changes": [[time, replicas], …]}
        self.watching = set()  # resources whose first list has arrived
        self.lock = threading.Lock()
        self.ended = threading.Event()
        threading.Thread(target=self.stream, daemon=True).start()
        for group, plural, note in (
            ("api/v1", "pods", self.note_pod),
            ("apis/apps/v1", "replicasets", self.note_replicas),
            ("apis/apps/v1", "deployments", self.note_replicas),
        ):
            threading.Thread(target=self.watch, args=(group, plural, note), daemon=True).start()

    def stream(self):
        while not self.ended.is_set() and time.time() - self.asked < IDLE:
            begin = time.time()
            answer = fetch(self.url)
            with self.lock:
                self.note_answer(begin, answer)
            self.ended.wait(max(0.0, PERIOD - (time.time() - begin)))
        self.ended.set()

    def note_answer(self, now, answer):
        self.sent += 1
        if answer["status"] != 200:
            error = answer["error"] or f"status {answer['status']}"
            if self.lost and self.lost[-1][:2] == [int(now), error]:
                self.lost[-1][2] += 1
            else:
                self.lost.append([int(now), error, 1])
            return
        intervals = self.hosts.setdefault(answer["host"] or answer["text"][:100], [])
        if intervals and now - intervals[-1][1] < GAP and intervals[-1][3] == answer["version"]:
            intervals[-1][1] = now
            intervals[-1][2] += 1
        else:
            intervals.append([now, now, 1, answer["version"]])
        while len(self.hosts) > KEPT:
            self.hosts.pop(next(iter(self.hosts)))

    def watch(self, group, plural, note):
        """List, then watch, again and again: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes"""
        path = f"/{group}/namespaces/{self.namespace}/{plural}"
        while not self.ended.is_set():
            try:
                with api(f"{path}?limit=500") as answer:
                    listed = json.load(answer)
                self.note_list(plural, listed["items"], note)
                with api(
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
                    if uid not in present and not pod["deleted"]:
                        pod["deleted"] = time.time()
            for item in items:
                note(item, False)
            self.watching.add(plural)

    def note_pod(self, pod, deleted):
        metadata, status, now = pod["metadata"], pod.get("status", {}), time.time()
        owner = next((o["uid"] for o in metadata.get("ownerReferences", []) if o.get("controller")), "")
        known = self.pods.setdefault(
            metadata["uid"],
            {"name": metadata["name"], "node": "", "owner": owner, "added": now, "ready": 0, "deleted": 0},
        )
        known["node"] = pod["spec"].get("nodeName", "")
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
        if ready and not known["ready"]:
            known["ready"] = now
        if (deleted or metadata.get("deletionTimestamp")) and not known["deleted"]:
            known["deleted"] = now
        while len(self.pods) > KEPT:
            self.pods.pop(next(iter(self.pods)))

    def note_replicas(self, owner, deleted):
        metadata, now = owner["metadata"], time.time()
        kind = "ReplicaSet" if "pod-template-hash" in metadata.get("labels", {}) else "Deployment"
        known = self.replicas.setdefault(metadata["uid"], {"kind": kind, "name": metadata["name"], "changes": []})
        replicas = 0 if deleted else owner["spec"].get("replicas", 1)
        if not known["changes"] or known["changes"][-1][1] != replicas:
            known["changes"] = [*known["changes"], [now, replicas]][-KEPT:]

    def seen(self):
        with self.lock:
            return json.loads(json.dumps({
                "since": self.since, "until": time.time(), "sent": self.sent, "url": self.url, "hosts": self.hosts,
                "lost": list(self.lost), "pods": self.pods, "replicas": self.replicas, "watching": sorted(self.watching),
            }))  # fmt: skip


class api:
    """One GET to the API server with the Pod's own service account; the answer is read as a stream."""

    def __init__(self, path):
        self.path = path
        tls = ssl.create_default_context(cafile=str(CREDENTIALS / "ca.crt"))
        # The API server sends a bookmark about once a minute: longer silence means that it is gone.
        self.connection = http.client.HTTPSConnection("kubernetes.default.svc", 443, timeout=150, context=tls)

    def __enter__(self):
        token = (CREDENTIALS / "token").read_text()  # read anew: the kubelet rotates it
        self.connection.request("GET", self.path, headers={"Authorization": f"Bearer {token}"})
        answer = self.connection.getresponse()
        if answer.status != 200:
            self.connection.close()
            raise OSError(f"status {answer.status}")
        return answer

    def __exit__(self, *_):
        self.connection.close()


TIMELINES: dict[tuple[str, str], Timeline] = {}
TIMELINES_LOCK = threading.Lock()


def ask_timeline(question, pool):
    key = (question["namespace"], question["url"])
    with TIMELINES_LOCK:
        timeline = TIMELINES.get(key)
        if timeline is None or timeline.ended.is_set():
            timeline = TIMELINES[key] = Timeline(question["url"], question["namespace"])
    timeline.asked = time.time()
    return timeline.seen()


def ask_forget(question, pool):
    with TIMELINES_LOCK:
        gone = [key for key in TIMELINES if key[0] == question["namespace"]]
        for key in gone:
            TIMELINES.pop(key).ended.set()
    return {"forgotten": len(gone)}


ASK = {
    "http": ask_http,
    "each": ask_each,
    "tcp": ask_tcp,
    "dns": ask_dns,
    "timeline": ask_timeline,
    "forget": ask_forget,
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if self.path == "/healthz" else 404, {"ok": self.path == "/healthz"})

    def do_POST(self):
        try:
            questions = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["questions"]
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "not a set of questions"})
        # One pool for asking and one for the requests: a question waits for its requests, so one pool could lock up.
        with ThreadPoolExecutor(16) as requests, ThreadPoolExecutor(16) as askers:
            asked = {key: askers.submit(self.one, question, requests) for key, question in questions.items()}
            self.answer(200, {key: future.result() for key, future in asked.items()})

    @staticmethod
    def one(question, pool):
        try:
            return ASK[question["do"]](question, pool)
        except Exception as error:  # a question that fails must not take the others' answers away
            return {"error": f"{type(error).__name__}: {error}"}

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
    ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
