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
		{"a Pod evicted inside ends on the host, and says so", podEvictedInside},
		{"a Pod that is lost with its host is an end that a Job can count", podLost},
		{"a Pod and its sidecar are resized", podResized},
		{"a Pod that asks for the node says what the host's policy is", podForbidden},
		{"unusual ConfigMaps and Secrets reach the host", configKinds},
		{"what is changed on the host is put right", hostEditsUndone},
		{"a disruption budget holds on the host, in Pods", budgetFollows},
		{"a Pod made anew waits for the one before it", podMadeAnew},
		{"a Pod changes in place", podChanges},
		{"a Pod knows its virtual labels and its virtual name", podKnowsItself},
		{"a chart's Pod appears with its events", podMirrored},
		{"a chart's Pod that ends shows it", chartPodEnds},
		{"a Service has its host address from the start", serviceAllocated},
		{"a Service whose creation fails leaves nothing on the host", serviceNeverCreated},
		{"an event about a Service that is just being made is seen", serviceEventFirst},
		{"a Service created twice stays as it is", serviceTwice},
		{"Services of every type reach the host", serviceTypes},
		{"a Service deleted on the host is made again", serviceHeals},
		{"a chart's Service appears", serviceMirrored},
		{"an EndpointSlice written by hand reaches the host", slicesFollow},
		{"Endpoints written by hand reach the host", endpointsFollow},
		{"addresses that mean the node itself are refused", slicesRefused},
		{"what a chart wrote for its Service appears", slicesMirrored},
		{"what each side computes is left to it", slicesComputed},
		{"an Ingress and its certificate reach the host, its address comes back", ingressFollows},
		{"a chart's Ingress appears", ingressMirrored},
		{"a claim is bound and held until the host's is gone", claimFollows},
		{"a claim deleted on the host is lost, not empty", claimLost},
		{"a claim's volume is seen as long as the claim is", volumeSeen},
		{"a chart's binding Secret and claim appear", bindingMirrored},
		{"a namespace is held until its host namespace is gone", namespaceEnds},
		{"a namespace made anew gets a host namespace anew", namespaceAnew},
		{"a Release goes down and its status comes up", releaseFollows},
		{"a cluster-scoped Release goes to the namespace that it names", releaseClusterScoped},
		{"a Release made anew takes over what is installed", releaseAdopts},
		{"a Release that may not be says why", releaseRefused},
		{"two Releases that want one name", releasesCollide},
		{"nodes, storage classes and definitions appear", sharedAppear},
		{"a restart compares everything", restartCompares},
		{"a host namespace that never opens keeps nobody waiting", hostNamespaceNeverOpens},
		{"a view that lags behind decides nothing for good", viewLags},
		{"nothing is written at rest", quietAtRest},
	} {
		t.Run(story.name, func(t *testing.T) { story.run(t, w) })
	}
}
