kubectl apply -f services.yaml
kubectl set env deployment guestbook REDIS_HOST=redis
kubectl create deployment archive --image=guestbook:v1
kubectl set env deployment archive "REDIS_HOST=redis.$NAMESPACE-data"
kubectl rollout status deployment guestbook --timeout=60s
kubectl rollout status deployment archive --timeout=60s
