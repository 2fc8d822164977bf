"""How a learner's server in JupyterHub reaches the class, without a file that is handed out.

The hub says in the environment what a handed-out file would say (hub/kubeclass_hub.py). The token is the one that the
kubelet mounts for the Pod's ServiceAccount. It changes every hour, so it is read anew for each request. It ends with
the Pod. Source: https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/
"""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec

from checker.classroom.access import ClassAccess
from checker.model.catalogue import problem

# A JSON object with the fields of ClassAccess: name, learner, namespace, namespaces, offers, registry, expires.
SAID_BY_THE_HUB = "KUBECLASS_ACCESS"
MOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def mounted(mount: Path = MOUNT) -> ClassAccess:
    """How this Pod reaches the class. mount: where the ServiceAccount's token and certificates are.

    Raises Problem where this is no server of a class's JupyterHub.
    """
    try:
        said: dict[str, Any] = msgspec.json.decode(os.environ[SAID_BY_THE_HUB], type=dict[str, Any])
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        authority = b64encode((mount / "ca.crt").read_bytes()).decode()
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        here = {"server": server, "authority": authority, "token": "", "token_file": str(mount / "token")}
        return msgspec.convert(said | here, ClassAccess)
    except KeyError as error:
        raise problem("hub-no-access", why=f"${error.args[0]}") from None
    except OSError as error:
        raise problem("hub-no-access", why=f"{error.filename}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise problem("hub-no-access", why=f"${SAID_BY_THE_HUB}: {error}") from None
