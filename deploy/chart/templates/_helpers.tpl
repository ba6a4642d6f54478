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

{{- define "mtls-medic.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The duties of files/rights.yaml that are granted, and the diagnostics that are not, as lists of names. */}}
{{- define "mtls-medic.duties" -}}
{{- $on := list -}}
{{- $off := list -}}
{{- range $value, $duties := dict
      "targets" (list "targets") "spire" (list "spire") "logs" (list "logs") "portForward" (list "port-forward")
      "exec" (list "exec") "bundles" (list "bundles") "mountedBundles" (list "mounted-bundles")
      "restartPod" (list "plan-restart-pod" "restart-pod") -}}
{{- if index $.Values.rights $value }}{{ $on = concat $on $duties }}{{ else if ne $value "restartPod" }}{{ $off = concat $off $duties }}{{ end -}}
{{- end -}}
{{ dict "on" (sortAlpha $on) "off" (sortAlpha $off) | toYaml }}
{{- end }}

{{/* The whole configuration file: what was given, and what the chart knows better. */}}
{{- define "mtls-medic.config" -}}
{{- $off := (include "mtls-medic.duties" . | fromYaml).off -}}
{{- $kubernetes := dict "namespaces" .Values.namespaces "without" $off -}}
{{- $own := dict "listen" (printf "0.0.0.0:%v" .Values.service.port) "journal" "/var/lib/mtls-medic/journal.sqlite" -}}
{{- $own := set $own "kubernetes" (merge $kubernetes (.Values.config.kubernetes | default dict)) -}}
{{- mergeOverwrite (deepCopy .Values.config) $own | toYaml -}}
{{- end }}
