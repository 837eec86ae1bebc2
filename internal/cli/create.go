// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
)

// createOptions is one request for an application.
type createOptions struct {
	*common
	name           string
	language       string
	framework      string
	database       string
	cache          string
	image          string
	targetVCluster string
	size           string
	exposeAPI      bool
	deleteRepos    bool
	file           string
	dryRun         string
	wait           bool
	timeout        time.Duration
}

func (c *common) createCommand() *cobra.Command {
	o := &createOptions{common: c}
	cmd := &cobra.Command{
		Use:   "create NAME --language LANGUAGE",
		Short: "Ask for an application with its repositories, its environment and its services",
		Long: `Ask for an application with its repositories, its environment and its services. Asking again for the
same is no error; for something else it is.

With --wait, each stage is shown when it is done, and in between what is waited for. Stopping the wait
(Ctrl-C) stops nothing else.`,
		Example: `  skerry create customer-service --language go --database postgres --cache redis --wait
  skerry create orders --language python --size small
  skerry create orders --language go --target-vcluster shop
  skerry create orders --language go --dry-run -o yaml > claim.yaml
  skerry create -f claim.yaml --wait`,
		Args: atMostOne("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			return o.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.language, "language", "", "of the source template: "+strings.Join(request.Languages(), ", "))
	f.StringVar(&o.framework, "framework", "", "of the source template (default: the language's)")
	f.StringVar(&o.database, "database", "", strings.Join(request.Databases(), ", ")+" (default none)")
	f.StringVar(&o.cache, "cache", "", strings.Join(request.Caches(), ", ")+" (default none)")
	f.StringVar(&o.image, "image", "", "to run (default: the platform's demo application)")
	f.StringVar(&o.targetVCluster, "target-vcluster", "", "virtual cluster to run in (default: one of its own)")
	f.StringVar(&o.size, "size", "", "of the environment: "+strings.Join(request.Sizes(), ", ")+" (default medium)")
	f.BoolVar(&o.exposeAPI, "expose", false, "give the application a route from outside")
	f.BoolVar(&o.deleteRepos, "delete-repositories", false, "delete the repositories with the application (default: they stay)")
	f.StringVarP(&o.file, "file", "f", "", "claims to create, as YAML; - is standard input")
	dryRunFlag(cmd, &o.dryRun, "print the claim that would be made, and make nothing")
	f.BoolVar(&o.wait, "wait", false, "wait until the application answers, and show how it gets there")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "of --wait")
	c.outputFlag(cmd, "name")
	flagWords(cmd, "language", request.Languages()...)
	flagWords(cmd, "database", request.Databases()...)
	flagWords(cmd, "cache", request.Caches()...)
	flagWords(cmd, "size", request.Sizes()...)
	flagCompletion(cmd, "target-vcluster", func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return c.complete(cmd.Context(), begun, environments)
	})
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// Run creates the claims and, with --wait, follows them. With -o the claims go to standard output as they are
// then, and what is said to people to standard error.
func (o *createOptions) Run(ctx context.Context) error {
	claims, err := o.claims()
	if err != nil {
		return err
	}
	if o.dryRun == dryRunClient {
		return o.printClaims(claims, "yaml")
	}
	h, err := o.host()
	if err != nil {
		return err
	}
	for i := range claims {
		if err := o.create(ctx, h, claims[i]); err != nil {
			return err
		}
	}
	if o.dryRun == dryRunServer {
		return o.printClaims(claims, "yaml")
	}
	if err := o.follow(ctx, h, claims); err != nil {
		return err
	}
	return o.printClaims(claims, "")
}

// follow waits for the applications, or says how to.
func (o *createOptions) follow(ctx context.Context, h *host, claims []client.Object) error {
	for _, c := range claims {
		claim, ok := c.(*v1alpha1.ApplicationClaim)
		if !ok {
			if err := o.followEnvironment(ctx, c); err != nil {
				return err
			}
			continue
		}
		h.namespace = claim.Namespace
		if !o.wait {
			say(o.people(), "Follow it with: skerry wait %s%s", claim.Name, o.where(claim.Namespace))
			continue
		}
		if err := o.waitReady(ctx, h, claim, o.timeout); err != nil {
			return err
		}
	}
	return nil
}

// followEnvironment lets kubectl wait: an environment has no stages worth a line each.
func (o *createOptions) followEnvironment(ctx context.Context, env client.Object) error {
	args := []string{"wait", "--for=condition=Ready", "vclusterenvironmentclaim/" + env.GetName(), "-n", env.GetNamespace(), "--timeout=" + o.timeout.String()}
	if !o.wait {
		say(o.people(), "Follow it with: skerry kubectl %s", strings.Join(args, " "))
		return nil
	}
	flags, err := o.hostFlags(nil)
	if err != nil {
		return err
	}
	program := o.program
	program.Out = o.people()
	return program.kubectl(ctx, flags, args)
}

// claims are the objects that the flags or the file ask for, checked.
func (o *createOptions) claims() ([]client.Object, error) {
	if o.file != "" {
		if o.name != "" {
			return nil, usage("a name and -f exclude each other: the file has the name")
		}
		return readClaims(o.program.In, o.file, o.namespace)
	}
	if o.name == "" {
		return nil, usage("a name is needed: skerry create NAME --language %s", strings.Join(request.Languages(), "|"))
	}
	claim := &v1alpha1.ApplicationClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ApplicationClaim"},
		ObjectMeta: metav1.ObjectMeta{Name: o.name, Namespace: o.namespace},
		Spec: v1alpha1.ApplicationClaimSpec{
			Name: o.name, Language: o.language, Framework: o.framework, Database: o.database, Cache: o.cache,
			Image: o.image, TargetVCluster: o.targetVCluster, Size: o.size, ExposeAPI: o.exposeAPI,
		},
	}
	if o.deleteRepos {
		claim.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	}
	if err := checked(request.Check(claim.Spec)); err != nil {
		return nil, err
	}
	return []client.Object{claim}, nil
}

// checked turns what is wrong with a request into words about flags.
func checked(err error) error {
	var bad *request.Error
	if !errors.As(err, &bad) {
		return err
	}
	flags := map[string]string{
		"spec.name": "NAME", "spec.language": "--language", "spec.framework": "--framework", "spec.database": "--database",
		"spec.cache": "--cache", "spec.image": "--image", "spec.targetVCluster": "--target-vcluster", "spec.size": "--size",
	}
	lines := make([]string, 0, len(bad.Problems))
	for _, p := range bad.Problems {
		lines = append(lines, cmp.Or(flags[p.Field], p.Field)+": "+p.Message)
	}
	return usage("%s", strings.Join(lines, "\n       "))
}

// create creates one claim. One that is there and asks for the same is fine.
func (o *createOptions) create(ctx context.Context, h *host, c client.Object) error {
	if c.GetNamespace() == "" {
		c.SetNamespace(h.namespace)
	}
	asked, kind := c.DeepCopyObject(), c.GetObjectKind().GroupVersionKind().Kind
	if claim, ok := c.(*v1alpha1.ApplicationClaim); ok {
		if err := o.joins(ctx, h, claim); err != nil {
			return err
		}
		annotations := map[string]string{request.AnnotationRequestedAt: time.Now().UTC().Format(time.RFC3339Nano)}
		for k, v := range c.GetAnnotations() {
			annotations[k] = v
		}
		c.SetAnnotations(annotations)
	}
	opts := []client.CreateOption{client.FieldOwner("skerry-cli")}
	if o.dryRun == dryRunServer {
		opts = append(opts, client.DryRunAll)
	}
	err := h.client.Create(ctx, c, opts...)
	c.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind)) // the client drops it
	switch {
	case err == nil && o.dryRun == "":
		say(o.people(), "%s %s/%s created.", kind, c.GetNamespace(), c.GetName())
		return nil
	case err == nil:
		return nil
	case apierrors.IsAlreadyExists(err):
		return o.same(ctx, h, asked, c)
	case apierrors.IsInvalid(err):
		return usage("%s", refusal(err))
	}
	return fmt.Errorf("creating %s %s: %w", kind, c.GetName(), explain(err, client.ObjectKeyFromObject(c)))
}

// joins refuses a size for an environment that is there already and was not made for the claim, as the operator
// would. What may not be read here is left to it.
func (o *createOptions) joins(ctx context.Context, h *host, claim *v1alpha1.ApplicationClaim) error {
	var list v1alpha1.VClusterEnvironmentClaimList
	if claim.Spec.Size == "" || h.client.List(ctx, &list, client.InNamespace(claim.Namespace)) != nil {
		return nil
	}
	for i := range list.Items {
		env := &list.Items[i]
		if env.Spec.Name == request.Target(claim.Spec) && env.Labels[v1alpha1.LabelClaim] != request.Label(claim.Namespace, claim.Name) {
			return checked(request.CheckJoin(claim.Spec, env))
		}
	}
	return nil
}

// refusal is the API server's reason without the name of the kind and the object.
func refusal(err error) string {
	var s apierrors.APIStatus
	if !errors.As(err, &s) || s.Status().Details == nil || len(s.Status().Details.Causes) == 0 {
		return err.Error()
	}
	var lines []string
	for _, c := range s.Status().Details.Causes {
		lines = append(lines, c.Field+": "+c.Message)
	}
	return strings.Join(lines, "\n       ")
}
