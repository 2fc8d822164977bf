kubectl rollout status deployment guestbook --timeout=90s
sleep 2
kubectl set image deployment guestbook guestbook=guestbook:v2
kubectl rollout status deployment guestbook --timeout=90s
sleep 1
kubectl set image deployment guestbook guestbook=guestbook:v3
kubectl rollout status deployment guestbook --timeout=5s || true
kubectl rollout undo deployment guestbook
kubectl rollout status deployment guestbook --timeout=90s
