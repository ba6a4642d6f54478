// The Prometheus operator's kinds: its module carries their definitions as files.
module mtls-medic/tests/real/tools/monitoring

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
