kubectl apply -f guestbook.yaml -f redis.yaml -f archive.yaml
. ../solution/provoke.sh
provoke
kubectl rollout status deployment archive --timeout=90s
