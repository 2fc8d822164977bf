kubectl rollout status deployment archive --timeout=150s
kubectl rollout status deployment guestbook --timeout=150s
kubectl apply -f import.yaml -f backup.yaml -f report.yaml
kubectl create job report-tried-out --from=cronjob/report
kubectl wait job import report-tried-out --for=condition=Complete --timeout=150s
# The CronJob's own time: the next full minute.
kubectl wait cronjob backup --for=jsonpath='{.status.lastSuccessfulTime}' --timeout=150s
