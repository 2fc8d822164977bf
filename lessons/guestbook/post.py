"""Send a POST request to a web server, and print the answer.

python3 post.py http://127.0.0.1:8081/entries "Ada was here"    with a text
python3 post.py http://127.0.0.1:8080/sick                      without a text
"""

import sys
from urllib.request import urlopen

url, *words = sys.argv[1:]
with urlopen(url, data=" ".join(words).encode(), timeout=3) as answer:
    print(answer.read().decode().strip())
