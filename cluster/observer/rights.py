"""Who asks the observer, and what may be asked for them. Nothing but Python's standard library.

The API server's proxy does not tell the observer who called it. So the asker shows tokens in the body of the request.
Each is a token of a ServiceAccount, made by TokenRequest for the audience kubeclass-observer. It ends after ten
minutes, and the API server itself does not accept it. A token of namespace N takes the right to create tokens there,
or a Pod there. A TokenRequest works with a client certificate, with a bearer token and with a cloud's exec plugin.

A token speaks
  - for its own namespace;
  - for each namespace in which its ServiceAccount may `create pods/portforward`, as a SubjectAccessReview says. That
    right means "may open connections to the Pods there";
  - for everything, where it is of the observer's own namespace. There, only the cluster's administrator makes tokens.

For a namespace, the observer connects to its Pods and its Services and to nothing else: no node, no API server, no
address outside. It refuses a Service whose endpoints, written by hand, are other addresses. Everybody may ask the wall
of lab 14. An address is checked when it is used. Lists count for LISTED seconds, for a stream for RECHECK (server.py).

Sources: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/,
https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

import hashlib
import re
import threading
import time
from ipaddress import IPv4Address

AUDIENCE = "kubeclass-observer"
REVIEWED = 5.0  # seconds for which the review of a right counts
TOKEN_REVIEWED = 30.0  # seconds for which the review of a token counts; a learner who checks now and then is known
LISTED = 2.0  # seconds for which a list of a namespace's addresses counts
GONE = 15.0  # seconds for which the address of a Pod that is no longer listed may still be an endpoint
AGAIN = (0.0, 0.5)  # seconds to wait before the lists that are made anew for an address that they did not hold
PATIENCE = 1.5  # seconds after which no list is made anew: on a busy machine it takes long, and the asker waits
REFUSALS = 3  # addresses that one request may have refused before nothing is listed anew for it
KEPT = 2000  # reviews that are remembered
TOKENS, NAMESPACES = 10, 10  # of one request that are looked at; a lab has three namespaces
PUBLIC = ("kubernetes.default",)  # names that every cluster has: anybody may look them up
ACCOUNT = "system:serviceaccount:"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Refused(Exception):
    """What is asked is not the asker's to ask, with the reason. No OSError: it ends the whole question."""


class NotReviewed(Exception):
    """The API server did not say whether something may be asked. No OSError: a connection that fails is an answer."""


class Kept:
    """What was reviewed a moment ago, so that it is not reviewed again."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.values, self.lock = clock, seconds, {}, threading.Lock()

    def get(self, key, review):
        with self.lock:
            until, value = self.values.get(key, (0.0, None))
        if until <= self.clock():
            value = review()
            with self.lock:
                self.values.pop(key, None)
                self.values[key] = (self.clock() + self.seconds, value)
                while len(self.values) > KEPT:
                    self.values.pop(next(iter(self.values)))
        return value


class Addresses:
    """The addresses of a namespace's Pods and Services, as listed a moment ago."""

    def __init__(self, call, namespace, pods, clock):
        self.call, self.namespace, self.pods_path, self.clock = call, namespace, pods, clock
        self.lock = threading.Lock()
        self.at = float("-inf")  # when they were listed
        self.pods = {}  # IP: when the Pod was listed last
        self.services = {}  # cluster IP: the addresses of the Service's endpoints

    def listed(self, since):
        """Have them as of that moment or later."""
        with self.lock:
            if self.at >= since:
                return
            at, core = self.clock(), f"/api/v1/namespaces/{self.namespace}"
            # The Pods last: then each endpoint's Pod is among them.
            services = self.call("GET", f"{core}/services")["items"]
            slices = self.call("GET", f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices")["items"]
            pods = self.call("GET", f"{core}/{self.pods_path}")["items"]
            ends = {}
            for one in slices:
                name = (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
                found = {address for end in one.get("endpoints") or [] for address in end["addresses"]}
                ends.setdefault(name, set()).update(found)
            self.services = {
                ip: ends.get(one["metadata"]["name"], set())
                for one in services
                for ip in one["spec"].get("clusterIPs") or []
                if ip != "None"
            }
            own = {pod["status"]["podIP"] for pod in pods if has_own_address(pod)}
            self.pods = {ip: seen for ip, seen in self.pods.items() if at - seen < GONE} | dict.fromkeys(own, at)
            self.at = at

    def is_pod(self, address):
        return self.pods.get(address) == self.at


def has_own_address(pod):
    """Whether a Pod has an address of its own: not its node's, and not one that it gave back when it ended."""
    status = pod.get("status") or {}
    return (
        status.get("podIP")
        and status.get("phase") not in ("Succeeded", "Failed")
        and not pod["spec"].get("hostNetwork")
    )


class Rights:
    """What askers may ask. call: to the API server (in_cluster.call). home: the observer's own namespace."""

    def __init__(self, call, home, clock=time.monotonic, sleep=time.sleep):
        self.call, self.home, self.clock, self.sleep = call, home, clock, sleep
        self.tokens, self.allowed = Kept(clock, TOKEN_REVIEWED), Kept(clock, REVIEWED)
        self.books, self.lock = {}, threading.Lock()

    def asker(self, tokens, namespaces):
        """Who shows these tokens and asks about these namespaces.

        Raises Refused, and OSError where nothing can be reviewed.
        """
        if not all(isinstance(name, str) and LABEL.fullmatch(name) for name in namespaces):
            raise Refused("what is named is no namespace")
        users = [user for token in tokens[:TOKENS] if (user := self.user(token))]
        if any(self.of(user) == self.home for user in users):
            return Everybody(namespaces)
        shown = [name for name in namespaces[:NAMESPACES] if any(self.may_reach(user, name) for user in users)]
        if not shown:
            named = f"of namespace {', '.join(namespaces)}" if namespaces else "of a namespace"
            raise Refused(f"no token that was shown is good for Pods {named}")
        return Asker(self, shown)

    @staticmethod
    def of(user):
        """The namespace of a ServiceAccount."""
        return user["username"].removeprefix(ACCOUNT).partition(":")[0]

    def user(self, token):
        """The ServiceAccount that a token is for, as a TokenReview names it; None where the token is not good."""
        return self.tokens.get(hashlib.sha256(str(token).encode()).digest(), lambda: self.review(token))

    def review(self, token):
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
        asked["spec"] = {"token": token, "audiences": [AUDIENCE]}
        status = self.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", asked).get("status") or {}
        user = status.get("user") or {}
        # An API server that knows nothing of audiences names none.
        good = status.get("authenticated") and AUDIENCE in (status.get("audiences") or [])
        return user if good and user.get("username", "").startswith(ACCOUNT) else None

    def may_reach(self, user, namespace):
        if self.of(user) == namespace:
            return True
        return self.allowed.get((user["username"], namespace), lambda: self.review_right(user, namespace))

    def review_right(self, user, namespace):
        right = {"namespace": namespace, "verb": "create", "resource": "pods", "subresource": "portforward"}
        asked = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        asked["spec"] = {"user": user["username"], "groups": user.get("groups") or [], "resourceAttributes": right}
        answer = self.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", asked)
        return bool((answer.get("status") or {}).get("allowed"))

    def book(self, namespace, pods="pods"):
        """The addresses of a namespace; of the observer's own only what it shows to everybody, the wall."""
        with self.lock:
            known = self.books.get((namespace, pods))
            if known is None:
                while len(self.books) >= KEPT:
                    self.books.pop(next(iter(self.books)))
                known = self.books[namespace, pods] = Addresses(self.call, namespace, pods, self.clock)
        return known

    @property
    def wall(self):
        return self.book(self.home, "pods?labelSelector=app%3Dwall")


class Everybody:
    """An asker who may ask everything: the cluster's administrator."""

    def __init__(self, namespaces=()):
        self.namespaces, self.owner = None, next(iter(namespaces), "")

    def require(self, namespace):
        pass

    def resolver(self, resolve, age=LISTED):
        return resolve

    def require_names(self, names):
        pass


class Asker:
    """An asker who may reach the Pods of these namespaces."""

    def __init__(self, rights, namespaces):
        self.rights, self.namespaces = rights, tuple(namespaces)
        self.owner = self.namespaces[0]
        self.refused = 0  # addresses

    def require(self, namespace):
        """Raises Refused for another namespace."""
        if namespace not in self.namespaces:
            raise Refused(f"no token that was shown is good for Pods of namespace {namespace}")

    def require_names(self, names):
        """Raises Refused for names that are neither a Service's of these namespaces, nor every cluster's."""
        for name in names:
            if name.rstrip(".").removesuffix(".svc.cluster.local") not in PUBLIC:
                self.require_name(name)

    def require_name(self, host):
        """Raises Refused for a host that is neither an address nor a name in these namespaces."""
        labels = host.rstrip(".").lower().split(".")
        space = labels[-4] if len(labels) > 4 and labels[-3:] == ["svc", "cluster", "local"] else ""
        if space not in self.namespaces and not is_address(host):
            raise Refused(f"the name {host[:200]} is not of {self.described()}")

    def resolver(self, resolve, age=LISTED):
        """A `resolve` that gives only addresses of these namespaces, and raises Refused for others.

        age: how old the lists of addresses may be, in seconds. Raises NotReviewed where they cannot be had.
        """

        def guarded(host):
            wall = host.rstrip(".").lower() == f"wall.{self.rights.home}.svc.cluster.local"
            if not wall:
                self.require_name(host)
            found = resolve(host)
            for address in found:
                self.require_address(address, age, [self.rights.wall] if wall else self.books())
            return found

        return guarded

    def books(self):
        return [self.rights.book(name) for name in self.namespaces]

    def require_address(self, address, age, books):
        """Raises Refused for an address that is in none of the books. It may be new: then they are listed anew."""
        begin = self.rights.clock()
        try:
            why = self.why_not(address, begin - age, books)
            for pause in AGAIN:
                if why and self.refused < REFUSALS and self.rights.clock() < begin + PATIENCE:
                    self.rights.sleep(pause)
                    why = self.why_not(address, begin + pause, books)
        except (OSError, KeyError) as error:
            raise NotReviewed(f"the API server did not say whose {address} is: {error}") from None
        if why:
            self.refused += 1
            raise Refused(why)

    def why_not(self, address, since, books):
        """Why there is to be no connection to an address; empty where it is right. since: how new the lists must be."""
        for book in books:
            book.listed(since)
        if any(book.is_pod(address) for book in books):
            return ""
        pods = {ip for book in books for ip in book.pods}
        for book in books:
            if address in book.services:
                foreign = sorted(book.services[address] - pods)
                return f"a Service leads to {foreign[0]}, which is no Pod of {self.described()}" if foreign else ""
        return f"{address} is no Pod and no Service of {self.described()}"

    def described(self):
        return f"namespace {' or '.join(self.namespaces)}"


def is_address(host):
    try:
        IPv4Address(host)
        return True
    except ValueError:
        return False
