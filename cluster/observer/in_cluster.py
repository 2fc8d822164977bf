"""Asking the API server from inside a Pod, with Python's standard library alone.

The tests' enforcer of policies has it too.
"""

import http.client
import os
import ssl
from pathlib import Path

CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Api:
    """One GET to the API server with the Pod's own service account; the answer is read as a stream.

    Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
    """

    def __init__(self, path):
        self.path = path
        tls = ssl.create_default_context(cafile=str(CREDENTIALS / "ca.crt"))
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
        # The API server sends a bookmark about once a minute: longer silence means that it is gone.
        self.connection = http.client.HTTPSConnection(host, port, timeout=150, context=tls)

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
