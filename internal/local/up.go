// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/skerry-platform/skerry/internal/image"
	"github.com/skerry-platform/skerry/internal/local/supervise"
	"github.com/skerry-platform/skerry/internal/version"
)

// bringUp is one run of Up.
type bringUp struct {
	Options
	layout   layout
	instance *Instance
	config   *rest.Config
	clients  kubernetes.Interface
	// appImages is the preparation of the application images, in the background from
	// the moment when containerd serves.
	appImages *errgroup.Group
}

// Up brings the instance up and returns when its node is Ready, DNS and storage serve
// and all images are there. What is up already is left alone. The options must be
// complete. Errors of the preflight are *PreflightError, joined.
func Up(ctx context.Context, o Options) error {
	if err := basics(thisMachine{}); err != nil {
		return err
	}
	u := &bringUp{Options: o, layout: o.layout()}
	began := time.Now()
	if err := u.preflight(); err != nil {
		return fmt.Errorf("this machine cannot run the local platform yet:\n%w", err)
	}
	unlock, err := lockWholeState(u.layout)
	if err != nil {
		return err
	}
	defer unlock()
	if err := withMachine(u.plan); err != nil {
		return err
	}
	background, cancel := context.WithCancel(ctx)
	u.appImages, background = errgroup.WithContext(background)
	defer func() {
		cancel()
		_ = u.appImages.Wait() // what is broken off tidies up behind itself
	}()
	fmt.Fprintf(o.Out, "Bringing up the local platform %q (%s)\n", o.Name, version.Version)
	took, err := runActions(ctx, o.Out, u.actions(background), u.instance.Seconds)
	if err != nil {
		return fmt.Errorf("%w\nthe logs are in %s; `skerry down` takes down what is up", err, u.layout.in("logs"))
	}
	u.instance.Seconds = took
	if err := u.instance.save(u.layout); err != nil {
		return err
	}
	return u.sayNext(time.Since(began))
}

// preflight finds out about the instance and the machine before anything changes.
func (u *bringUp) preflight() error {
	known, err := loadInstance(u.layout)
	if err != nil {
		return err
	}
	record, err := loadMachine()
	if err != nil {
		return err
	}
	supervisor, err := supervise.Load(u.layout.run(), supervise.Supervisor)
	if err != nil {
		return err
	}
	components, err := anyAlive(u.layout)
	if err != nil {
		return err
	}
	return preflight(thisMachine{}, preflightInput{
		options: u.Options, version: version.Version, known: known,
		running: supervisor.Alive(), owner: record.Instances[u.Name], components: components, images: u.images(),
	})
}

func (u *bringUp) images() []string {
	if u.NodeOnly {
		return image.SystemImages()
	}
	return append(image.SystemImages(), image.AppImages()...)
}

// plan settles the instance's addresses, those of before if it has been up already, and registers
// it: both at once, so that of two new instances the second sees what the first has chosen.
func (u *bringUp) plan(m *machineRecord) error {
	known, err := loadInstance(u.layout)
	if err != nil {
		return err
	}
	taken, err := takenNetworks(u.layout)
	if err != nil {
		return err
	}
	others, err := m.networks(u.layout)
	if err != nil {
		return err
	}
	taken = append(taken, others...)
	if known == nil {
		known = &Instance{Name: u.Name}
		if known.Addresses, err = PlanAddresses(u.Name, taken); err != nil {
			return err
		}
	} else if conflict := known.Addresses.Conflict(taken); conflict != nil {
		return &PreflightError{CheckAddresses, conflict.Error(),
			"remove that route (or take the other instance down), or forget this instance's data and addresses: skerry down --purge"}
	}
	known.Version = version.Version
	u.instance = known
	if err := known.save(u.layout); err != nil {
		return err
	}
	return m.enter(u.layout)
}

// actions are the steps of Up. background outlives the action that it is used in.
func (u *bringUp) actions(background context.Context) []action {
	usualImages := 30 * time.Second
	if u.NodeOnly {
		usualImages = 0
	}
	return []action{
		{"Connecting the node's network", 200 * time.Millisecond, time.Minute, u.network},
		{"Writing certificates and configuration", 100 * time.Millisecond, time.Minute, u.configure},
		{"Starting the processes", 300 * time.Millisecond, time.Minute, u.start},
		{"Importing the node's images", 6 * time.Second, 5 * time.Minute, func(ctx context.Context) error {
			return u.systemImages(ctx, background)
		}},
		{"Waiting for the API server", 5 * time.Second, 3 * time.Minute, func(ctx context.Context) error { return awaitAPI(ctx, u.clients) }},
		{"Waiting for the node", 4 * time.Second, 2 * time.Minute, func(ctx context.Context) error { return awaitNode(ctx, u.clients, u.layout) }},
		{"Installing DNS and storage", time.Second, time.Minute, func(ctx context.Context) error {
			return applyAddons(ctx, u.config, u.instance.Addresses)
		}},
		{"Waiting for DNS", 5 * time.Second, 2 * time.Minute, func(ctx context.Context) error { return awaitDNS(ctx, u.clients, u.instance.Addresses) }},
		{"Preparing the application images", usualImages, 20 * time.Minute, func(context.Context) error { return u.appImages.Wait() }},
	}
}

func (u *bringUp) network(context.Context) error {
	// Not before the machine's record, with the value from before, is written.
	if err := writeSysctl(forwarding, "1"); err != nil {
		return err
	}
	return connect(u.layout, u.instance.Addresses)
}

func (u *bringUp) configure(context.Context) error {
	if err := ensureCertificates(u.layout, u.instance.Addresses); err != nil {
		return err
	}
	if err := writeConfig(u.layout, u.instance.Addresses); err != nil {
		return err
	}
	var err error
	if u.config, err = u.layout.restConfig(); err != nil {
		return err
	}
	u.clients, err = kubernetes.NewForConfig(u.config)
	return err
}

func (u *bringUp) start(ctx context.Context) error { return u.startProcesses(ctx) }

// systemImages waits for containerd, imports what the node itself needs, and begins
// with the rest.
func (u *bringUp) systemImages(ctx, background context.Context) error {
	socket := u.layout.containerdSocket()
	if err := awaitSocket(ctx, socket); err != nil {
		return err
	}
	builder := image.Builder{Programs: u.BinDir, Cache: u.ImageCache, Registry: u.Registry}
	node := image.Node{Socket: socket}
	for _, name := range image.SystemImages() {
		if _, err := builder.Ensure(ctx, node, name); err != nil {
			return err
		}
	}
	if u.NodeOnly {
		return nil
	}
	// At the same time: much of each is waiting for the mirror and the disk.
	for _, name := range image.AppImages() {
		u.appImages.Go(func() error {
			_, err := builder.Ensure(background, node, name)
			return err
		})
	}
	return nil
}

// awaitSocket waits until something accepts connections at a socket.
func awaitSocket(ctx context.Context, path string) error {
	var last error
	dialer := net.Dialer{}
	err := wait.PollUntilContextCancel(ctx, readyInterval, true, func(ctx context.Context) (bool, error) {
		var conn net.Conn
		if conn, last = dialer.DialContext(ctx, "unix", path); last != nil {
			return false, nil
		}
		return true, conn.Close()
	})
	if err != nil {
		return fmt.Errorf("containerd does not serve: %w", errors.Join(last, err))
	}
	return nil
}

func (u *bringUp) sayNext(took time.Duration) error {
	v, err := u.clients.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	fmt.Fprintf(u.Out, "The local platform is up after %.1fs: node %s, Kubernetes %s, at %s\n",
		seconds(took), u.Name, v.GitVersion, u.instance.Addresses.Server())
	fmt.Fprintf(u.Out, "Its kubeconfig is %s (context skerry-%s). Next: skerry install\n", u.layout.kubeconfig(), u.Name)
	return nil
}
