// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package helm is station 8 of docs/flow.md, the Helm part: it installs, upgrades,
// repairs and removes the charts that Releases of helm.m.crossplane.io ask for in the
// tenants' host namespaces, acting as the tenant. It is the only importer
// of the Helm SDK; the CLI installs the platform's own chart through it.
//
// A reconcile observes (observe.go: Helm's storage, then the workloads), decides
// (decide.go, pure) and acts (actions.go, one small type an action) until nothing is
// left to do. What it found becomes the conditions Synced and Ready in one place
// (conditions.go). A worker never waits for workloads: their readiness is
// read again when a watch says that one of them changed (watches.go).
package helm
