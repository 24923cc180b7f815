{{/* What the operator does in a namespace that it serves. */}}
{{- define "modelway.rules" -}}
# The user's objects: read them, write their status and nothing else.
- apiGroups: [serving.modelway.io]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [serving.modelway.io]
  resources: [modeldeployments/status]
  verbs: [update]
- apiGroups: [serving.modelway.io]
  resources: [modelruntimes]
  verbs: [get, list, watch]
# Children.
- apiGroups: [apps]
  resources: [deployments, controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.gateway.enabled }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
# Their pods: only looked at.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
