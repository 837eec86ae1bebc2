// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"strings"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// servedOptions are the sync options that this engine follows, or that ask for what it does anyway. Each with
// the value that it must have; empty allows any.
// Source: https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/
var servedOptions = map[string]string{
	"CreateNamespace": "", "ServerSideApply": "", "ApplyOutOfSyncOnly": "", "PruneLast": "",
	"SkipDryRunOnMissingResource": "", "Prune": "", "RespectIgnoreDifferences": "",
	"PrunePropagationPolicy": "background", "Validate": "true", "Replace": "false", "Force": "false",
	"FailOnSharedResource": "false", "ClientSideApplyMigration": "",
}

// checkServed refuses what only Argo CD itself can do: left out silently, it would deliver something else than
// what was asked for.
func checkServed(spec argov1alpha1.ApplicationSpec, op *argov1alpha1.Operation) error {
	switch s := spec.Source; {
	case len(spec.Sources) > 0:
		return invalidSpec("spec.sources: several sources are not served by the built-in engine; use spec.source")
	case s == nil || s.RepoURL == "":
		return invalidSpec("spec.source.repoURL: a repository is needed")
	case s.Chart != "" || s.Helm != nil:
		return invalidSpec("spec.source: Helm charts are not rendered by the built-in engine; deliver a Release instead")
	case s.Kustomize != nil || s.Plugin != nil:
		return invalidSpec("spec.source: only plain YAML and JSON folders are served by the built-in engine")
	case len(spec.IgnoreDifferences) > 0:
		return invalidSpec("spec.ignoreDifferences: the built-in engine repairs every difference in what the revision says, " +
			"and leaves fields alone that it does not name: take the field out of the manifest instead")
	}
	if spec.SyncPolicy != nil {
		if err := checkOptions("spec.syncPolicy.syncOptions", spec.SyncPolicy.SyncOptions); err != nil {
			return err
		}
	}
	if op == nil || op.Sync == nil {
		return nil
	}
	if len(op.Sync.Resources) > 0 {
		return invalidSpec("operation.sync.resources: the built-in engine applies a revision as a whole; leave it out")
	}
	return checkOptions("operation.sync.syncOptions", op.Sync.SyncOptions)
}

func checkOptions(field string, options []string) error {
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		if want, served := servedOptions[name]; !served || want != "" && value != want {
			return invalidSpec("%s: %q is not served by the built-in engine; take it out, or let Argo CD be the engine of this host", field, option)
		}
	}
	return nil
}

// checkProject refuses a project that restricts by what this engine does not look at.
func checkProject(p *argov1alpha1.AppProject) error {
	for field, used := range map[string]bool{
		"syncWindows": len(p.Spec.SyncWindows) > 0, "signatureKeys": len(p.Spec.SignatureKeys) > 0,
	} {
		if used {
			return invalidSpec("spec.project: AppProject %s has spec.%s, which the built-in engine does not follow, so it delivers nothing of it", p.Name, field)
		}
	}
	return nil
}
