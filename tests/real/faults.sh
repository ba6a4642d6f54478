# What tests/real/break and tests/real/restore share.
# shellcheck shell=bash

kubectl() { "$(realpath -m "${REAL_PARTS:-target/real}")/bin/kubectl" --request-timeout=20s "$@"; }

# A cluster on this machine that tests/real/bed has marked.
only_the_test_bed() {
  local server
  server=$(kubectl config view --minify -o 'jsonpath={.clusters[0].cluster.server}')
  if ! [[ $server =~ ^https://127\. ]] || ! kubectl get configmap -n kube-system mtls-medic-test-bed >/dev/null 2>&1; then
    echo "FAILED  ${server:-no cluster} is no test bed of tests/real/bed: it is left alone" >&2
    exit 3
  fi
}

# signal_agents SIGNAL: to the SPIRE agent of every node, which share no process with anything else of the machine.
signal_agents() {
  local pod
  for pod in $(kubectl get pods -n spire -l app=spire-agent -o name); do
    kubectl exec -n spire "$pod" -c spire-agent -- sh -c \
      "kill -$1 \$(ps ax | awk '\$5 == \"/opt/spire/bin/spire-agent\" && \$6 == \"run\" {print \$1}')"
  done
}

# keep_agents_off NODE: its agent is taken away, and none is made there again.
keep_agents_off() {
  kubectl taint node "$1" test-bed/no-agent=:NoSchedule >/dev/null
  kubectl delete pod -n spire -l app=spire-agent --field-selector "spec.nodeName=$1" >/dev/null
}

let_agents_back() { # let_agents_back NODE
  kubectl taint node "$1" test-bed/no-agent- >/dev/null
  kubectl wait -n spire daemonset/spire-agent --timeout 60s \
    --for "jsonpath={.status.desiredNumberScheduled}=$(kubectl get nodes -o name | wc -l)" >/dev/null
}
