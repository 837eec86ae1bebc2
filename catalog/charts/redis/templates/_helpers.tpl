{{- define "redis.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* As everywhere: the release's name when it says "redis" already. */}}
{{- define "redis.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "redis.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "redis.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "redis.component" -}}
{{- .Release.Name | trimSuffix "-redis" -}}
{{- end -}}

{{- define "redis.selector" -}}
app.kubernetes.io/name: {{ include "redis.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "redis.labels" -}}
{{ include "redis.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "redis.image" -}}
{{- $name := list .Values.image.registry .Values.image.repository | compact | join "/" -}}
{{- if .Values.image.digest -}}{{ $name }}@{{ .Values.image.digest }}{{- else -}}{{ $name }}:{{ .Values.image.tag }}{{- end -}}
{{- end -}}

{{- define "redis.secretName" -}}{{ .Values.auth.existingSecret | default (include "redis.fullname" .) }}{{- end -}}

{{/*
redis.credentials fills .Values.credentials with
  password  empty without authentication
  revision  a number that grows when it changes
once for the whole render, because what is generated must be the same everywhere. The
number, not a digest, goes into the Pods' annotations: a digest would tell the
password to whoever can guess.
*/}}
{{- define "redis.credentials" -}}
{{- if not (hasKey .Values "credentials") -}}
{{- $key := .Values.auth.existingSecretPasswordKey -}}
{{- $found := (lookup "v1" "Secret" .Release.Namespace (include "redis.secretName" .)) | default dict -}}
{{- $old := get ($found.data | default dict) $key | b64dec -}}
{{- $password := "" -}}
{{- $revision := dig "metadata" "annotations" "skerry.dev/credentials-revision" "1" $found | int -}}
{{- if not .Values.auth.enabled -}}
{{- $revision = 0 -}}
{{- else if .Values.auth.existingSecret -}}
{{- if not $found -}}{{ fail (printf "auth.existingSecret: Secret %s does not exist; create it before the release" .Values.auth.existingSecret) }}{{- end -}}
{{- if not $old -}}{{ fail (printf "auth.existingSecret: Secret %s has no key %s" .Values.auth.existingSecret $key) }}{{- end -}}
{{- $password = $old -}}
{{- $revision = dig "metadata" "resourceVersion" "1" $found -}}
{{- else -}}
{{- $password = coalesce .Values.auth.password $old (randAlphaNum 24) -}}
{{- if and $found (ne $password $old) -}}{{- $revision = add1 $revision -}}{{- end -}}
{{- end -}}
{{- $_ := set .Values "credentials" (dict "password" $password "revision" ($revision | toString)) -}}
{{- end -}}
{{- end -}}

{{/* redis.check refuses what would be ignored or would break later. */}}
{{- define "redis.check" -}}
{{- range $role := list "master" "replica" -}}
{{- $values := index $.Values $role -}}
{{- $name := include "redis.workload" (dict "root" $ "role" $role) -}}
{{- $old := lookup "apps/v1" "StatefulSet" $.Release.Namespace $name | default dict -}}
{{- range $claim := dig "spec" "volumeClaimTemplates" list $old -}}
{{- $size := dig "spec" "resources" "requests" "storage" "" $claim -}}
{{- $p := $values.persistence -}}
{{- if and $p.enabled (not $p.existingClaim) (ne $size ($p.size | toString)) -}}
{{ fail (printf "%s.persistence.size: the volume of a running node cannot be changed from %s to %s; set it back, or use a new component" $role $size ($p.size | toString)) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Dict root, role -> x-redis-master, x-redis-replicas. */}}
{{- define "redis.workload" -}}
{{- printf "%s-%s" (include "redis.fullname" .root) (eq .role "master" | ternary "master" "replicas") -}}
{{- end -}}

{{- define "redis.configuration" -}}
common.conf: |
  {{- .Values.commonConfiguration | nindent 2 }}
master.conf: |
  {{- .Values.master.configuration | nindent 2 }}
replica.conf: |
  {{- .Values.replica.configuration | nindent 2 }}
{{- end -}}

{{- define "redis.probe" -}}
{{- if .probe.enabled }}
{{ .kind }}:
  exec:
    command: ["sh", "/opt/skerry/ready.sh"]
  {{- toYaml (omit .probe "enabled") | nindent 2 }}
{{- end }}
{{- end -}}
