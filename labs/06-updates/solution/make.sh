kubectl rollout status deployment guestbook --timeout=120s
sleep 2
kubectl apply -f guestbook.yaml
kubectl rollout status deployment guestbook --timeout=120s
sleep 1
kubectl set image deployment guestbook guestbook=guestbook:v3
until (kubectl logs -l app=guestbook --tail=-1 || true) 2>/dev/null | grep "v3 listens" > /dev/null; do sleep 1; done
kubectl rollout status deployment guestbook --timeout=8s || true
kubectl label deployment guestbook seen-v2=3 seen-v3=3
kubectl rollout undo deployment guestbook
kubectl rollout status deployment guestbook --timeout=120s
