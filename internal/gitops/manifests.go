// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// mostObjects of one Application: its status names each twice, and etcd takes 1.5 MiB.
const mostObjects = 2000

// skipMarker, anywhere in a file, leaves the file out, as in Argo CD.
const skipMarker = "+argocd:skip-file-rendering"

// manifest is one object of a revision and where it was read.
type manifest struct {
	// File is the path inside the repository, Line where its document begins.
	File   string
	Line   int
	Object *unstructured.Unstructured
}

// String is FILE:LINE, for messages.
func (m manifest) String() string { return fmt.Sprintf("%s:%d", m.File, m.Line) }

// sourceFile is one file of a revision.
type sourceFile struct{ Path, Content string }

// parseManifests reads all objects of the files, in order. It returns every mistake it finds,
// each with its file, line and field; a revision with a mistake is not delivered at all.
func parseManifests(files []sourceFile) ([]manifest, error) {
	var out []manifest
	var errs []error
	for _, f := range files {
		if strings.Contains(f.Content, skipMarker) {
			continue
		}
		docs, err := splitDocuments(f.Content)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Path, err))
		}
		for _, doc := range docs {
			found, err := parseDocument(f.Path, doc)
			out = append(out, found...)
			if err != nil {
				errs = append(errs, err)
			}
		}
	}
	if len(out) > mostObjects {
		errs = append(errs, fmt.Errorf("there are %d objects; an Application may have %d: split it", len(out), mostObjects))
	}
	return out, joinErrors(errs)
}

// document is one YAML document of a file; Line counts from 1.
type document struct {
	Line int
	Text string
}

// splitDocuments cuts a file at its document markers, keeping line numbers.
func splitDocuments(content string) ([]document, error) {
	var docs []document
	var text strings.Builder
	start, line := 1, 0
	flush := func(next int) {
		if t := strings.TrimSpace(text.String()); t != "" && !strings.HasPrefix(t, "%") {
			docs = append(docs, document{Line: start, Text: text.String()})
		}
		text.Reset()
		start = next
	}
	r := bufio.NewReader(strings.NewReader(strings.TrimPrefix(content, "\ufeff")))
	for {
		l, err := r.ReadString('\n')
		line++
		if rest, ok := strings.CutPrefix(l, "--- "); ok {
			flush(line)
			text.WriteString(rest)
		} else if strings.TrimRight(l, " \t\r\n") == "---" {
			flush(line + 1)
		} else {
			text.WriteString(l)
		}
		if errors.Is(err, io.EOF) {
			flush(line + 1)
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// parseYAML reads YAML or JSON as the API server does: whole numbers stay whole.
func parseYAML(text string) (content any, err error) {
	data, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = json.Unmarshal(data, &content)
	}
	return content, err
}

// yamlLine finds the line in a message of the YAML parser.
var yamlLine = regexp.MustCompile(`line (\d+)`)

// parseDocument reads one document: one object, a List of objects, or nothing but comments.
func parseDocument(file string, doc document) ([]manifest, error) {
	at := fmt.Sprintf("%s:%d", file, doc.Line)
	content, err := parseYAML(doc.Text)
	if err != nil {
		message := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
		if m := yamlLine.FindStringSubmatch(message); m != nil {
			n, _ := strconv.Atoi(m[1])
			at = fmt.Sprintf("%s:%d", file, doc.Line+n-1)
			message = strings.TrimPrefix(strings.Replace(message, m[0]+": ", "", 1), "yaml: ")
		}
		return nil, fmt.Errorf("%s: this is no YAML: %s", at, message)
	}
	if content == nil {
		return nil, nil
	}
	fields, ok := content.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: a Kubernetes object is expected, with apiVersion, kind and metadata; found %s", at, kindOfValue(content))
	}
	o := &unstructured.Unstructured{Object: fields}
	if err := checkObject(o); err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	if !strings.HasSuffix(o.GetKind(), "List") || fields["items"] == nil {
		return []manifest{{File: file, Line: doc.Line, Object: o}}, nil
	}
	items, ok := fields["items"].([]any)
	if !ok {
		return nil, fmt.Errorf("%s: items: a list is expected; found %s", at, kindOfValue(fields["items"]))
	}
	var out []manifest
	for i, item := range items {
		fields, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: items[%d]: a Kubernetes object is expected; found %s", at, i, kindOfValue(item))
		}
		o := &unstructured.Unstructured{Object: fields}
		if err := checkObject(o); err != nil {
			return nil, fmt.Errorf("%s: items[%d].%w", at, i, err)
		}
		out = append(out, manifest{File: file, Line: doc.Line, Object: o})
	}
	return out, nil
}

// checkObject checks the fields that every object needs before a cluster can be asked.
func checkObject(o *unstructured.Unstructured) error {
	for _, path := range [][]string{{"apiVersion"}, {"kind"}} {
		if err := checkString(o.Object, path...); err != nil {
			return err
		}
	}
	if strings.HasSuffix(o.GetKind(), "List") && o.Object["items"] != nil {
		return nil
	}
	meta, ok := o.Object["metadata"].(map[string]any)
	if !ok {
		return fmt.Errorf("metadata: an object with a name is expected; found %s", kindOfValue(o.Object["metadata"]))
	}
	if meta["name"] == nil && meta["generateName"] != nil {
		return errors.New("metadata.generateName: an object that is delivered from Git needs a metadata.name of its own")
	}
	if err := checkString(o.Object, "metadata", "name"); err != nil {
		return err
	}
	if _, ok := meta["namespace"]; ok {
		if err := checkString(o.Object, "metadata", "namespace"); err != nil {
			return err
		}
	}
	for _, field := range []string{"labels", "annotations"} {
		if err := checkStringMap(meta, field); err != nil {
			return err
		}
	}
	if hook := o.GetAnnotations()[argov1alpha1.AnnotationHook]; hook != "" {
		return fmt.Errorf("metadata.annotations[%s]: resource hooks are not run by the built-in engine; take the annotation away, or let Argo CD be the engine of this host", argov1alpha1.AnnotationHook)
	}
	return nil
}

func checkString(o map[string]any, path ...string) error {
	v, _, err := unstructured.NestedFieldNoCopy(o, path...)
	if s, ok := v.(string); err == nil && ok && s != "" {
		return nil
	}
	return fmt.Errorf("%s: a text is expected; found %s", strings.Join(path, "."), kindOfValue(v))
}

func checkStringMap(meta map[string]any, field string) error {
	if meta[field] == nil {
		return nil
	}
	m, ok := meta[field].(map[string]any)
	if !ok {
		return fmt.Errorf("metadata.%s: texts by name are expected; found %s", field, kindOfValue(meta[field]))
	}
	for k, v := range m {
		if _, ok := v.(string); !ok {
			return fmt.Errorf("metadata.%s[%s]: a text is expected (put it in quotes); found %s", field, k, kindOfValue(v))
		}
	}
	return nil
}

// kindOfValue describes a value of JSON without showing a long one.
func kindOfValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		if v == "" {
			return "an empty text"
		}
		return fmt.Sprintf("the text %q", v[:min(len(v), 40)])
	case bool, int64, float64:
		return fmt.Sprint(v)
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
