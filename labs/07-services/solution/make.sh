kubectl apply -f services.yaml -f news.yaml
kubectl scale deployment guestbook --replicas=3
