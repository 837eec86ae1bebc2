// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package template holds what every new virtual cluster begins with (the bootstrap
// roles, system namespaces, priority classes, CRDs and so on, as an API server stores
// them) and writes it below a tenant's empty etcd prefix in one transaction. An API server
// that starts on top of it finds its own start-up work done. It belongs to station 4 of
// docs/flow.md (vcluster); docs/adr/0014-template-for-new-virtual-clusters.md says why.
package template

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/uuid"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// kinds that are the same in every virtual cluster, by the folder that the API server
// keeps them in below its prefix. All others (Services, ServiceAccounts, ConfigMaps with
// certificates, Leases, addresses) are a tenant's own.
var kinds = []string{
	"apiextensions.k8s.io/customresourcedefinitions/",
	"apiregistration.k8s.io/apiservices/",
	"clusterrolebindings/",
	"clusterroles/",
	"flowschemas/",
	"namespaces/",
	"prioritylevelconfigurations/",
	"priorityclasses/",
	"rolebindings/",
	"roles/",
}

// Includes says whether a key, relative to the API server's prefix and without a slash in
// front, is of a kind that a template holds.
func Includes(key string) bool {
	return slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(key, kind) })
}

// protobufMagic begins each value that an API server stores as protobuf; see
// k8s.io/apimachinery/pkg/runtime/serializer/protobuf.
var protobufMagic = []byte("k8s\x00")

// Template is what every new virtual cluster begins with. It does not change and may be
// used by many goroutines.
type Template struct {
	version string
	objects []object
	codecs  codecs
}

// codecs of the two forms that API servers store objects in: CRDs and APIServices as JSON,
// the built-in kinds as protobuf.
type codecs struct{ protobuf, json runtime.Serializer }

// of gives the codec that wrote a value.
func (c codecs) of(value []byte) runtime.Serializer {
	if bytes.HasPrefix(value, protobufMagic) {
		return c.protobuf
	}
	return c.json
}

// object as one tenant has it stored.
type object struct {
	key   string // relative to the prefix, such as clusterroles/view
	value []byte
}

// New makes a template of what one tenant has stored: values by key, see Includes. version
// stands for everything that the objects come from; a prefix remembers the version that it was
// filled from.
func New(version string, stored map[string][]byte) (*Template, error) {
	if version == "" {
		return nil, errors.New("a template needs a version")
	}
	codecs, err := newCodecs()
	if err != nil {
		return nil, err
	}
	t := &Template{version: version, codecs: codecs}
	for key, value := range stored {
		if !Includes(key) {
			return nil, fmt.Errorf("%s is not the same in every virtual cluster", key)
		}
		t.objects = append(t.objects, object{key, value})
	}
	slices.SortFunc(t.objects, func(a, b object) int { return strings.Compare(a.key, b.key) })
	_, err = t.instantiate(time.Now())
	return t, err
}

// Len is the number of objects.
func (t *Template) Len() int { return len(t.objects) }

func newCodecs() (codecs, error) {
	scheme := runtime.NewScheme()
	add := runtime.NewSchemeBuilder(corev1.AddToScheme, rbacv1.AddToScheme, schedulingv1.AddToScheme, flowcontrolv1.AddToScheme,
		apiextensionsv1beta1.AddToScheme, apiregistrationv1.AddToScheme)
	if err := add.AddToScheme(scheme); err != nil {
		return codecs{}, fmt.Errorf("registering the kinds of a template: %w", err)
	}
	return codecs{
		protobuf: protobuf.NewSerializer(scheme, scheme),
		json:     json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{}),
	}, nil
}

// instantiate gives the objects for one new tenant: the same, each with an identity of its
// own and the times of now.
func (t *Template) instantiate(now time.Time) ([]object, error) {
	out := make([]object, len(t.objects))
	for i, o := range t.objects {
		codec := t.codecs.of(o.value)
		decoded, _, err := codec.Decode(o.value, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("decoding %s: %w", o.key, err)
		}
		if err := renew(decoded, metav1.NewTime(now.Truncate(time.Second))); err != nil {
			return nil, fmt.Errorf("renewing %s: %w", o.key, err)
		}
		var value bytes.Buffer
		if err := codec.Encode(decoded, &value); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", o.key, err)
		}
		out[i] = object{o.key, value.Bytes()}
	}
	return out, nil
}

// renew replaces what must differ between the objects of two clusters. Times are stored in
// whole seconds.
func renew(obj runtime.Object, now metav1.Time) error {
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	accessor.SetUID(uuid.NewUUID())
	accessor.SetCreationTimestamp(now)
	fields := accessor.GetManagedFields()
	for i := range fields {
		fields[i].Time = &now
	}
	accessor.SetManagedFields(fields)
	switch o := obj.(type) {
	case *apiextensionsv1beta1.CustomResourceDefinition:
		for i := range o.Status.Conditions {
			o.Status.Conditions[i].LastTransitionTime = now
		}
	case *apiregistrationv1.APIService:
		for i := range o.Status.Conditions {
			o.Status.Conditions[i].LastTransitionTime = now
		}
	case *flowcontrolv1.FlowSchema:
		for i := range o.Status.Conditions {
			o.Status.Conditions[i].LastTransitionTime = now
		}
	case *flowcontrolv1.PriorityLevelConfiguration:
		for i := range o.Status.Conditions {
			o.Status.Conditions[i].LastTransitionTime = now
		}
	}
	return nil
}
