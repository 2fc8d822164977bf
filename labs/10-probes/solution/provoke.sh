# What a learner does when the probes are in place: make one Pod sick and another busy, and let Redis hang.
pods() {  # names of the Pods of an app that are there to stay
  kubectl get pods -l "app=$1" -o go-template='{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}'
}
post() {
  kubectl exec "$1" -- python3 -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/$2', data=b'')"
}
restarted() {
  for _ in $(seq 90); do
    [ "$(kubectl get pod "$1" -o jsonpath='{.status.containerStatuses[0].restartCount}')" -ge 1 ] && return
    sleep 1
  done
  return 1
}
looping() {  # some Pod of an app has been restarted twice
  for _ in $(seq 90); do
    kubectl get pods -l "app=$1" -o jsonpath='{.items[*].status.containerStatuses[0].restartCount}' | grep -q '[2-9]' && return
    sleep 1
  done
  return 1
}
hang() {
  kubectl exec "$1" -- redis-cli client pause 60000 ALL
}
settled() {
  kubectl rollout status deployment guestbook --timeout=90s
  kubectl rollout status deployment redis --timeout=90s
}
provoke() {
  settled
  set -- $(pods guestbook)
  post "$1" busy
  post "$2" sick
  kubectl wait pod "$1" --for=condition=Ready=false --timeout=90s
  restarted "$2"
  sleep 10
  post "$1" free
  kubectl wait pod "$1" --for=condition=Ready --timeout=90s
  set -- $(pods redis)
  hang "$1"
  restarted "$1"
  settled
}
