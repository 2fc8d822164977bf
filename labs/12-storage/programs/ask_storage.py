"""Asking about stored data, inside a learner's Pod that has python3.

`python3 -c THIS QUESTIONS` prints the answers, both as JSON. Only standard library, as in cluster/observer/asking.py.
Nothing is written. A question is one of
  {"do": "redis", "at": "host:port", "key": …}  -> what a Redis says of itself and of a list (see ask_redis),
                                                   or {"error": why}
  {"do": "app", "url": …}                       -> {"status", "text"}; the status is 0 where there was no answer
  {"do": "folder", "path": …}                   -> {"files": {name below it: first characters}, "writable"},
                                                   or {"error": why}
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from checker.collect.programs.redis import Redis

Question = dict[str, Any]

TIMEOUT = 2.0  # seconds for one connection or request
ITEMS, FILES = 50, 100  # at most so many of a list, and of a folder's files
# By these a list can come about at once, or the counters are set back: then counting what was written says nothing.
UNCOUNTABLE = (
    "copy",
    "restore",
    "restore-asking",
    "rename",
    "renamenx",
    "move",
    "sort",
    "lmove",
    "blmove",
    "rpoplpush",
    "brpoplpush",
    "replicaof",
    "slaveof",
    "debug",
    "config|resetstat",
)
ADDING = ("rpush", "lpush", "rpushx", "lpushx", "linsert")


def ask_redis(question: Question) -> dict[str, Any]:
    """{"items", "length", "written", "countable", "loaded", "uptime", "dir", "save", "appendonly", "saving"}.

    written: how many commands added items to lists since this process began, mostly one each; countable: whether items
    cannot have come otherwise. loaded: how many keys it found in its RDB file when it began; -1 where it does not say
    (before Redis 7).
    """
    host, _, port = question["at"].rpartition(":")
    redis = Redis(host, int(port))
    calls = redis.calls()
    saving = redis.info("persistence")
    return {
        "items": redis.ask("LRANGE", question["key"], "0", str(ITEMS - 1)),
        "length": int(redis.ask("LLEN", question["key"])),
        "written": sum(calls.get(name, 0) for name in ADDING),
        "countable": not any(calls.get(name) for name in UNCOUNTABLE),
        "loaded": int(saving.get("rdb_last_load_keys_loaded", -1)),
        "uptime": int(redis.info("server")["uptime_in_seconds"]),
        **redis.settings("dir", "save", "appendonly"),
        "saving": "failed"
        if "err" in (saving.get("rdb_last_bgsave_status"), saving.get("aof_last_write_status"))
        else "ok",
    }


def ask_app(question: Question) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(question["url"], timeout=TIMEOUT) as answer:
            return {"status": answer.status, "text": answer.read().decode(errors="replace").strip()}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "text": error.read().decode(errors="replace").strip()}
    except OSError as error:
        return {"status": 0, "text": str(error)}


def ask_folder(question: Question) -> dict[str, Any]:
    top = Path(question["path"])
    if not top.is_dir():
        return {"error": "there is no such folder"}
    found: dict[str, str] = {}
    for path in sorted(path for path in top.rglob("*") if path.is_file())[:FILES]:
        try:
            with path.open("rb") as file:
                found[str(path.relative_to(top))] = file.read(9).decode(errors="replace")
        except OSError as error:
            found[str(path.relative_to(top))] = f"({error.strerror})"
    return {"files": found, "writable": not os.statvfs(top).f_flag & os.ST_RDONLY}


ASK = {"redis": ask_redis, "app": ask_app, "folder": ask_folder}


def ask(question: Question) -> dict[str, Any]:
    try:
        return ASK[question["do"]](question)
    except (OSError, ValueError, KeyError, IndexError) as error:
        return {"error": str(error) or type(error).__name__}


if __name__ == "__main__":
    print(json.dumps({key: ask(question) for key, question in json.loads(sys.argv[1]).items()}))
