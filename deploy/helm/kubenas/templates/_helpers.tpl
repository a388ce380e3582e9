{{- define "kubenas.labels" -}}
app.kubernetes.io/name: kubenas-operator
app.kubernetes.io/part-of: kubenas
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "kubenas.selectorLabels" -}}
app.kubernetes.io/name: kubenas-operator
app.kubernetes.io/part-of: kubenas
{{- end }}

{{- /* The reference of an image: (dict "image" VALUES "chart" .Chart). */ -}}
{{- define "kubenas.image" -}}
{{- with .image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- /* The namespaces of experiments, as a selector of a PodMonitor. */ -}}
{{- define "kubenas.watched" -}}
{{- if .Values.watchNamespace -}}
matchNames: [{{ .Values.watchNamespace | quote }}]
{{- else -}}
any: true
{{- end -}}
{{- end }}

{{- /* Egress to the cluster's DNS. */ -}}
{{- define "kubenas.dns" -}}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: kube-system}
      podSelector:
        matchLabels: {k8s-app: kube-dns}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}
