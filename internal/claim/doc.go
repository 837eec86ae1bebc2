// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package claim is stations 2 and 3 of docs/flow.md: an ApplicationClaim becomes a pair of
// repositories, an environment, and the delivery of the one into the other; a VClusterEnvironmentClaim
// becomes a VirtualCluster.
//
// Both kinds go the same way: check (is it possible?), observe (what is there?), plan (what
// should be there? pure), write (what is missing or different), stages (what to tell? pure). Deletion walks
// the plan backwards and says what it waits for.
//
// Objects in other namespaces cannot have an owner in this one, so children are found by
// the label platform.skerry.dev/claim, and a finalizer holds the claim until they are gone.
package claim
