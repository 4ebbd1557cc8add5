{{- define "bss-operator.selector" -}}
app.kubernetes.io/name: bss-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bss-operator.labels" -}}
{{ include "bss-operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: bss-platform
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "bss-operator.name" -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* Not those of the operator's pods: their Deployment and disruption budget select by them. */}}
{{- define "bss-operator.testLabels" -}}
app.kubernetes.io/name: bss-operator-test
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: bss-platform
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
