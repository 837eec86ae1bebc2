{{- define "postgresql.configuration" -}}
postgresql.conf: |
  listen_addresses = '*'
  password_encryption = scram-sha-256
  log_destination = 'stderr'
  logging_collector = off
  log_timezone = 'UTC'
  timezone = 'UTC'
  {{- with .Values.primary.extendedConfiguration }}
  {{- . | nindent 2 }}
  {{- end }}
pg_hba.conf: |
  {{- if not .Values.auth.enablePostgresUser }}
  host all postgres all reject
  {{- end }}
  local all all scram-sha-256
  host all all all scram-sha-256
{{- end -}}
