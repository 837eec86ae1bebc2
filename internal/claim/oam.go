// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
)

// applicationText is oam/applications/application.yaml as a person first meets it: with
// comments, one way to write each thing, and the figures that people change most on lines of their own.
const applicationText = `# {{.Name}}, as it should run. Change it here and push: this file is the only way in.
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: {{.Name}}
spec:
  components:
    # The service itself.{{if .Demo}} Until you name an image of your own, this is the platform's demo
    # application: the same program as in the repository {{.Name}}, or its like in your language.{{end}}
    - name: {{.Name}}
      type: webservice
      properties:
        image: {{.Image}}
        imagePullPolicy: IfNotPresent
        ports:
          - port: {{.Port}}
            expose: true
        env:
          - name: PORT
            value: "{{.Port}}"
        cpu: 50m
        memory: 64Mi
        limit:
          cpu: "1"
          memory: 128Mi
        livenessProbe:
          httpGet:
            path: /healthz
            port: {{.Port}}
        readinessProbe:
          httpGet:
            path: /readyz
            port: {{.Port}}
          periodSeconds: 2
      traits:
        - type: scaler
          properties:
            replicas: 1
{{- range .Bindings}}
        # {{.Prefix}}_HOST, _PORT, _USERNAME, _PASSWORD, _DATABASE and _URI, from the Secret {{.Component}}-binding.
        - type: service-binding
          properties:
            component: {{.Component}}
            prefix: {{.Prefix}}
{{- end}}
{{- if .Gateway}}
        - type: gateway
          properties:
{{- if .Domain}}
            domain: {{.Name}}.{{.Domain}}
{{- end}}
            http:
              "/": {{.Port}}
{{- end}}
{{- if .Database}}

    # PostgreSQL. Its password is generated in the cluster and is never in Git.
    - name: {{.Database}}
      type: postgresql
      properties:
        database: app
        storage: 1Gi
        resources:
          cpu: 50m
          memory: 128Mi
          cpuLimit: "1"
          memoryLimit: 256Mi
{{- end}}
{{- if .Cache}}

    # Redis.
    - name: {{.Cache}}
      type: redis
      properties:
        architecture: standalone
        storage: 1Gi
        resources:
          cpu: 20m
          memory: 64Mi
{{- end}}
{{- range .Services}}

    - name: {{.Name}}
      type: {{.Type}}
{{- with .Properties}}
      properties:
{{.}}
{{- end}}
{{- end}}
`

// applicationValues fill applicationText. Words that came from a person are quoted for YAML.
type applicationValues struct {
	Name, Image, Domain string
	Port                int
	Demo, Gateway       bool
	// Database and Cache are components, empty when not asked for.
	Database, Cache string
	Bindings        []struct{ Prefix, Component string }
	Services        []struct{ Name, Type, Properties string }
}

// applicationFile is the OAM Application of a claim, as text.
func applicationFile(claim *v1alpha1.ApplicationClaim, opts Options) (string, error) {
	spec := claim.Spec
	v := applicationValues{
		Name: spec.Name, Image: quoted(cmp.Or(spec.Image, opts.DemoImage)), Demo: spec.Image == "",
		Port: request.ApplicationPort, Gateway: spec.ExposeAPI, Domain: opts.Domain,
	}
	bind := func(prefix, component string) {
		v.Bindings = append(v.Bindings, struct{ Prefix, Component string }{prefix, component})
	}
	if spec.Database == "postgres" {
		v.Database = request.DatabaseName(spec.Name)
		bind("DATABASE", v.Database)
	}
	if spec.Cache == "redis" {
		v.Cache = request.CacheName(spec.Name)
		bind("CACHE", v.Cache)
	}
	for _, s := range spec.Services {
		properties, err := properties(s)
		if err != nil {
			return "", err
		}
		v.Services = append(v.Services, struct{ Name, Type, Properties string }{s.Name, quoted(s.Type), properties})
	}
	t, err := template.New("application.yaml").Parse(applicationText)
	if err != nil {
		return "", fmt.Errorf("reading the text of the OAM Application: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, v); err != nil {
		return "", fmt.Errorf("writing the OAM Application of %s: %w", spec.Name, err)
	}
	return out.String(), nil
}

// properties of a service, as indented YAML without the last newline.
func properties(s v1alpha1.ServiceRequest) (string, error) {
	if s.Parameters == nil || len(s.Parameters.Raw) == 0 {
		return "", nil
	}
	const indent = "        "
	text, err := yaml.JSONToYAML(s.Parameters.Raw)
	if err != nil {
		return "", fmt.Errorf("reading spec.services[%s].parameters: %w", s.Name, err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	return indent + strings.Join(lines, "\n"+indent), nil
}

// quoted leaves a plain word as it is and writes anything else as a quoted string, whose
// escapes mean the same in Go and in YAML.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._/", r)
	}
	var back any
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) && r != ':' && r != '@' }) < 0 && !strings.HasPrefix(s, "-") {
		if err := yaml.Unmarshal([]byte(s), &back); err == nil && back == s {
			return s
		}
	}
	return strconv.QuoteToASCII(s)
}

// gitopsReadme says what the GitOps repository is.
func gitopsReadme(application, environment string) string {
	return fmt.Sprintf(`# %[1]s-gitops

What runs in the environment %[2]s. Every commit on main is delivered there: what is in
`+"`%[3]s/`"+` is applied, what leaves it is removed, what somebody changes by hand is put back.

- `+"`%[3]s/application.yaml`"+` is the application with its database, its cache and their figures.
- More applications may stand beside it, one a file.

See what a change did:

    skerry trace %[1]s
`, application, environment, request.GitOpsPath)
}
