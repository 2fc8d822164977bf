# The failover: a budget, a drain, a worker that is stopped and started again, and opened.
: "${SEED:?the lab was not started here}"
live="$NAMESPACE-live"
kubectl rollout status deployment guestbook -n "$live" --timeout=120s
sleep 3  # until every node sends requests to those Pods
kubectl create poddisruptionbudget guestbook -n "$live" --selector=app=guestbook --min-available=1
node=$(kubectl get pods -n "$live" -l app=guestbook -o jsonpath='{.items[0].spec.nodeName}')
kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --force --timeout=120s
$ENGINE stop -t 3 "$node"
# The capstone, while the control plane waits for the node: as the seed says that it should be (with what was broken put right).
"$PYTHON" ../setup.py "$SEED" | kubectl apply -f -
# A ReplicaSet that was refused by a quota tries again later and later; a new one tries at once.
kubectl rollout restart deployment guestbook
kubectl wait node "$node" --for=condition=Ready=Unknown --timeout=120s
$ENGINE start "$node"
kubectl wait node "$node" --for=condition=Ready --timeout=120s
kubectl uncordon "$node"
kubectl rollout status deployment guestbook --timeout=120s
