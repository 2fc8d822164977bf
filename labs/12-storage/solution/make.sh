. ./functions.sh
survive -f backup.yaml
kubectl wait pod backup --for=condition=Ready --timeout=60s
