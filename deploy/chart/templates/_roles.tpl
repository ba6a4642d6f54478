{{/* One role and its binding for a duty, in one namespace; or as a ClusterRole where no namespace is given. */}}
{{- define "mtls-medic.role" -}}
{{- $kind := ternary "Role" "ClusterRole" (ne .namespace "") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ include "mtls-medic.name" .root }}-{{ .duty }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "mtls-medic.labels" .root | nindent 4 }}
rules:
  {{- range .rules }}
  - {{ toJson . }}
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ include "mtls-medic.name" .root }}-{{ .duty }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "mtls-medic.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ include "mtls-medic.name" .root }}-{{ .duty }}
subjects:
  - {kind: ServiceAccount, name: {{ include "mtls-medic.account" .root }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}

{{/* The roles of one duty, everywhere it is needed. SPIRE's namespace may be one that is looked after: its rules then join. */}}
{{- define "mtls-medic.roles" -}}
{{- $places := dict -}}
{{- $root := .root -}}
{{- $rights := index ($root.Files.Get "files/rights.yaml" | fromYaml) .duty -}}
{{- $watched := $root.Values.namespaces | default (list "") -}}
{{- range $namespace := $watched -}}
{{- with $rights.watched }}{{ $_ := set $places $namespace . }}{{ end -}}
{{- end -}}
{{- with $rights.spire -}}
{{- $spire := include "mtls-medic.spire" $root -}}
{{- $_ := set $places $spire (concat (get $places $spire | default list) . | uniq) -}}
{{- end -}}
{{- with $rights.cluster -}}{{- $_ := set $places "" (concat (get $places "" | default list) . | uniq) -}}{{- end -}}
{{- $duty := .duty -}}
{{- range $namespace, $rules := $places -}}
{{- include "mtls-medic.role" (dict "root" $root "duty" $duty "namespace" $namespace "rules" $rules) }}
{{ end -}}
{{- end }}
