{{- define "skerry.labels" -}}
app.kubernetes.io/part-of: skerry
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "skerry.tag" -}}
{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "skerry.image" -}}
{{ .Values.image.repository }}:{{ include "skerry.tag" . }}
{{- end }}

{{- define "skerry.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "skerry.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "skerry.etcdEndpoints" -}}
{{- if .Values.etcd.external }}{{ join "," (required "etcd.endpoints must name the external etcd, as https://HOST:2379" .Values.etcd.endpoints) }}
{{- else }}https://skerry-etcd.{{ .Release.Namespace }}.svc:2379
{{- end }}
{{- end }}

{{- /* The Git server's fixed address: the one given, or on the local platform the 20th of the
service range (kube-apiserver leaves the first addresses to such). */}}
{{- define "skerry.gitAddress" -}}
{{- if .Values.gitServer.clusterIP }}{{ .Values.gitServer.clusterIP }}
{{- else if .Values.local }}
{{- $kubernetes := lookup "v1" "Service" "default" "kubernetes" }}
{{- if $kubernetes }}{{ regexReplaceAll "[0-9]+$" $kubernetes.spec.clusterIP "20" }}{{ end }}
{{- end }}
{{- end }}

{{- define "skerry.gitURL" -}}
{{- if .Values.gitServer.publicURL }}{{ .Values.gitServer.publicURL }}
{{- else }}http://{{ include "skerry.gitAddress" . | default (printf "skerry-git.%s.svc" .Release.Namespace) }}
{{- end }}
{{- end }}

{{- define "skerry.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* What all Pods of the platform have in common; "." is the chart's. */}}
{{- define "skerry.pod" -}}
enableServiceLinks: false
securityContext: {{ include "skerry.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- /* Members of one workload on different nodes, where there are some; "." is its name. */}}
{{- define "skerry.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {app.kubernetes.io/name: {{ . }}}
{{- end }}
