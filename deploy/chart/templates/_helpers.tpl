{{- define "mtls-medic.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "mtls-medic.selector" -}}
app.kubernetes.io/name: mtls-medic
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mtls-medic.labels" -}}
{{ include "mtls-medic.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "mtls-medic.account" -}}
{{ .Values.serviceAccount.name | default (include "mtls-medic.name" .) }}
{{- end }}

{{- define "mtls-medic.spire" -}}
{{ dig "mesh" "spire_namespace" "spire-system" .Values.config }}
{{- end }}

{{/* The agents' labels, each as key=value: the admission policy compares them one by one. The bot refuses the same selectors
with the same sentence (src/config/mesh.rs); tests/deploy/agent-selectors holds both together. */}}
{{- define "mtls-medic.agentLabels" -}}
{{- $given := dig "agent_selector" nil (.Values.config.mesh | default dict) -}}
{{- $labels := list -}}
{{- range $part := splitList "," (kindIs "string" $given | ternary $given "app=spire-agent") -}}
{{- $part = trim $part -}}
{{- if not (regexMatch "^([a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?=([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$" $part) -}}
{{- fail (printf "mesh.agent_selector: \"%s\" is no label of the agents as key=value: write one or more of them, with commas between them" $part) -}}
{{- end -}}
{{- $labels = append $labels $part -}}
{{- end -}}
{{ $labels | toJson }}
{{- end }}

{{- define "mtls-medic.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The duties of files/rights.yaml as lists of names: what the diagnostics look at, what fixes do, and which are left out (of
fixes only where fixes may run at all). */}}
{{- define "mtls-medic.duties" -}}
{{- $looks := list -}}
{{- $fixes := list -}}
{{- $off := list -}}
{{- range $value, $duties := dict
      "targets" (list "targets") "spire" (list "spire") "logs" (list "logs") "portForward" (list "port-forward")
      "exec" (list "exec") "bundles" (list "bundles") "mountedBundles" (list "mounted-bundles")
      "istio" (list "istio") -}}
{{- if index $.Values.rights $value }}{{ $looks = concat $looks $duties }}{{ else }}{{ $off = concat $off $duties }}{{ end -}}
{{- end -}}
{{- range $value, $duties := dict
      "restartPod" (list "plan-restart-pod" "restart-pod")
      "restartSpireAgent" (list "plan-restart-spire-agent" "restart-spire-agent") -}}
{{- if index $.Values.rights $value }}{{ $fixes = concat $fixes $duties }}{{ else if $.Values.config.writes }}{{ $off = concat $off $duties }}{{ end -}}
{{- end -}}
{{ dict "looks" (sortAlpha $looks) "fixes" (sortAlpha $fixes) "off" (sortAlpha $off) | toYaml }}
{{- end }}

{{/* The whole configuration file: what was given, and what the chart knows better. */}}
{{- define "mtls-medic.config" -}}
{{- $_ := include "mtls-medic.agentLabels" . -}}
{{- $off := (include "mtls-medic.duties" . | fromYaml).off -}}
{{- $kubernetes := dict "namespaces" .Values.namespaces "without" $off -}}
{{- $own := dict "listen" (printf "0.0.0.0:%v" .Values.service.port) "journal" "/var/lib/mtls-medic/journal.sqlite" -}}
{{- $own := set $own "kubernetes" (merge $kubernetes (.Values.config.kubernetes | default dict)) -}}
{{- mergeOverwrite (deepCopy .Values.config) $own | toYaml -}}
{{- end }}
