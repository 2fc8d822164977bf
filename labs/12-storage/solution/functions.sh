# Steps that the solution and the cases of this lab share.

write() {  # write an entry into the guestbook, as soon as it can be written
  kubectl rollout status deployment guestbook --timeout=90s
  kubectl exec deployment/guestbook -- python3 -c '
import sys, time
from urllib.request import urlopen
for attempt in range(40):
    try:
        sys.exit(urlopen("http://localhost:8080/entries", sys.argv[1].encode(), timeout=5).read().decode() != "Written.\n")
    except OSError:
        time.sleep(0.5)
sys.exit("the entry could not be written")' "$1"
}

renew() {  # delete Redis' Pod, and wait for the next one
  kubectl delete pod -l app=redis --timeout=90s
  timeout 60 sh -c 'until kubectl get pods -l app=redis -o name | grep -q .; do sleep 0.3; done'
  kubectl wait pod -l app=redis --for=condition=Ready --timeout=90s
}

survive() {  # an entry that outlives Redis' Pod, with the claim and the Deployment of the solution; "$@": more to apply
  kubectl apply -f ../solution/claim.yaml -f ../solution/redis.yaml "$@"
  kubectl rollout status deployment redis --timeout=90s
  write "I was here"
  timeout 30 sh -c 'until kubectl exec deployment/redis -- redis-cli INFO persistence | grep -q changes_since_last_save:0; do sleep 0.3; done'
  renew
}

backup() {  # the Pod backup; $1: its claim
  sed "s/claimName: .*}/claimName: $1}/" ../solution/backup.yaml | kubectl apply -f -
}
