# The whole lab, as it would be typed. COMPOSE may name another compose file.
export PROJECT=my-guestbook$SUFFIX
compose="docker compose -f ${COMPOSE:-../solution/compose.yaml}"
docker build -q -t my-guestbook$SUFFIX:v1 -f ../solution/Dockerfile "$GUESTBOOK"
docker run -d --name my-guestbook$SUFFIX -p 127.0.0.1::8080 my-guestbook$SUFFIX:v1
$compose up -d
$compose exec -T guestbook python3 -c '
import time, urllib.request
for attempt in range(50):
    try:
        urllib.request.urlopen("http://127.0.0.1:8080/entries", data=b"I was here").close()
        break
    except OSError:
        time.sleep(0.2)
'
sleep 3
$compose down
$compose up -d
