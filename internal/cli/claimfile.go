// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
)

// readClaims reads the claims of a file, checked. namespace, when given, is theirs.
func readClaims(stdin io.Reader, file, namespace string) ([]client.Object, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, usage("-f: %w", err)
		}
		defer f.Close()
		in = f
	}
	documents := kyaml.NewYAMLReader(bufio.NewReader(in))
	var out []client.Object
	for n := 1; ; n++ {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, usage("-f %s: %w", file, err)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		claim, err := readClaim(text, namespace)
		if err != nil {
			return nil, usage("-f %s, document %d: %w", file, n, err)
		}
		out = append(out, claim)
	}
	if len(out) == 0 {
		return nil, usage("-f %s: there is no claim in it", file)
	}
	return out, nil
}

func readClaim(text []byte, namespace string) (client.Object, error) {
	var kind runtime.TypeMeta
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return nil, err
	}
	gvk := schema.FromAPIVersionAndKind(kind.APIVersion, kind.Kind)
	var claim client.Object
	switch gvk {
	case v1alpha1.GroupVersion.WithKind("ApplicationClaim"):
		claim = &v1alpha1.ApplicationClaim{}
	case v1alpha1.GroupVersion.WithKind("VClusterEnvironmentClaim"):
		claim = &v1alpha1.VClusterEnvironmentClaim{}
	default:
		return nil, fmt.Errorf("%s %s is not a claim; there are ApplicationClaim and VClusterEnvironmentClaim of %s",
			kind.APIVersion, kind.Kind, v1alpha1.GroupVersion)
	}
	if err := decodeStrictly(text, claim); err != nil {
		return nil, err
	}
	if namespace != "" {
		claim.SetNamespace(namespace)
	}
	if a, ok := claim.(*v1alpha1.ApplicationClaim); ok {
		if err := request.Check(a.Spec); err != nil {
			return nil, err
		}
	}
	return claim, nil
}

// decodeStrictly refuses unknown fields by their path, and repeated ones.
func decodeStrictly(text []byte, into any) error {
	raw, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	strict, err := kjson.UnmarshalStrict(raw, into)
	return errors.Join(append(strict, err)...)
}

// printClaims writes the claims as -o says, else in the given format, as a person would write them: without
// status and without what the API server notes about a new object. "" prints nothing.
func (o *createOptions) printClaims(claims []client.Object, otherwise string) error {
	format := cmp.Or(o.output, otherwise)
	for i, c := range claims {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c)
		if err != nil {
			return err
		}
		content = pruned(content)
		if o.dryRun != "" {
			delete(content, "status")
		}
		if metadata, ok := content["metadata"].(map[string]any); ok {
			delete(metadata, "managedFields")
			if o.dryRun != "" {
				for _, k := range []string{"uid", "creationTimestamp", "generation"} {
					delete(metadata, k)
				}
			}
		}
		if err := printDocument(o.program.Out, format, content, i > 0); err != nil {
			return err
		}
	}
	return nil
}

// printDocument writes one object of several.
func printDocument(w io.Writer, format string, content map[string]any, further bool) error {
	var text []byte
	var err error
	switch format {
	case "yaml":
		text, err = yaml.Marshal(content)
		if further {
			text = append([]byte("---\n"), text...)
		}
	case "json":
		text, err = json.MarshalIndent(content, "", "  ")
		text = append(text, '\n')
	case "name":
		u := unstructured.Unstructured{Object: content}
		text = fmt.Appendln(nil, resourceName(u.GroupVersionKind(), u.GetName()))
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", format, err)
	}
	_, err = w.Write(text)
	return err
}

// pruned drops what is null.
func pruned(m map[string]any) map[string]any {
	for k, v := range m {
		if v == nil {
			delete(m, k)
		} else if inner, ok := v.(map[string]any); ok {
			m[k] = pruned(inner)
		}
	}
	return m
}

// same accepts a claim that is there when it asks for what is asked now, and says what differs
// otherwise.
func (o *createOptions) same(ctx context.Context, h *host, asked runtime.Object, c client.Object) error {
	key := client.ObjectKeyFromObject(c)
	kind := asked.GetObjectKind().GroupVersionKind().Kind
	if err := h.client.Get(ctx, key, c); err != nil {
		return fmt.Errorf("reading %s %s: %w", kind, key, err)
	}
	if !c.GetDeletionTimestamp().IsZero() {
		return fmt.Errorf("%s %s is being deleted; ask again when it is gone (`skerry delete %s --wait` waits for that)", kind, key, key.Name)
	}
	different, err := differences(asked, c)
	if err != nil {
		return err
	}
	if len(different) > 0 {
		return fmt.Errorf("%s %s exists and asks for something else (%s); change that one (`skerry kubectl -n %s edit %s %s`), or delete it first",
			kind, key, strings.Join(different, ", "), key.Namespace, strings.ToLower(kind), key.Name)
	}
	c.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	say(o.people(), "%s %s is there already.", kind, key)
	return nil
}

// differences names the fields of spec that are asked for and differ. What is not asked for may
// be anything.
func differences(asked, is runtime.Object) ([]string, error) {
	want, err := runtime.DefaultUnstructuredConverter.ToUnstructured(asked)
	if err != nil {
		return nil, err
	}
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(is)
	if err != nil {
		return nil, err
	}
	wantSpec, _ := want["spec"].(map[string]any)
	haveSpec, _ := have["spec"].(map[string]any)
	var out []string
	for k, v := range wantSpec {
		if fmt.Sprint(v) != fmt.Sprint(haveSpec[k]) {
			is, set := haveSpec[k]
			if !set {
				is = "unset"
			}
			out = append(out, fmt.Sprintf("%s is %v, not %v", k, is, v))
		}
	}
	slices.Sort(out)
	return out, nil
}
