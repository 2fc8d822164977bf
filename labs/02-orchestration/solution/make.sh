kubectl apply -f heavy.yaml
for node in $(kubectl get nodes -l '!node-role.kubernetes.io/control-plane' -o jsonpath='{.items[*].metadata.name}'); do
  kubectl run "on-$node" --image=guestbook:v1 --overrides='{"spec": {"nodeSelector": {"kubernetes.io/hostname": "'"$node"'"}}}'
done
workers=$(kubectl get nodes -l '!node-role.kubernetes.io/control-plane' --no-headers | wc -l)
nodes=$(kubectl get nodes --no-headers | wc -l)
cpu="$(kubectl get nodes -l '!node-role.kubernetes.io/control-plane' -o jsonpath='{.items[0].status.allocatable.cpu}')"
kubectl run survey --image=guestbook:v1 --labels="nodes=$nodes,workers=$workers,cpu=$cpu"
