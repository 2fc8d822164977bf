for team in blue green; do
  kubectl create namespace "$NAMESPACE-$team"
  kubectl apply -n "$NAMESPACE-$team" -f $team.yaml
done
. ./limits.sh
for team in blue green; do
  kubectl rollout status deployment guestbook -n "$NAMESPACE-$team" --timeout=60s
done
kubectl rollout status deployment report --timeout=60s
kubectl rollout status deployment busy --timeout=60s
