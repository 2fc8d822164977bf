sed "s/VISITORS/$NAMESPACE-visitors/" policies.yaml | kubectl apply -f -
kubectl wait deployments --all --for=condition=Available --timeout=80s
kubectl wait deployments --all -n "$NAMESPACE-visitors" --for=condition=Available --timeout=80s
