// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package register

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	// A proxy on the way out of the host is none on the way to a virtual cluster.
	if err := os.Setenv("HTTPS_PROXY", "http://127.0.0.1:9"); err != nil {
		panic(err)
	}
	testenv.Main(m)
}

const argoNamespace = "argocd"

// world is a host with the controller running, and a virtual cluster beside it.
type world struct {
	*testenv.Env
	t       *testing.T
	virtual *testenv.Env
}

func startWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Env: testenv.Start(t), t: t, virtual: testenv.StartOwn(t)}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: argoNamespace}}
	if err := w.Client.Create(t.Context(), ns); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	address, err := url.Parse(w.virtual.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	mgr, err := ctrl.NewManager(w.Config, ctrl.Options{
		Scheme: w.Scheme, Metrics: server.Options{BindAddress: "0"}, Logger: logr.Discard(),
		Cache:  cache.Options{ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: {Namespaces: map[string]cache.Config{argoNamespace: {}}}}},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = SetupWithManager(mgr, Options{TokenLife: 10 * time.Minute, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address.Host) // no node routes ClusterIPs here
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return w
}

// serve makes a VirtualCluster and its kubeconfig, as station 4 and a pool member leave them.
func (w *world) serve(name string, resources ...string) *v1alpha1.VirtualCluster {
	w.t.Helper()
	ctx := w.t.Context()
	config, err := clientcmd.LoadFromFile(w.virtual.Kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	var ca []byte
	for _, c := range config.Clusters {
		c.TLSServerName = "127.0.0.1"
		ca = c.CertificateAuthorityData
	}
	data, err := clientcmd.Write(*config)
	if err != nil {
		w.t.Fatal(err)
	}
	vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	vc.Spec.GitOps = &v1alpha1.GitOpsAccess{Resources: resources}
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "vc-" + name}, Data: map[string][]byte{"config": data, "certificate-authority": ca}},
		vc,
	} {
		if err := w.Client.Create(ctx, o); err != nil {
			w.t.Fatal(err)
		}
	}
	w.set(vc, v1alpha1.ConditionControlPlaneReady, func() { vc.Status.ServiceIP = "10.96.0.99" })
	return vc
}

func (w *world) set(vc *v1alpha1.VirtualCluster, typ string, also func()) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		if err := w.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
			return err
		}
		status.Set(&vc.Status.Conditions, vc.Generation, typ, metav1.ConditionTrue, "Test", "")
		also()
		return w.Client.Status().Update(ctx, vc)
	})
}

func (w *world) registered(vc *v1alpha1.VirtualCluster, s metav1.ConditionStatus) *metav1.Condition {
	w.t.Helper()
	var c *metav1.Condition
	testenv.Eventually(w.t, func(ctx context.Context) error {
		if err := w.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
			return err
		}
		if c = status.Get(vc.Status.Conditions, v1alpha1.ConditionRegistered); c == nil || c.Status != s {
			return fmt.Errorf("Registered is %+v, want %s", c, s)
		}
		return nil
	})
	return c
}

func (w *world) secret(name string) (*corev1.Secret, error) {
	s := &corev1.Secret{}
	return s, w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: argoNamespace, Name: SecretName(name)}, s)
}

// engine is a client as a GitOps engine makes it from the cluster Secret.
func (w *world) engine(s *corev1.Secret) *kubernetes.Clientset {
	w.t.Helper()
	var config clusterConfig
	if err := json.Unmarshal(s.Data["config"], &config); err != nil {
		w.t.Fatal(err)
	}
	c, err := kubernetes.NewForConfig(&rest.Config{
		Host: w.virtual.Config.Host, BearerToken: config.BearerToken, TLSClientConfig: rest.TLSClientConfig{CAData: config.TLSClientConfig.CAData},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestRegistersAndMayDoWhatItShould(t *testing.T) {
	w := startWorld(t)
	vc := w.serve("bay", "configmaps")
	w.registered(vc, metav1.ConditionTrue)
	s, err := w.secret("bay")
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Data["name"]) != "bay" || string(s.Data["server"]) != "https://bay.bay.svc:443" ||
		s.Labels["argocd.argoproj.io/secret-type"] != "cluster" || s.Labels["vcluster.loft.sh/vcluster-name"] != "bay" {
		t.Errorf("cluster Secret: name %s, server %s, labels %v", s.Data["name"], s.Data["server"], s.Labels)
	}
	if strings.Contains(string(s.Data["config"]), "insecure") {
		t.Error("the cluster Secret speaks of insecure")
	}
	engine, ctx := w.engine(s), t.Context()
	testenv.Eventually(t, func(ctx context.Context) error { // the authorizer hears of new rights in a moment
		_, err := engine.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
		return err
	})
	if err := engine.CoreV1().ConfigMaps("default").Delete(ctx, "x", metav1.DeleteOptions{}); err != nil {
		t.Errorf("deleting it: %v", err)
	}
	if _, err := engine.CoreV1().Pods("").List(ctx, metav1.ListOptions{}); err != nil {
		t.Errorf("reading anything: %v", err)
	}
	_, err = engine.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("writing anything else: got %v, want forbidden", err)
	}
}

func TestSecretComesBackAndFollows(t *testing.T) {
	w := startWorld(t)
	vc := w.serve("cove", "configmaps")
	w.registered(vc, metav1.ConditionTrue)
	first, err := w.secret("cove")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	var second *corev1.Secret
	testenv.Eventually(t, func(context.Context) (err error) {
		second, err = w.secret("cove")
		return err
	})
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := w.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
			return err
		}
		vc.Spec.GitOps.Resources = []string{"secrets"}
		return w.Client.Update(ctx, vc)
	})
	testenv.Eventually(t, func(ctx context.Context) error {
		s, err := w.secret("cove")
		if err != nil {
			return err
		}
		if s.Annotations[annotationAccess] == second.Annotations[annotationAccess] {
			return fmt.Errorf("the rights are still the old ones")
		}
		_, err = w.engine(s).CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{GenerateName: "x"}}, metav1.CreateOptions{})
		return err
	})
}

// Registered is True only while what the engine holds opens the virtual cluster, also when the
// registration was fine before.
func TestDoesNotStayRegisteredWithWhatOpensNothing(t *testing.T) {
	w := startWorld(t)
	vc := w.serve("wrack", "configmaps")
	w.registered(vc, metav1.ConditionTrue)
	w.event(vc, "Registered")
	kubeconfig := &corev1.Secret{}
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: "wrack", Name: "vc-wrack"}, kubeconfig); err != nil {
		t.Fatal(err)
	}
	good := kubeconfig.DeepCopy().Data
	kubeconfig.Data["certificate-authority"], kubeconfig.Data["config"] = []byte("another"), []byte("broken: [")
	if err := w.Client.Update(t.Context(), kubeconfig); err != nil {
		t.Fatal(err)
	}
	w.set(vc, v1alpha1.ConditionPrepared, func() {}) // how station 4 tells of a new Secret
	if c := w.registered(vc, metav1.ConditionFalse); !strings.Contains(c.Message, "kubeconfig in Secret wrack/vc-wrack") {
		t.Errorf("Registered says %q", c.Message)
	}
	w.event(vc, v1alpha1.ReasonReconcileError)
	kubeconfig.Data = good
	if err := w.Client.Update(t.Context(), kubeconfig); err != nil {
		t.Fatal(err)
	}
	w.registered(vc, metav1.ConditionTrue) // it tries again by itself
}

// event waits for an Event about the VirtualCluster.
func (w *world) event(vc *v1alpha1.VirtualCluster, reason string) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		list := &corev1.EventList{}
		if err := w.Client.List(ctx, list); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.InvolvedObject.UID == vc.UID && e.Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("no Event %s about %s", reason, vc.Name)
	})
}

func TestRefusals(t *testing.T) {
	w := startWorld(t)
	taken := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: argoNamespace, Name: SecretName("taken")}}
	if err := w.Client.Create(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	inTheWay := w.serve("taken")
	if c := w.registered(inTheWay, metav1.ConditionFalse); c.Reason != reasonSecretTaken {
		t.Errorf("a Secret of somebody else: %+v", c)
	}
	if err := w.Client.Delete(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	w.registered(inTheWay, metav1.ConditionTrue)
	if c := w.registered(w.serve("invalid", "*"), metav1.ConditionFalse); c.Reason != reasonInvalid || !strings.Contains(c.Message, "spec.gitops.resources[0]") {
		t.Errorf("a wildcard: %+v", c)
	}
}

func TestLeavesInOrder(t *testing.T) {
	w := startWorld(t)
	vc := w.serve("ebb")
	w.registered(vc, metav1.ConditionTrue)
	if !controllerutil.ContainsFinalizer(vc, v1alpha1.FinalizerRegistration) {
		t.Fatal("the VirtualCluster is not held")
	}
	if err := w.Client.Delete(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	testenv.Always(t, 500*time.Millisecond, func(context.Context) error {
		_, err := w.secret("ebb")
		return err
	})
	w.set(vc, v1alpha1.ConditionDrained, func() {})
	testenv.Eventually(t, func(ctx context.Context) error {
		if _, err := w.secret("ebb"); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the cluster Secret is still there: %v", err)
		}
		return client.IgnoreNotFound(w.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc))
	})
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := w.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the VirtualCluster is still there: %v", err)
		}
		return nil
	})
}
