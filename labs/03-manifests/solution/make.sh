sed 's/guestbook:v2/guestbook:v1/' guestbook.yaml > "$WORK/guestbook.yaml"
kubectl apply -f "$WORK/guestbook.yaml"
kubectl rollout status deployment guestbook --timeout=90s
cp guestbook.yaml "$WORK/guestbook.yaml"
kubectl apply -f "$WORK/guestbook.yaml"
kubectl rollout status deployment guestbook --timeout=90s
