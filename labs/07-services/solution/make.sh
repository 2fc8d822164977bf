kubectl apply -f services.yaml
kubectl scale deployment guestbook --replicas=3
