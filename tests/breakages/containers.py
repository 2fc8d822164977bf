"""Breakages of what a container runs, is told, and is probed with."""

from __future__ import annotations

from tests.breakages.breakage import Manifest, Manifests, breakage, container, pod_spec, root, variable


def _client(it: Manifests) -> tuple[Manifest, Manifest, str]:
    """A Deployment that is told by a variable whom to ask: it, the variable's entry, and the server's name."""
    for workload, name, server in (("guestbook", "REDIS_HOST", "redis"), ("front", "API_URL", "api")):
        for found in it.all("Deployment", lambda d, w=workload: d["metadata"]["name"] == w):  # type: ignore[misc]
            return found, variable(found, name), server
    raise LookupError("this shape has no client")


def _tell(entry: Manifest, server: str, told: str) -> None:
    """Put another address in the place of a server's."""
    entry["value"] = entry["value"].replace(server, told)


@breakage("store shop")
def host_slip(it: Manifests) -> str:
    """A variable names a Service with a slip."""
    client, entry, server = _client(it)
    _tell(entry, server, it.slip({"api": "apis"}.get(server, server)))
    return root("name-unknown", client)


@breakage("store shop")
def host_elsewhere(it: Manifests) -> str:
    """A variable names a namespace that does not exist."""
    client, entry, server = _client(it)
    end = it.random.choice(["", ".svc", ".svc.cluster.local"])
    _tell(entry, server, f"{server}.{it.random.choice(['production', 'backend', 'staging'])}{end}")
    return root("name-namespace-unknown", client)


@breakage("store shop")
def host_port(it: Manifests) -> str:
    """A variable names a port that the Service does not have."""
    client, entry, server = _client(it)
    _tell(entry, server, f"{server}:{it.random.choice([8080, 6380, 5000])}")
    return root("service-port-unknown", client)


@breakage("store shop")
def host_is_localhost(it: Manifests) -> str:
    """A variable names localhost."""
    client, entry, server = _client(it)
    _tell(entry, server, "localhost")
    return root("localhost-is-the-pod", client)


@breakage("store shop")
def host_has_blank(it: Manifests) -> str:
    """A variable's value ends in white space."""
    client, entry, server = _client(it)
    _tell(entry, server, server + it.random.choice(["\n", " "]))
    return root("variable-has-white-space", client)


@breakage("store shop")
def host_not_replaced(it: Manifests) -> str:
    """A variable refers to a variable that the container does not have."""
    client, entry, server = _client(it)
    _tell(entry, server, f"$({it.random.choice(['STORE', 'BACKEND_NAME', 'SERVER_NAME'])})")
    return root("variable-not-replaced", client)


@breakage("store shop")
def host_of_secret_with_line_end(it: Manifests) -> tuple[str, str]:
    """A variable comes from a Secret whose value ends in a line end."""
    client, entry, _ = _client(it)
    secret = it.add("{apiVersion: v1, kind: Secret, metadata: {name: address}}")
    secret["stringData"] = {"value": entry.pop("value") + "\n"}
    entry["valueFrom"] = {"secretKeyRef": {"name": "address", "key": "value"}}
    return root("variable-has-white-space|secret-blank", client), root("variable-has-white-space|secret-blank", secret)


@breakage("shelf")
def argument_slip(it: Manifests) -> str:
    """An argument names a headless Service with a slip."""
    reader = it.named("Deployment", "reader")
    container(reader)["args"] = [f"http://shelf-0.{it.slip('shelf')}:8080/hostname"]
    return root("name-unknown|pod-name-unknown", reader)


@breakage("web")
def port_variable(it: Manifests) -> str:
    """A variable makes the app listen on another port."""
    web = it.named("Deployment", "web")
    container(web)["env"].append({"name": "PORT", "value": str(it.random.choice([80, 8000, 9090]))})
    return root("probe-port-refused", web)


@breakage("web store")
def listens_on_loopback(it: Manifests) -> str:
    """A variable makes the app listen on 127.0.0.1 only."""
    server = it.server()
    container(server)["env"].append({"name": "HOST", "value": "127.0.0.1"})
    return root("listens-on-loopback|probe-port-refused", server)


@breakage("web store")
def not_a_number(it: Manifests) -> str:
    """A variable must be a number, and is none."""
    server = it.server()
    container(server)["env"].append({"name": it.random.choice(["PORT", "LATENCY_MS"]), "value": "eighty"})
    return root("container-crashes", server)


@breakage("store")
def password_wanted(it: Manifests) -> tuple[str, str]:
    """Redis asks for a password that the client does not have."""
    redis = it.named("Deployment", "redis")
    container(redis)["args"] += ["--requirepass", "sesame"]
    return root("credentials-refused", it.named("Deployment", "guestbook")), root("credentials-refused", redis)


# -- images and commands ---------------------------------------------------------------------------------------------


@breakage("web store shelf batch shop")
def image_slip(it: Manifests) -> str:
    """The name of an image has a slip."""
    workload = it.lasting()
    image = container(workload)["image"]
    container(workload)["image"] = it.slip(image.partition(":")[0]) + ":" + image.partition(":")[2]
    return root("image-name-typo", workload)


@breakage("web store shelf batch shop")
def image_tag(it: Manifests) -> str:
    """An image has no such tag."""
    workload = it.lasting()
    container(workload)["image"] = container(workload)["image"].partition(":")[0] + ":" + "v1.0"
    return root("image-name-typo", workload)


@breakage("web shop")
def image_has_capitals(it: Manifests) -> str:
    """The name of an image is not valid."""
    workload = it.one("Deployment")
    container(workload)["image"] = container(workload)["image"].capitalize()
    return root("image-name-invalid", workload)


@breakage("web store batch shop")
def pulled_always(it: Manifests) -> str:
    """The kubelet asks a registry for an image that the node has."""
    workload = it.one("Deployment", lambda d: container(d)["image"].startswith("guestbook"))
    container(workload)["imagePullPolicy"] = "Always"
    return root("image-pulled-anyway", workload)


@breakage("store shelf batch shop")
def command_slip(it: Manifests) -> str:
    """The command of a container has a slip."""
    workload = it.one("Deployment", lambda d: container(d).get("command"))
    container(workload)["command"] = [it.slip("python3"), *container(workload)["command"][1:]]
    return root("command-not-runnable", workload)


@breakage("shelf")
def script_slip(it: Manifests) -> str:
    """A command names a file of a ConfigMap with a slip."""
    reader = it.named("Deployment", "reader")
    container(reader)["command"][-1] = f"/scripts/{it.slip('read')}.py"
    return root("file-not-in-volume", reader)


@breakage("shelf")
def mounted_elsewhere(it: Manifests) -> str:
    """The volume of a script is mounted at another path."""
    reader = it.named("Deployment", "reader")
    container(reader)["volumeMounts"][0]["mountPath"] = it.random.choice(["/script", "/opt/scripts", "/app/scripts"])
    return root("volume-at-other-path", reader)


@breakage("web")
def hook_fails(it: Manifests) -> str:
    """A postStart hook fails."""
    web = it.named("Deployment", "web")
    container(web)["lifecycle"] = {"postStart": {"exec": {"command": ["sh", "-c", "test -f /page/ready"]}}}
    return root("post-start-hook-fails", web)


@breakage("web shelf shop")
def must_not_be_root(it: Manifests) -> str:
    """A Pod must not run as root, and its image does."""
    workload = it.lasting()
    pod_spec(workload)["securityContext"] = {"runAsNonRoot": True}
    return root("image-runs-as-root", workload)


@breakage("web shop")
def two_on_one_port(it: Manifests) -> str:
    """Two containers of a Pod listen on the same port."""
    server = it.server()
    pod_spec(server)["containers"].append({"name": "second", "image": "guestbook:v1"})
    return root("port-clash-in-pod", server)


@breakage("web store")
def init_waits_for_nobody(it: Manifests) -> str:
    """An init container waits for a Service that does not exist."""
    workload = it.server()
    name = it.random.choice(["database", "queue", "migrations"])
    wait = f"until getent hosts {name}; do echo waiting for {name}; sleep 2; done"
    pod_spec(workload)["initContainers"] = [{"name": "wait", "image": "guestbook:v1", "command": ["sh", "-c", wait]}]
    return root("name-unknown", workload)


# -- probes ----------------------------------------------------------------------------------------------------------


@breakage("web store shelf shop")
def probe_path(it: Manifests) -> str:
    """A probe asks for a page that does not exist."""
    server = it.server()
    probes = [name for name in ("readinessProbe", "livenessProbe") if name in container(server)]
    get = container(server)[it.random.choice(probes)]["httpGet"]
    get["path"] = it.random.choice([it.slip(get["path"]), "/health", "/ready"])
    return root("probe-path-not-found|readiness-probe-fails", server)  # which quotes the probe and its status 404


@breakage("web store shelf shop")
def probe_port(it: Manifests) -> str:
    """A probe asks a port where nothing listens."""
    server = it.server()
    probes = [name for name in ("readinessProbe", "livenessProbe") if name in container(server)]
    container(server)[it.random.choice(probes)]["httpGet"]["port"] = it.random.choice([80, 8081, 9000])
    return root("probe-port-refused", server)


@breakage("web store shelf")
def probe_port_name(it: Manifests) -> str:
    """A probe names a port with a slip."""
    server = it.server()
    container(server)["readinessProbe"]["httpGet"]["port"] = it.slip("http")
    return root("probe-port-unknown", server)


@breakage("web store shelf shop")
def probe_speaks_https(it: Manifests) -> str:
    """A probe speaks HTTPS to an app that speaks HTTP."""
    server = it.server()
    container(server)["readinessProbe"]["httpGet"]["scheme"] = "HTTPS"
    return root("readiness-probe-fails|tls-mismatch", server)


@breakage("web store")
def probe_without_patience(it: Manifests) -> str:
    """A liveness probe ends a container that starts slowly."""
    server = it.server()
    container(server)["env"].append({"name": "STARTUP_SECONDS", "value": str(it.random.randint(40, 80))})
    container(server)["livenessProbe"] = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 3}
    return root("no-startup-budget|liveness-probe-never-succeeds", server)


@breakage("web store shelf shop")
def probe_command(it: Manifests) -> str:
    """The command of a probe is not in the image."""
    server = it.server()
    command = it.random.choice([["curl", "-f", "localhost:8080/readyz"], ["wget", "-q", "localhost:8080"], ["/ready"]])
    container(server)["readinessProbe"] = {"exec": {"command": command}, "periodSeconds": 2}
    return root("probe-command-missing", server)
