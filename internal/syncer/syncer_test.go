// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import "testing"

// TestSyncer runs the stories against one pair of clusters, each in namespaces of its own.
func TestSyncer(t *testing.T) {
	w := newWorld(t, "east")
	for _, story := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"a Pod runs and ends", podRunsAndEnds},
		{"a Pod has tokens and the CA of its virtual cluster", podHasTokens},
		{"what a Pod uses comes with it and goes with it", podReferencesFollow},
		{"a Pod that the host refuses says why, and is tried again", podRefused},
		{"a Pod that the host evicts ends in the virtual cluster", podEvicted},
		{"a Pod made anew waits for the one before it", podMadeAnew},
		{"a Pod changes in place", podChanges},
		{"a Pod knows its virtual labels and its virtual name", podKnowsItself},
		{"a chart's Pod appears with its events", podMirrored},
		{"a Service has its host address from the start", serviceAllocated},
		{"a Service whose creation fails leaves nothing on the host", serviceNeverCreated},
		{"a Service deleted on the host is made again", serviceHeals},
		{"a chart's Service appears", serviceMirrored},
		{"an EndpointSlice written by hand reaches the host", slicesFollow},
		{"Endpoints written by hand reach the host", endpointsFollow},
		{"addresses that mean the node itself are refused", slicesRefused},
		{"what a chart wrote for its Service appears", slicesMirrored},
		{"a claim is bound and held until the host's is gone", claimFollows},
		{"a claim's volume is seen as long as the claim is", volumeSeen},
		{"a chart's binding Secret and claim appear", bindingMirrored},
		{"a namespace is held until its host namespace is gone", namespaceEnds},
		{"a Release goes down and its status comes up", releaseFollows},
		{"a cluster-scoped Release goes to the namespace that it names", releaseClusterScoped},
		{"a Release made anew takes over what is installed", releaseAdopts},
		{"a Release that may not be says why", releaseRefused},
		{"two Releases that want one name", releasesCollide},
		{"nodes, storage classes and definitions appear", sharedAppear},
		{"a restart compares everything", restartCompares},
		{"nothing is written at rest", quietAtRest},
	} {
		t.Run(story.name, func(t *testing.T) { story.run(t, w) })
	}
}
