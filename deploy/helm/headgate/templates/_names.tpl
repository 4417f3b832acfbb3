{{- /* An image by its values, as in headgate:0.1.0. */ -}}
{{- define "headgate.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{- /* A shipped manifest, in the namespace of the release. */ -}}
{{- define "headgate.manifest" -}}
{{ .root.Files.Get (printf "files/%s" .file) | replace "headgate-system" .root.Release.Namespace }}
{{- end -}}
