{{/* Name of every object of the release. */}}
{{- define "modelway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: what selectors use. */}}
{{- define "modelway.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Recommended labels. */}}
{{- define "modelway.labels" -}}
{{ include "modelway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: modelway
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Name of the operator's service account. */}}
{{- define "modelway.account" -}}
{{- .Values.serviceAccount.name | default (include "modelway.fullname" .) -}}
{{- end -}}

{{/* Reference of an image: (dict "image" VALUES "version" APP-VERSION). A digest wins over the tag. */}}
{{- define "modelway.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .version) -}}
{{- end -}}
{{- end -}}

{{/* Reference of the serving runtime's image. */}}
{{- define "modelway.runtimeImage" -}}
{{- include "modelway.image" (dict "image" .Values.runtime.image "version" .Chart.AppVersion) -}}
{{- end -}}
