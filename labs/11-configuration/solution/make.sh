kubectl apply -f configuration.yaml -f guestbook.yaml -f kiosk.yaml
kubectl rollout status deployment guestbook --timeout=90s
sleep 7
kubectl patch configmap greeting --patch '{"data": {"greeting": "Good evening!"}}'
for look in $(seq 60); do
  kubectl annotate pods -l app=guestbook --overwrite "looked-after=$look" > /dev/null || true  # an old Pod may just be deleted
  kubectl exec deployment/guestbook -- python3 ask.py http://localhost:8080/ | grep -q 'Good evening!' && break
  sleep 1
done
kubectl rollout restart deployment kiosk
kubectl rollout status deployment kiosk --timeout=90s
