// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// Status is what an instance looks like now.
type Status struct {
	Name  string `json:"name"`
	State string `json:"state"`
	// Version is the version of Skerry that last brought the instance up; empty when
	// none did.
	Version string `json:"version,omitempty"`
	// Phase is Absent (no data), Down (data, no process), Degraded (some process,
	// the node or an addon is not ready) or Ready.
	Phase      Phase           `json:"phase"`
	Server     string          `json:"server,omitempty"`
	Kubeconfig string          `json:"kubeconfig,omitempty"`
	Processes  []ProcessStatus `json:"processes"`
	Node       NodeStatus      `json:"node"`
	Addons     []AddonStatus   `json:"addons"`
}

// Phase sums a Status up.
type Phase string

// The phases of an instance.
const (
	PhaseAbsent   Phase = "Absent"
	PhaseDown     Phase = "Down"
	PhaseDegraded Phase = "Degraded"
	PhaseReady    Phase = "Ready"
)

// ProcessStatus is one supervised process.
type ProcessStatus struct {
	Name    string `json:"name"`
	Running bool   `json:"running"`
	PID     int    `json:"pid,omitempty"`
	// UptimeSeconds is since the last start.
	UptimeSeconds int64  `json:"uptimeSeconds,omitempty"`
	Restarts      int    `json:"restarts"`
	Log           string `json:"log"`
}

// NodeStatus is the Node object's condition Ready.
type NodeStatus struct {
	Name    string `json:"name"`
	Ready   bool   `json:"ready"`
	Message string `json:"message,omitempty"`
}

// statusTimeout bounds the questions to the API server.
const statusTimeout = 3 * time.Second

// processOrder is the order in which Status lists the processes.
var processOrder = []string{
	supervise.Supervisor, supervise.Guard, procContainerd, procEtcd, procAPIServer,
	procControllerManager, procScheduler, procKubelet, procProxy, procProvisioner,
}

// GetStatus looks at an instance. That it is down or absent is no error.
func GetStatus(ctx context.Context, o Options) (*Status, error) {
	l := o.layout()
	s := &Status{Name: o.Name, State: o.StateDir, Phase: PhaseAbsent, Node: NodeStatus{Name: o.Name}}
	instance, err := loadInstance(l)
	if err != nil || instance == nil {
		return s, err
	}
	s.Version, s.Server, s.Kubeconfig = instance.Version, instance.Addresses.Server(), l.kubeconfig()
	now := time.Now()
	for _, name := range processOrder {
		record, err := supervise.Load(l.run(), name)
		if err != nil {
			return nil, err
		}
		s.Processes = append(s.Processes, processStatus(l, name, record, now))
	}
	if s.running() == 0 {
		s.Phase = PhaseDown
		return s, nil
	}
	s.ask(ctx, l)
	s.Phase = s.sum()
	return s, nil
}

func processStatus(l layout, name string, record *supervise.Record, now time.Time) ProcessStatus {
	p := ProcessStatus{Name: name, Log: l.log(name)}
	if record == nil {
		return p
	}
	p.Restarts = record.Restarts
	if record.Alive() {
		p.Running, p.PID, p.UptimeSeconds = true, record.PID, int64(now.Sub(record.Started).Seconds())
	}
	return p
}

// ask fills in what the API server knows; its silence is the node's message.
func (s *Status) ask(ctx context.Context, l layout) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	config, err := l.restConfig()
	if err != nil {
		s.Node.Message = err.Error()
		return
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		s.Node.Message = err.Error()
		return
	}
	node, err := clients.CoreV1().Nodes().Get(ctx, s.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		s.Node.Message = "the kubelet has not registered it"
	case err != nil:
		s.Node.Message = fmt.Sprintf("the API server does not answer: %v", err)
		return
	default:
		if s.Node.Ready, s.Node.Message = nodeReady(node); s.Node.Ready {
			s.Node.Message = ""
		}
	}
	s.Addons = addonStatuses(ctx, clients)
}

func (s *Status) running() int {
	n := 0
	for _, p := range s.Processes {
		if p.Running {
			n++
		}
	}
	return n
}

// sum is Ready when everything is.
func (s *Status) sum() Phase {
	if s.running() < len(s.Processes) || !s.Node.Ready {
		return PhaseDegraded
	}
	for _, a := range s.Addons {
		if !a.Ready {
			return PhaseDegraded
		}
	}
	return PhaseReady
}

// Print writes the status as json, yaml, or (when format is empty) for people.
func (s *Status) Print(w io.Writer, format string) error {
	switch format {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(s)
	case "yaml":
		text, err := yaml.Marshal(s)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	case "":
		return s.table(w)
	default:
		return fmt.Errorf("-o %q: must be json or yaml", format)
	}
}

func (s *Status) table(w io.Writer) error {
	fmt.Fprintf(w, "Local platform %q: %s\n", s.Name, s.Phase)
	switch s.Phase {
	case PhaseAbsent, PhaseDown:
		fmt.Fprintln(w, "Bring it up with: skerry up")
		return nil
	}
	fmt.Fprintf(w, "%s, kubeconfig %s\n\n", s.Server, s.Kubeconfig)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROCESS\tPID\tUPTIME\tRESTARTS")
	for _, p := range s.Processes {
		if p.Running {
			fmt.Fprintf(t, "%s\t%d\t%s\t%d\n", p.Name, p.PID, time.Duration(p.UptimeSeconds)*time.Second, p.Restarts)
		} else {
			fmt.Fprintf(t, "%s\t-\tnot running, see %s\t%d\n", p.Name, p.Log, p.Restarts)
		}
	}
	fmt.Fprintln(t, "\nPART\tREADY\t")
	fmt.Fprintf(t, "node %s\t%t\t%s\n", s.Node.Name, s.Node.Ready, s.Node.Message)
	for _, a := range s.Addons {
		fmt.Fprintf(t, "%s\t%t\t%s\n", a.Name, a.Ready, a.Message)
	}
	return t.Flush()
}
