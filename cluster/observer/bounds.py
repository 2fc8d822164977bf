"""How much one learner may have of the observer, so that nobody waits for another. Python's standard library alone.

Each namespace has a lane: threads for the requests of its questions, and a queue before them. Questions wait only for
other questions of the same namespace. Streams are counted by namespace and in all.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

THREADS = 16  # requests of one namespace's questions at a time
BATCHES = 4  # sets of questions of one namespace that are worked on at a time
WAITING = 16  # sets that may wait for that, in a namespace
TURN = 5.0  # seconds that a set waits at most
STREAMS_EACH = 4  # streams of one namespace; a lab has one or two
STREAMS = 60  # streams in all: two a learner in a class of thirty
QUIET = 60.0  # seconds after which a stream that nobody asked for makes room for another of its namespace
BODY = 1 << 20  # bytes of one set of questions
QUESTIONS = 100  # in one set
REQUESTS = 2000  # of one set: its requests, connections and names; a lab's are twenty for each Pod
# Requests of a namespace that go out at once, and seconds between two after that. Python runs one thread at a time: a
# namespace whose requests fail at once would keep all others from their turn.
BURST, PACE = 400, 0.005


class TooMuch(Exception):
    """More was asked than one asker may ask, with the reason."""


class _Threads(ThreadPoolExecutor):
    """Threads for requests, of which BURST go out at once, and then one every PACE seconds."""

    def __init__(self, clock=time.monotonic, sleep=time.sleep):
        super().__init__(THREADS)
        self.clock, self.sleep, self.pacing = clock, sleep, threading.Lock()
        self.next = float("-inf")  # when the next request would go out, had there been no burst

    def submit(self, work, *arguments):
        return super().submit(self.paced, work, *arguments)

    def paced(self, work, *arguments):
        with self.pacing:
            now = self.clock()
            self.next = max(self.next, now - BURST * PACE) + PACE
            pause = self.next - now
        if pause > 0:
            self.sleep(pause)
        return work(*arguments)


class _Lane:
    def __init__(self):
        self.threads = _Threads()
        self.turn = threading.Semaphore(BATCHES)
        self.users = 0


class Lanes:
    """A lane for each namespace that asks at the moment."""

    def __init__(self, turn=TURN):
        self.turn, self.lock, self.lanes = turn, threading.Lock(), {}

    @contextmanager
    def lane(self, owner):
        """The threads for a set of questions of this namespace. Raises TooMuch where too many sets wait."""
        with self.lock:
            lane = self.lanes.get(owner) or self.lanes.setdefault(owner, _Lane())
            if lane.users >= BATCHES + WAITING:
                raise TooMuch(f"{lane.users} sets of questions of namespace {owner} are waiting already")
            lane.users += 1
        try:
            if not lane.turn.acquire(timeout=self.turn):
                raise TooMuch(f"other questions of namespace {owner} have taken {self.turn:.0f} s")
            try:
                yield lane.threads
            finally:
                lane.turn.release()
        finally:
            with self.lock:
                lane.users -= 1
                if not lane.users:
                    self.lanes.pop(owner)
                    lane.threads.shutdown(wait=False)


class Streams:
    """The streams that run, by namespace and URL.

    A stream has `asked`, the time when it was last asked for, and `ended`, an Event.
    """

    def __init__(self, begin, clock=time.time):
        self.begin, self.clock, self.lock, self.streams = begin, clock, threading.Lock(), {}

    def get(self, namespace, url, *details):
        """The stream of a namespace to a URL. It begins where there is none; too many raise TooMuch."""
        with self.lock:
            for key in [key for key, stream in self.streams.items() if stream.ended.is_set()]:
                del self.streams[key]
            stream = self.streams.get((namespace, url))
            if stream is None:
                self.make_room(namespace)
                stream = self.streams[namespace, url] = self.begin(url, namespace, *details)
            stream.asked = self.clock()
            return stream

    def make_room(self, namespace):
        """End a stream where there are too many: a quiet one of the namespace, or one of the namespace with most."""
        if len(self.of(namespace)) >= STREAMS_EACH:
            oldest = self.of(namespace)[0]
            if self.clock() - self.streams[oldest].asked < QUIET:
                raise TooMuch(f"namespace {namespace} has {STREAMS_EACH} streams of requests already")
            self.end(oldest)
        if len(self.streams) >= STREAMS:
            most = max((self.of(other) for other, _ in self.streams), key=len)
            if len(most) <= len(self.of(namespace)) + 1:
                raise TooMuch(f"the observer has {STREAMS} streams of requests already")
            self.end(most[0])

    def of(self, namespace):
        """The keys of a namespace's streams, the one that was not asked for longest first."""
        return sorted((key for key in self.streams if key[0] == namespace), key=lambda key: self.streams[key].asked)

    def end(self, key):
        self.streams.pop(key).ended.set()

    def forget(self, namespace):
        """End a namespace's streams. Returns how many there were."""
        with self.lock:
            gone = self.of(namespace)
            for key in gone:
                self.end(key)
        return len(gone)


def require_few(questions):
    """Raises TooMuch for questions that ask too much at once, and ValueError for what is no set of questions."""
    if not isinstance(questions, dict) or not all(isinstance(one, dict) for one in questions.values()):
        raise ValueError("not a set of questions")
    if len(questions) > QUESTIONS:
        raise TooMuch(f"{len(questions)} questions were asked at once, and at most {QUESTIONS} can be")
    many = sum(requests_of(question) for question in questions.values())
    if many > REQUESTS:
        raise TooMuch(f"{many} requests were asked for at once, and at most {REQUESTS} can be")


def requests_of(question):
    """How many requests, connections or names a question is about."""
    return max(int(question.get("times", 1)), *(len(question.get(key, ())) for key in ("urls", "to", "names")))
