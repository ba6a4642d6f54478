# Faults of the proxies of one shop, for tests/real/break and tests/real/restore; named as their captures in tests/data/envoy.
# They happen to running proxies: files are moved into folders that Envoy watches. All are of `orders`, except that in
# client-san-rejected it is backend that refuses orders.
# shellcheck shell=bash

# is_fault_of_proxies NAME
is_fault_of_proxies() {
  case ${1%-tls12} in
    client-cert-expired | client-cert-not-yet-valid | client-cert-unknown-ca) ;;
    client-san-rejected | server-cert-unknown-ca | san-mismatch | plaintext-to-mtls) ;;
    connection-refused | accept-then-close) ;;
    *) return 1 ;;
  esac
}

# break_proxies NAME NAMESPACE
break_proxies() {
  only_a_shop "$2"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  [[ $1 != *-tls12 ]] || change orders clusters.yaml 's/TLSv1_3/TLSv1_2/'
  case ${1%-tls12} in
    client-cert-expired)
      spires_authority
      give_svid '-2 hours' '-1 hour'
      ;;
    client-cert-not-yet-valid)
      spires_authority
      give_svid '1 hour' '2 hours'
      ;;
    client-cert-unknown-ca)
      another_authority
      give_svid '-1 minute' '1 hour'
      ;;
    server-cert-unknown-ca)
      another_authority
      give_file bundle/bundle.crt "$work/authority.crt"
      ;;
    client-san-rejected) change backend listeners.yaml "s|prefix: \"spiffe://[^\"]*|&sa/frontend|" ;;
    san-mismatch) change orders clusters.yaml 's|sa/backend|sa/ledger|' ;;
    plaintext-to-mtls) change orders clusters.yaml '/^  transport_socket:/,$d' ;;
    connection-refused) give_addresses 's/port_value: 8443/port_value: 8445/' ;;
    accept-then-close) give_addresses 's/port_value: 8443/port_value: 8444/' ;;
  esac
}

# restore_proxies NAMESPACE: backend gets its file back, and orders new pods, which know nothing of the fault. Nor do the
# counters of backend, which would tell of it until its end.
restore_proxies() {
  local pod
  only_a_shop "$1"
  in_pods backend istio-proxy 'if [ -e /tmp/whole.yaml ]; then mv /tmp/whole.yaml /tmp/listeners.yaml; fi'
  kubectl delete pods -n "$namespace" -l app=orders >/dev/null
  kubectl rollout status -n "$namespace" deployment/orders --timeout 60s >/dev/null
  for pod in $(kubectl get pods -n "$namespace" -l app=orders -o name); do
    # Longer than other requests: the machine may be busy with a build.
    grep -m 1 -q '" 200 ' < <(kubectl logs --request-timeout=120s -n "$namespace" "$pod" -c istio-proxy --follow) || {
      echo "FAILED  $pod gets no answer" >&2
      exit 1
    }
  done
  in_pods backend istio-proxy 'curl --silent --fail --output /dev/null --request POST "http://$POD_IP:15000/reset_counters"'
}

only_a_shop() { # only_a_shop NAMESPACE
  namespace=$1
  kubectl get -n "$namespace" deployment/backend deployment/orders >/dev/null || {
    echo "FAILED  there is no shop of tests/real/shop in ${namespace:-no namespace}" >&2
    exit 3
  }
}

# in_pods SERVICE CONTAINER COMMAND [INPUT-FILE]: by a shell in each pod
in_pods() {
  local pod
  for pod in $(kubectl get pods -n "$namespace" -l "app=$1" -o name); do
    kubectl exec -i -n "$namespace" "$pod" -c "$2" -- sh -c "$3" <"${4:-/dev/null}"
  done
}

# change SERVICE FILE SED-SCRIPT: of what its Envoy watches
change() {
  in_pods "$1" istio-proxy "cp /tmp/$2 /tmp/whole.yaml && sed '$3' /tmp/whole.yaml >/tmp/new.yaml && mv /tmp/new.yaml /tmp/$2"
}

# give_addresses SED-SCRIPT: where orders is told that backend is
give_addresses() {
  in_pods orders addresses "touch /tmp/still && sed '$1' /run/addresses/backend.yaml >/run/addresses/new.yaml &&
    mv /run/addresses/new.yaml /run/addresses/backend.yaml"
}

# give_file PATH FILE: at /run/spire/PATH of orders. A file that is moved there is seen by Envoy, which takes all of them
# again.
give_file() {
  in_pods orders svid-files "touch /tmp/still && cat >/run/spire/$1.new && mv /run/spire/$1.new /run/spire/$1" "$2"
}

# give_svid FROM UNTIL: to orders, signed by $work/authority
give_svid() {
  make_svid "$@"
  # The key is overwritten in place, so that Envoy sees it together with its certificate and not before.
  in_pods orders svid-files 'touch /tmp/still && cat >/run/spire/svid/svid.key' "$work/svid.key"
  give_file svid/svid.crt "$work/svid.crt"
}

# An authority as good as SPIRE's, which nobody trusts.
another_authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/C=US/O=SPIFFE/CN=another authority" \
    -addext "subjectAltName = URI:spiffe://bed.test" -addext "keyUsage = critical, keyCertSign, cRLSign" \
    -keyout "$work/authority.key" -out "$work/authority.crt" 2>/dev/null
}

# SPIRE's own: of its keys, the one that belongs to a certificate that it publishes. SPIRE itself signs nothing that is not
# good now.
spires_authority() {
  local key root bundle
  bundle=$(kubectl get configmap -n spire spire-bundle -o 'jsonpath={.data.bundle\.crt}')
  awk -v "to=$work/root" '/BEGIN CERTIFICATE/ {n++} {print >to n}' <<<"$bundle"
  kubectl exec -n spire spire-server-0 -- cat /run/spire/data/keys.json | grep -o '"x509-CA-[AB]": "[^"]*"' | cut -d '"' -f 4 >"$work/keys"
  while read -r key; do
    base64 -d <<<"$key" | openssl pkey -inform DER -out "$work/authority.key"
    for root in "$work"/root*; do
      if openssl x509 -in "$root" -noout -checkend 0 >/dev/null &&
        [ "$(openssl x509 -in "$root" -noout -pubkey)" = "$(openssl pkey -in "$work/authority.key" -pubout)" ]; then
        cp "$root" "$work/authority.crt"
        return
      fi
    done
  done <"$work/keys"
  echo "FAILED  no key of the SPIRE server belongs to its bundle" >&2
  exit 1
}

# make_svid FROM UNTIL: of orders, as $work/svid.crt and $work/svid.key
make_svid() {
  local time=+%Y%m%d%H%M%SZ
  cat >"$work/authority.conf" <<CONF
[ca]
default_ca = authority
[authority]
new_certs_dir = $work
database = $work/issued
rand_serial = yes
default_md = sha256
policy = anybody
[anybody]
countryName = optional
organizationName = optional
[svid]
keyUsage = critical, digitalSignature, keyEncipherment, keyAgreement
extendedKeyUsage = serverAuth, clientAuth
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = URI:spiffe://bed.test/ns/$namespace/sa/orders
CONF
  touch "$work/issued"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/C=US/O=SPIRE" \
    -keyout "$work/svid.key" -out "$work/svid.csr" 2>/dev/null
  openssl ca -batch -notext -config "$work/authority.conf" -extensions svid -cert "$work/authority.crt" \
    -keyfile "$work/authority.key" -startdate "$(date -u -d "$1" "$time")" -enddate "$(date -u -d "$2" "$time")" \
    -in "$work/svid.csr" -out "$work/svid.crt" 2>"$work/said" || { cat "$work/said" >&2 && exit 1; }
}
