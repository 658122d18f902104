{{/* Everything is looked for in this namespace; another name would fail only later. */}}
{{- define "berth.namespace" -}}
{{- if ne .Release.Namespace "berth-system" -}}
{{- fail (printf "Berth runs in namespace berth-system, not %s: add --namespace berth-system" .Release.Namespace) -}}
{{- end -}}
{{- .Release.Namespace -}}
{{- end -}}

{{- define "berth.labels" -}}
app.kubernetes.io/name: berth
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: berth
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Labels of a pod: (list $ "component"). Network policies choose by them. */}}
{{- define "berth.selector" -}}
app.kubernetes.io/name: berth
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* One of Berth's images: (list $ "router"). */}}
{{- define "berth.image" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}
{{- with index $root.Values.images $name -}}{{ . }}{{- else -}}
{{ $root.Values.images.registry }}/berth-{{ $name }}:{{ $root.Values.images.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* An image of vCluster's parts: (list $ "vcluster" "vcluster-oss:0.36.1"). */}}
{{- define "berth.part" -}}
{{- $root := index . 0 -}}
{{- index $root.Values.images (index . 1) | default (printf "%s/%s" $root.Values.images.registry (index . 2)) -}}
{{- end -}}

{{- define "berth.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "berth.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What every pod template has. */}}
{{- define "berth.pod" -}}
enableServiceLinks: false
securityContext:
  {{- include "berth.podSecurity" . | nindent 2 }}
{{- if .Values.priorityClass.create }}
priorityClassName: {{ .Values.priorityClass.name }}
{{- end }}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Addresses of the API server as a JSON list: the given ones, else those of now. */}}
{{- define "berth.apiServerCIDRs" -}}
{{- $cidrs := .Values.hostCluster.network.apiServerCIDRs -}}
{{- if not $cidrs -}}
{{- range (dig "endpoints" list (lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "kubernetes")) -}}
{{- range .addresses -}}
{{- $cidrs = append $cidrs (printf "%s/%s" . (ternary "128" "32" (contains ":" .))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $cidrs -}}
{{- fail "hostCluster.network.apiServerCIDRs: name the addresses of this cluster's API server, such as [10.0.0.0/24]; they can be left out only while installing into a running cluster" -}}
{{- end -}}
{{- toJson $cidrs -}}
{{- end -}}

{{- define "berth.livenessProbes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 1
  failureThreshold: 120
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{- define "berth.servingProbes" -}}
{{ include "berth.livenessProbes" . }}
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{/* Values that exclude each other, and those a host cannot do without. */}}
{{- define "berth.check" -}}
{{- $management := .Values.management -}}
{{- if $management.controllerName -}}
{{- if .Values.hostCluster.create -}}
{{- fail "hostCluster.create: must be false where management.controllerName is set: a host is described by a HostCluster of the management cluster, which `berth hostclusters:join` makes" -}}
{{- end -}}
{{- if .Values.hostCluster.edgeAddress -}}
{{- fail "hostCluster.edgeAddress: leave it empty where management.controllerName is set: `berth hostclusters:join --edge-address` tells the management cluster where a host's edge is" -}}
{{- end -}}
{{- if not .Values.edgeCA.certificate -}}
{{- fail "edgeCA: give certificate and key of the management cluster's edge where management.controllerName is set: edges know each other by them" -}}
{{- end -}}
{{- if .Values.acme.directory -}}
{{- fail "acme.directory: leave it empty where management.controllerName is set: certificates are ordered by the management cluster alone" -}}
{{- end -}}
{{- if .Values.operatorToken.hash -}}
{{- fail "operatorToken.hash: leave it empty where management.controllerName is set: the JSON API is on the management cluster" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not $management.egressCIDRs) -}}
{{- fail "management.egressCIDRs: name the addresses of the management cluster's API server, such as [203.0.113.10/32]: nothing else lets this host's controller and edge reach it" -}}
{{- end -}}
{{- else if $management.kubeconfigs.controller -}}
{{- fail "management.controllerName: name this host as the management cluster knows it, or leave management.kubeconfigs empty" -}}
{{- end -}}
{{- end -}}

{{/* Programs read their kubeconfig once: another one takes new pods. */}}
{{- define "berth.managementChecksum" -}}
checksum/management: {{ .Values.management.kubeconfigs | toJson | sha256sum | trunc 16 | quote }}
{{- end -}}

{{/* One program's way to the management cluster: (list $ "controller"). */}}
{{- define "berth.managementVolume" -}}
- name: management
  secret:
    secretName: {{ (index . 0).Values.management.kubeconfigSecret }}
    items: [{key: {{ index . 1 }}, path: {{ index . 1 }}}]
    defaultMode: 0440
{{- end -}}
