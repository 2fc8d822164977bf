"""Asking the API server from inside a Pod, with Python's standard library alone.

The tests' enforcer of policies has it too.
"""

import http.client
import json
import os
import ssl
from functools import cache
from pathlib import Path

CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Api:
    """One GET to the API server with the Pod's own service account; the answer is read as a stream.

    Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
    """

    def __init__(self, path):
        self.path = path
        # The API server sends a bookmark about once a minute: longer silence means that it is gone.
        self.connection = _connection(timeout=150)

    def __enter__(self):
        self.connection.request("GET", self.path, headers=_headers())
        answer = self.connection.getresponse()
        if answer.status != 200:
            self.connection.close()
            raise OSError(f"status {answer.status}")
        return answer

    def __exit__(self, *_):
        self.connection.close()


def call(method, path, body=None):
    """One short call to the API server: the JSON of its answer. The connection is kept for the next call.

    Raises OSError where there is no answer within 4 seconds, and for an error status.
    """
    while True:
        try:
            connection, is_new = _IDLE.pop(), False
        except IndexError:
            connection, is_new = _connection(timeout=4), True
        try:
            connection.request(
                method, path, body and json.dumps(body), _headers() | {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if is_new:
                raise OSError(f"no answer from the API server: {type(error).__name__}") from None
            continue  # the API server has closed a connection that was kept
        _IDLE.append(connection)
        if answer.status >= 400:
            raise OSError(f"status {answer.status} from the API server for {method} {path}")
        return json.loads(content)


_IDLE = []  # connections that no call uses at the moment


@cache
def _tls():
    return ssl.create_default_context(cafile=str(CREDENTIALS / "ca.crt"))


def _connection(timeout):
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=_tls())


def _headers():
    token = (CREDENTIALS / "token").read_text()  # read anew: the kubelet rotates it
    return {"Authorization": f"Bearer {token}"}
