kubectl set resources deployment report --limits=memory=96Mi
kubectl set resources deployment busy --limits=cpu=200m
