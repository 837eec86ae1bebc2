{{- define "postgresql.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* As everywhere: the release's name when it says "postgresql" already. */}}
{{- define "postgresql.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "postgresql.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "postgresql.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "postgresql.component" -}}
{{- .Release.Name | trimSuffix "-postgresql" -}}
{{- end -}}

{{- define "postgresql.selector" -}}
app.kubernetes.io/name: {{ include "postgresql.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: primary
{{- end -}}

{{- define "postgresql.labels" -}}
{{ include "postgresql.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "postgresql.image" -}}
{{- $name := list .Values.image.registry .Values.image.repository | compact | join "/" -}}
{{- if .Values.image.digest -}}{{ $name }}@{{ .Values.image.digest }}{{- else -}}{{ $name }}:{{ .Values.image.tag }}{{- end -}}
{{- end -}}

{{- define "postgresql.username" -}}{{ .Values.auth.username | default "postgres" }}{{- end -}}
{{- define "postgresql.database" -}}{{ .Values.auth.database | default "postgres" }}{{- end -}}
{{- define "postgresql.secretName" -}}{{ .Values.auth.existingSecret | default (include "postgresql.fullname" .) }}{{- end -}}

{{/*
postgresql.credentials fills .Values.credentials with
  admin, user  the passwords
  revision     a number that grows when one of them changes
once for the whole render, because what is generated must be the same everywhere. The
number, not a digest, goes into the Pod's annotations: a digest would tell the
password to whoever can guess.
*/}}
{{- define "postgresql.credentials" -}}
{{- if not (hasKey .Values "credentials") -}}
{{- $keys := .Values.auth.secretKeys -}}
{{- $found := (lookup "v1" "Secret" .Release.Namespace (include "postgresql.secretName" .)) | default dict -}}
{{- $data := $found.data | default dict -}}
{{- $oldAdmin := get $data $keys.adminPasswordKey | b64dec -}}
{{- $oldUser := get $data $keys.userPasswordKey | b64dec -}}
{{- $admin := "" -}}{{- $user := "" -}}
{{- if .Values.auth.existingSecret -}}
{{- if not $found -}}{{ fail (printf "auth.existingSecret: Secret %s does not exist; create it before the release" .Values.auth.existingSecret) }}{{- end -}}
{{- if not $oldAdmin -}}{{ fail (printf "auth.existingSecret: Secret %s has no key %s" .Values.auth.existingSecret $keys.adminPasswordKey) }}{{- end -}}
{{- if and .Values.auth.username (ne .Values.auth.username "postgres") (not $oldUser) -}}{{ fail (printf "auth.existingSecret: Secret %s has no key %s" .Values.auth.existingSecret $keys.userPasswordKey) }}{{- end -}}
{{- $admin = $oldAdmin -}}{{- $user = $oldUser -}}
{{- else -}}
{{- $admin = coalesce .Values.auth.postgresPassword $oldAdmin (randAlphaNum 24) -}}
{{- $user = coalesce .Values.auth.password $oldUser (randAlphaNum 24) -}}
{{- end -}}
{{- if eq (include "postgresql.username" .) "postgres" -}}
{{- $admin = coalesce .Values.auth.postgresPassword .Values.auth.password $admin -}}
{{- $user = $admin -}}
{{- end -}}
{{- $revision := dig "metadata" "annotations" "skerry.dev/credentials-revision" "1" $found | int -}}
{{- if and $found (not .Values.auth.existingSecret) (or (ne $admin $oldAdmin) (ne $user $oldUser)) -}}
{{- $revision = add1 $revision -}}
{{- end -}}
{{- if .Values.auth.existingSecret -}}{{- $revision = dig "metadata" "resourceVersion" "1" $found -}}{{- end -}}
{{- $_ := set .Values "credentials" (dict "admin" $admin "user" $user "revision" ($revision | toString)) -}}
{{- end -}}
{{- end -}}

{{/* postgresql.check refuses what would be ignored or would break later. */}}
{{- define "postgresql.check" -}}
{{- if ne .Values.architecture "standalone" -}}{{ fail "architecture: this chart serves standalone only; for replicas use an operator such as CloudNativePG" }}{{- end -}}
{{- if and (not .Values.auth.enablePostgresUser) (eq (include "postgresql.username" .) "postgres") -}}
{{ fail "auth.username: name the user who owns the database, because auth.enablePostgresUser is false" }}
{{- end -}}
{{- $p := .Values.primary.persistence -}}
{{- $old := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "postgresql.fullname" .) | default dict -}}
{{- range $claim := dig "spec" "volumeClaimTemplates" list $old -}}
{{- $size := dig "spec" "resources" "requests" "storage" "" $claim -}}
{{- if and $p.enabled (not $p.existingClaim) (ne $size ($p.size | toString)) -}}
{{ fail (printf "primary.persistence.size: the volume of a running database cannot be changed from %s to %s; set it back, or move the data to a new component" $size ($p.size | toString)) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "postgresql.probe" -}}
{{- if .probe.enabled }}
{{ .kind }}:
  exec:
    command: ["sh", "/opt/skerry/ready.sh"]
  {{- toYaml (omit .probe "enabled") | nindent 2 }}
{{- end }}
{{- end -}}
