# It ends when the autoscaler has added a replica: the check after it waits ten seconds only.
kubectl set resources deployment guestbook --requests=cpu=50m
kubectl rollout status deployment guestbook --timeout=60s
kubectl apply -f .
kubectl scale deployment visitors --replicas=1
kubectl wait --for=jsonpath='{.status.conditions[?(@.type=="ScalingActive")].status}'=True hpa guestbook --timeout=100s
until [ "$(kubectl get deployment guestbook -o jsonpath='{.spec.replicas}')" -gt 2 ]; do sleep 1; done
