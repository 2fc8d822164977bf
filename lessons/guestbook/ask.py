"""Send HTTP requests to a web server, and print each different answer on a line of its own.

python3 ask.py http://demo/hostname               one request
python3 ask.py http://demo/hostname --times 30    thirty requests, each over a new connection
python3 ask.py http://demo/hostname --wait 10     repeat the first request until it is answered, for at most ten seconds
"""

import argparse
import sys
import time
from collections import Counter
from urllib.error import HTTPError
from urllib.request import urlopen


def ask(url):
    """Send one request. Returns the answer's text, or why no answer came; and whether it was a good answer."""
    try:
        with urlopen(url, timeout=3) as answer:
            return answer.read().decode().strip(), True
    except HTTPError as error:
        return f"status {error.code}: {error.read().decode().strip()}", False
    except OSError as error:
        return f"no answer: {getattr(error, 'reason', error)}", False


def main():
    parser = argparse.ArgumentParser(description="Ask a web server.")
    parser.add_argument("url")
    parser.add_argument("--times", type=int, default=1, help="how many requests")
    parser.add_argument("--wait", type=float, default=0, help="seconds to wait for a first good answer")
    wanted = parser.parse_args()
    end = time.monotonic() + wanted.wait
    while not ask(wanted.url)[1] and time.monotonic() < end:
        time.sleep(0.2)
    answers = [ask(wanted.url) for _ in range(wanted.times)]
    for text, count in sorted(Counter(text for text, _ in answers).items()):
        print(f"{count} × {text}" if wanted.times > 1 else text)
    sys.exit(0 if any(good for _, good in answers) else 1)


if __name__ == "__main__":
    main()
