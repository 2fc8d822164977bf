kubectl apply -f guestbook.yaml
kubectl rollout status deployment guestbook --timeout=120s
# Lose one Pod, and wait until there are three again.
kubectl delete "$(kubectl get pods -l app=guestbook -o name | head -1)" --wait=false
kubectl wait --for=jsonpath='{.status.readyReplicas}'=2 deployment guestbook --timeout=60s
kubectl wait --for=jsonpath='{.status.readyReplicas}'=3 deployment guestbook --timeout=120s
kubectl scale deployment guestbook --replicas=5
kubectl rollout status deployment guestbook --timeout=120s
