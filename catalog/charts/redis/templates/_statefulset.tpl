{{/* redis.statefulset: dict root, role (master, replica), replicas. */}}
{{- define "redis.statefulset" -}}
{{- $root := .root -}}
{{- $node := index .root.Values .role -}}
{{- include "redis.credentials" $root -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "redis.workload" . }}
  labels:
    {{- include "redis.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
  {{- with $root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  replicas: {{ .replicas }}
  serviceName: {{ include "redis.fullname" $root }}-headless
  updateStrategy:
    type: RollingUpdate
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: {{ $node.persistentVolumeClaimRetentionPolicy.whenDeleted }}
    whenScaled: {{ $node.persistentVolumeClaimRetentionPolicy.whenScaled }}
  selector:
    matchLabels:
      {{- include "redis.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
  template:
    metadata:
      labels:
        # Not the chart's version: a new chart must not restart a node for that.
        {{- include "redis.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
        {{- with merge (dict) $node.podLabels $root.Values.commonLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        skerry.dev/configuration: {{ include "redis.configuration" $root | sha256sum | trunc 16 | quote }}
        skerry.dev/credentials-revision: {{ $root.Values.credentials.revision | quote }}
        {{- with $node.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ $node.terminationGracePeriodSeconds }}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with $node.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $node.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $node.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $node.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 999
        runAsGroup: 999
        fsGroup: 999
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: redis
          image: {{ include "redis.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: ["sh", "/opt/skerry/start.sh"]
          env:
            - name: ROLE
              value: {{ .role }}
            {{- if eq .role "replica" }}
            - name: MASTER
              value: {{ printf "%s-master %v" (include "redis.fullname" $root) $root.Values.master.service.ports.redis | quote }}
            {{- end }}
            - name: PORT
              value: "6379"
            - name: DATA
              value: /data
            - name: RUN
              value: /run/redis
            - name: OPT
              value: /opt/skerry
            - name: CREDENTIALS
              value: {{ $root.Values.auth.enabled | ternary "/run/secrets/redis" "" | quote }}
            {{- with $node.extraEnvVars }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: tcp-redis
              containerPort: 6379
              protocol: TCP
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: ["ALL"]
          {{- include "redis.probe" (dict "kind" "startupProbe" "probe" $node.startupProbe) | nindent 10 }}
          {{- include "redis.probe" (dict "kind" "readinessProbe" "probe" $node.readinessProbe) | nindent 10 }}
          {{- include "redis.probe" (dict "kind" "livenessProbe" "probe" $node.livenessProbe) | nindent 10 }}
          {{- with $node.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - name: redis-data
              mountPath: /data
            - name: opt
              mountPath: /opt/skerry
              readOnly: true
            {{- if $root.Values.auth.enabled }}
            - name: credentials
              mountPath: /run/secrets/redis
              readOnly: true
            {{- end }}
            - name: run
              mountPath: /run/redis
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: opt
          configMap:
            name: {{ include "redis.fullname" $root }}
        {{- if $root.Values.auth.enabled }}
        - name: credentials
          secret:
            secretName: {{ include "redis.secretName" $root }}
            defaultMode: 0440
            items:
              - key: {{ $root.Values.auth.existingSecretPasswordKey }}
                path: redis-password
        {{- end }}
        - name: run
          emptyDir:
            medium: Memory
            sizeLimit: 1Mi
        - name: tmp
          emptyDir: {}
        {{- include "redis.volume" $node.persistence | nindent 8 }}
  {{- include "redis.claims" (dict "root" $root "role" .role "persistence" $node.persistence) | nindent 2 }}
{{- end -}}

{{- define "redis.volume" -}}
{{- if not .enabled }}
- name: redis-data
  emptyDir: {}
{{- else if .existingClaim }}
- name: redis-data
  persistentVolumeClaim:
    claimName: {{ .existingClaim }}
{{- end }}
{{- end -}}

{{- define "redis.claims" -}}
{{- if and .persistence.enabled (not .persistence.existingClaim) }}
volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: redis-data
      labels:
        {{- include "redis.selector" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
        {{- with .persistence.labels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .persistence.annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      accessModes:
        {{- toYaml .persistence.accessModes | nindent 8 }}
      {{- if eq (.persistence.storageClass | default "") "-" }}
      storageClassName: ""
      {{- else if .persistence.storageClass }}
      storageClassName: {{ .persistence.storageClass }}
      {{- end }}
      resources:
        requests:
          storage: {{ .persistence.size | quote }}
{{- end }}
{{- end -}}
