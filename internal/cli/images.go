// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-platform/skerry/internal/image"
)

// systemImageCache is where `skerry up`, which runs as root, keeps what was extracted of packages.
const systemImageCache = "/var/cache/skerry/images"

// imagesOptions are those of bringing the platform's images to a cluster that is not local.
type imagesOptions struct {
	*common
	services  bool
	plainHTTP bool
	cache     string
}

func (c *common) imagesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "Bring the platform's container images to a registry or into files",
		Long: `Bring the platform's container images to a registry or into files.

The images are made of the programs beside this one, for this machine's processor. The local platform
needs none of this: skerry up brings them to its node itself.`,
		Example: `  skerry images push registry.example.com/skerry
  skerry install --registry registry.example.com/skerry`,
	}
	onlySubcommands(cmd)
	cmd.AddCommand(c.imagesListCommand(), c.imagesPushCommand(), c.imagesSaveCommand())
	return cmd
}

func (o *imagesOptions) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&o.services, "services", false, "the catalog's PostgreSQL and Redis too, built from Debian's packages (needs mmdebstrap)")
	cmd.Flags().StringVar(&o.cache, "image-cache", "", "folder that keeps what was extracted of packages (default /var/cache/skerry/images for root, else the person's cache folder)")
	return cmd
}

func (c *common) imagesListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the images that a cluster needs",
		Example: "  skerry images list -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			type row struct {
				Name string `json:"name"`
				Of   string `json:"of"`
			}
			var rows []row
			for _, name := range image.PlatformImages() {
				rows = append(rows, row{name, "the platform"})
			}
			for _, name := range image.ServiceImages() {
				rows = append(rows, row{name, "the catalog"})
			}
			return c.print(rows, func(w io.Writer) error {
				table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
				fmt.Fprintln(table, "NAME\tOF")
				for _, r := range rows {
					fmt.Fprintf(table, "%s\t%s\n", r.Name, r.Of)
				}
				return table.Flush()
			})
		},
	}
	c.outputFlag(cmd)
	return cmd
}

func (c *common) imagesPushCommand() *cobra.Command {
	o := &imagesOptions{common: c}
	cmd := o.flags(&cobra.Command{
		Use:     "push REGISTRY[/PATH]",
		Short:   "Push the images to a registry",
		Long:    "Push the images to a registry. What it has already is not sent again. Credentials are those of ~/.docker/config.json.",
		Example: "  skerry images push registry.example.com/skerry --services",
		Args:    exactly(1, "the registry, as REGISTRY[/PATH],"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.push(cmd.Context(), args[0]) },
	})
	cmd.Flags().BoolVar(&o.plainHTTP, "plain-http", false, "the registry speaks HTTP only (on this machine and in private networks that is tried by itself)")
	c.outputFlag(cmd)
	return cmd
}

func (c *common) imagesSaveCommand() *cobra.Command {
	o := &imagesOptions{common: c}
	return o.flags(&cobra.Command{
		Use:     "save FOLDER",
		Short:   "Write each image to a file, for machines that reach no registry",
		Long:    "Write each image as a tar of an OCI image layout to a file, which `ctr -n k8s.io images import` and `docker load` read.",
		Example: "  skerry images save /media/stick --services",
		Args:    exactly(1, "the folder"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.save(cmd.Context(), args[0]) },
	})
}

func (o *imagesOptions) push(ctx context.Context, prefix string) error {
	var pushed []image.Pushed
	err := o.each(func(b image.Builder, name string) (string, error) {
		done, err := b.Push(ctx, name, prefix, o.plainHTTP)
		pushed = append(pushed, done)
		return done.Reference, err
	})
	if err != nil {
		return err
	}
	return o.print(pushed, func(w io.Writer) error {
		say(w, "Next: skerry install --registry %s%s", prefix, map[bool]string{true: " --service-registry " + prefix}[o.services])
		return nil
	})
}

func (o *imagesOptions) save(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return o.each(func(b image.Builder, name string) (string, error) { return b.Save(ctx, name, dir) })
}

// each does something with every image that is asked for, with a line of progress each.
func (o *imagesOptions) each(do func(image.Builder, string) (string, error)) error {
	kube, err := o.program.sibling("skerry-kube")
	if err != nil {
		return err
	}
	builder := image.Builder{Programs: filepath.Dir(kube), Cache: o.cache}
	if builder.Cache == "" {
		if builder.Cache, err = imageCache(); err != nil {
			return err
		}
	}
	names := image.PlatformImages()
	if o.services {
		names = append(names, image.ServiceImages()...)
	}
	p := o.progress(o.program.ErrOut)
	defer p.close()
	for _, name := range names {
		begun := time.Now()
		p.wait(name)
		to, err := do(builder, name)
		if err != nil {
			return err
		}
		p.done(line{key: name, text: to, took: time.Since(begun)})
	}
	return nil
}

func imageCache() (string, error) {
	if os.Geteuid() == 0 {
		return systemImageCache, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", usage("no folder for the cache: %w; name one with --image-cache", err)
	}
	return filepath.Join(dir, "skerry", "images"), nil
}
