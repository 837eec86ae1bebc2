// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	chartcommon "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/strvals"
	"sigs.k8s.io/yaml"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

// defaultValuesKey is the key that valuesFrom reads when it names none, as in provider-helm.
const defaultValuesKey = "values.yaml"

// dataReader returns the content of a key of a ConfigMap or Secret; found is false when the
// object or the key is missing and the selector says that it may be.
type dataReader func(from helmv1beta1.ValueFromSource) (data string, found bool, err error)

// mergeValues merges the values of a Release in the contract's order: valuesFrom,
// values, set; later ones win.
func mergeValues(spec helmv1beta1.ValuesSpec, read dataReader) (map[string]any, error) {
	merged := map[string]any{}
	for i, from := range spec.ValuesFrom {
		data, found, err := read(from)
		if err != nil {
			return nil, fmt.Errorf("spec.forProvider.valuesFrom[%d]: %w", i, err)
		}
		if !found {
			continue
		}
		values := map[string]any{}
		if err := yaml.Unmarshal([]byte(data), &values); err != nil {
			// The parser's error may quote the content, which may be a secret.
			return nil, refusef("spec.forProvider.valuesFrom[%d]: key %q of %s is not a YAML mapping", i, keyOf(from), nameOf(from))
		}
		merged = chartcommon.CoalesceTables(values, merged)
	}
	if len(spec.Values.Raw) > 0 {
		values := map[string]any{}
		if err := json.Unmarshal(spec.Values.Raw, &values); err != nil {
			return nil, refusef("spec.forProvider.values is not a mapping")
		}
		merged = chartcommon.CoalesceTables(values, merged)
	}
	for i, set := range spec.Set {
		if err := mergeSet(merged, set, read); err != nil {
			return nil, fmt.Errorf("spec.forProvider.set[%d] (%s): %w", i, set.Name, err)
		}
	}
	return merged, nil
}

// mergeSet sets one value, written as for "helm install --set".
func mergeSet(values map[string]any, set helmv1beta1.SetVal, read dataReader) error {
	text := set.Value
	if set.ValueFrom != nil {
		data, found, err := read(*set.ValueFrom)
		if err != nil || !found {
			return err
		}
		text = data
	}
	if err := strvals.ParseInto(set.Name+"="+text, values); err != nil {
		// As above: the error may quote a secret.
		return refusef("the name or the value cannot be read; write it as for \"helm install --set\"")
	}
	return nil
}

// inputsDigest is what tells two attempts apart: the chart's content and the merged
// values. It fits a label's value, and says nothing about secrets among the values
// because the chart's digest and the whole of the values are hashed together.
func inputsDigest(chartDigest string, values map[string]any) (string, error) {
	canonical, err := json.Marshal(values) // sorts keys
	if err != nil {
		return "", fmt.Errorf("writing the values as JSON: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n", chartDigest)
	sum.Write(canonical)
	return hex.EncodeToString(sum.Sum(nil)[:20]), nil
}

// nameOf names the object of a selector, for messages.
func nameOf(from helmv1beta1.ValueFromSource) string {
	switch {
	case from.ConfigMapKeyRef != nil:
		return "ConfigMap " + from.ConfigMapKeyRef.Name
	case from.SecretKeyRef != nil:
		return "Secret " + from.SecretKeyRef.Name
	}
	return "nothing"
}

// keyOf is the key of a selector.
func keyOf(from helmv1beta1.ValueFromSource) string {
	selector := from.ConfigMapKeyRef
	if selector == nil {
		selector = from.SecretKeyRef
	}
	if selector == nil || selector.Key == "" {
		return defaultValuesKey
	}
	return selector.Key
}
