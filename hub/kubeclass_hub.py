"""Starts each learner's server in a namespace of the learner's own, with an account of the learner's own.

For jupyterhub_config.py: `import kubeclass_hub; kubeclass_hub.configure(c, "autumn")`. It needs KubeSpawner and nothing
of the course, so that it runs in the hub's own image. `kubeclass class create --hub` makes what it finds: the namespace
CLASS-USER-hub, the account `learner` in it, the hub's rights there, and what the class keeps of itself.
Source: https://jupyterhub-kubespawner.readthedocs.io/en/latest/spawner.html
"""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from typing import Any

from tornado.web import HTTPError

# Labels and names of a class. checker/classroom/names.py and hub.py hold the same; tests/unit/test_hub.py compares.
CLASS, ROLE = "kubeclass.dev/class", "kubeclass.dev/role"
LEARNER_ID = "kubeclass.dev/learner-id"
HUB, ACCOUNT, OBSERVER = "hub", "learner", "kubeclass"
SAID_BY_THE_HUB = "KUBECLASS_ACCESS"
API_PORT = 8081
# A learner's id, as the roster has it.
ID = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
UID = 1000  # of the user in the image
HOME = "/home/learner"


class Refused(HTTPError):
    """A server that is not started. JupyterHub shows the sentence to the learner."""

    def __init__(self, sentence: str) -> None:
        super().__init__(403, "%s", sentence)
        self.jupyterhub_message = sentence


def configure(c: Any, class_name: str) -> None:
    """Set JupyterHub's configuration `c` to a class. What is said after this call counts.

    The hub's own namespace comes from POD_NAMESPACE, else it is `kubeclass-hub`.
    """
    namespace = os.environ.get("POD_NAMESPACE") or "kubeclass-hub"
    # Servers are in other namespaces, where the short name of the hub's Service leads nowhere.
    c.JupyterHub.hub_connect_url = f"http://hub.{namespace}:{API_PORT}"
    c.JupyterHub.allow_named_servers = False  # the namespace has room for one server
    c.Spawner.cmd = ["kubeclass", "hub-server"]
    spawner = c.KubeSpawner
    spawner.pre_spawn_hook = Start(class_name)
    spawner.consecutive_failure_limit = 0  # JupyterHub counts refusals, too, and would end itself after five
    spawner.http_timeout = 120  # seconds; the first start lays the copies of the lessons
    spawner.enable_user_namespaces = False  # it would need rights in the whole cluster
    spawner.service_account = ACCOUNT
    spawner.pvc_name_template = "home"
    spawner.storage_pvc_ensure = True
    spawner.storage_access_modes = ["ReadWriteOnce"]
    if "volumes" not in spawner:  # Zero to JupyterHub has its own way to say the same (values.yaml)
        spawner.volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}]
        spawner.volume_mounts = [{"name": "home", "mountPath": HOME}]
    spawner.notebook_dir = ""  # the course chooses the learner's folder, and the first page
    # What Pod Security `restricted` asks for.
    # Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
    spawner.uid = spawner.gid = spawner.fs_gid = UID
    spawner.allow_privilege_escalation = False
    spawner.container_security_context = {
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


class Start:
    """The hook that runs before a server starts."""

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name

    async def __call__(self, spawner: Any) -> None:
        """Put the server into its learner's namespace, and say there how the class is reached.

        Raises Refused for a user who is no learner of the class, and after the class's end.
        """
        record = await spawner.api.read_namespaced_config_map(f"kubeclass-class-{self.class_name}", OBSERVER)
        kept = record.data
        hub = json.loads(kept["hub"])
        user = spawner.user.name
        home = f"{self.class_name}-{user}"
        if not ID.fullmatch(user) or not await self._is_learners(spawner, f"{home}-{HUB}", user):
            raise Refused(hub["refusals"]["not-in-class"])
        ends = datetime.fromisoformat(kept["ends"])
        seconds = int((ends - datetime.now(UTC)).total_seconds())
        if seconds <= 0:
            raise Refused(hub["refusals"]["ended"])
        spawner.namespace = f"{home}-{HUB}"
        spawner.dns_name = spawner.dns_name_template.format(namespace=spawner.namespace, name=spawner.pod_name)
        # The token of the Pod's account ends with the Pod, and the Pod with the class.
        spawner.extra_pod_config = {**spawner.extra_pod_config, "activeDeadlineSeconds": seconds}
        access = {
            "name": self.class_name,
            "learner": user,
            "namespace": home,
            "namespaces": {suffix: f"{home}-{suffix}" for suffix in hub["further"]},
            "offers": json.loads(kept["offers"]),
            "registry": kept.get("registry") or "",
            "expires": kept["ends"],
        }
        # KubeSpawner takes braces for the beginning of a field.
        said = json.dumps(access).replace("{", "{{").replace("}", "}}")
        spawner.environment = {**spawner.environment, SAID_BY_THE_HUB: said}

    async def _is_learners(self, spawner: Any, namespace: str, user: str) -> bool:
        """Whether this namespace is there for the server of this learner of this class, and of no other class."""
        try:
            found = (await spawner.api.read_namespace(namespace)).metadata
        except Exception as error:
            if getattr(error, "status", None) in (403, 404):  # the hub may read no other namespaces
                return False
            raise
        labels, notes = found.labels or {}, found.annotations or {}
        return (labels.get(CLASS), labels.get(ROLE), notes.get(LEARNER_ID)) == (self.class_name, HUB, user)
