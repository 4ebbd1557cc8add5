{{/* What the operator does with platforms and ConsumerAutoscalers and nothing more: a test holds it against the API server's audit log. */}}
{{- define "bss-operator.rules" -}}
{{- if .Values.platforms.enabled }}
{{- include "bss-operator.platformRules" . | nindent 0 }}
{{- else }}
{{- include "bss-operator.targetRules" . | nindent 0 }}
{{- end }}
# ConsumerAutoscalers: their spec is the user's, their status is ours. Nothing is created for them, so there is no finalizer.
- apiGroups: [bss-platform.io]
  resources: [consumerautoscalers]
  verbs: [list, watch]
- apiGroups: [bss-platform.io]
  resources: [consumerautoscalers/status]
  verbs: [patch]
# Scaling, and who else scales.
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [patch]
{{- range .Values.scaleTargets }}
- apiGroups: ['{{ .apiGroup }}']
  resources: ['{{ .resource }}/scale']
  verbs: [get, patch]
{{- end }}
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "bss-operator.platformRules" -}}
# The resource itself: its spec is the user's, its status and finalizer are ours.
- apiGroups: [bss-platform.io]
  resources: [bssplatforms]
  verbs: [list, watch, patch]
- apiGroups: [bss-platform.io]
  resources: [bssplatforms/status]
  verbs: [patch]
- apiGroups: [bss-platform.io]
  resources: [bssplatforms/finalizers]
  verbs: [update]
# The Pod Security level that a platform's namespace enforces: agents on the nodes are left out where it refuses them.
- apiGroups: ['']
  resources: [namespaces]
  verbs: [get]
# What a platform consists of: generated from the kinds that the builders may emit.
{{- include "bss-operator.ownedKinds" . | nindent 0 }}
# Why a component is not healthy; a pod that blocks the roll-out of its StatefulSet is deleted. Prometheus of a platform is given the first
# three, so the operator must have them.
- apiGroups: ['']
  resources: [pods]
  verbs: [get, list, watch, delete]
{{- end }}

{{/* What the rights for platforms contain of those for ConsumerAutoscalers. */}}
{{- define "bss-operator.targetRules" -}}
# How many pods are ready, and whether a new version rolls out.
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get]
# Logins and certificates for Kafka. The watch sees names only.
- apiGroups: ['']
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list]
{{- end }}
