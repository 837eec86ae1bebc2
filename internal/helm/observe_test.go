// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
)

// record is one of Helm's; generation is that of the Release when it was made.
func record(number int, state common.Status, inputs, generation, description string) *releasev1.Release {
	return &releasev1.Release{
		Version: number,
		Labels:  map[string]string{labelInputs: inputs, labelGeneration: generation},
		Info:    &releasev1.Info{Status: state, Description: description},
	}
}

func TestArrange(t *testing.T) {
	want := wanted{Inputs: "new", Generation: 2}
	cases := map[string]struct {
		reason  string
		records []*releasev1.Release
		want    observation // without Last
		last    int
	}{
		"none": {reason: "nothing installed"},
		"first": {
			reason:  "one revision has nothing to go back to",
			records: []*releasev1.Release{record(1, common.StatusDeployed, "new", "2", "")},
			last:    1,
		},
		"upgraded": {
			reason: "superseded revisions of other inputs were good",
			records: []*releasev1.Release{
				record(1, common.StatusSuperseded, "older", "1", ""), record(2, common.StatusSuperseded, "old", "1", ""),
				record(3, common.StatusDeployed, "new", "2", ""),
			},
			want: observation{Good: 2}, last: 3,
		},
		"failed upgrade": {
			reason: "the deployed one before the failure is what ran",
			records: []*releasev1.Release{
				record(1, common.StatusDeployed, "old", "1", ""), record(2, common.StatusFailed, "new", "2", "boom"),
			},
			want: observation{Good: 1, Deployed: "old", Failed: 1, FailedMessage: "boom"}, last: 2,
		},
		"two attempts, rolled back": {
			reason: "attempts are counted over the rollbacks between them",
			records: []*releasev1.Release{
				record(1, common.StatusSuperseded, "old", "1", ""), record(2, common.StatusFailed, "new", "2", "boom"),
				record(3, common.StatusSuperseded, "old", "1", ""), record(4, common.StatusFailed, "new", "2", "bang"),
				record(5, common.StatusDeployed, "old", "1", ""),
			},
			want: observation{Good: 3, Failed: 2, FailedMessage: "bang"}, last: 5,
		},
		"edited back and forth": {
			reason: "failures of an earlier generation do not count: a person asked again",
			records: []*releasev1.Release{
				record(1, common.StatusSuperseded, "old", "1", ""), record(2, common.StatusFailed, "new", "1", "boom"),
				record(3, common.StatusDeployed, "old", "1", ""),
			},
			want: observation{Good: 1}, last: 3,
		},
		"failed repair": {
			reason: "the same inputs still run",
			records: []*releasev1.Release{
				record(1, common.StatusSuperseded, "old", "1", ""), record(2, common.StatusDeployed, "new", "2", ""),
				record(3, common.StatusFailed, "new", "2", "boom"),
			},
			want: observation{Good: 1, Deployed: "new", Failed: 1, FailedMessage: "boom"}, last: 3,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := arrange(c.records, want)
			last := 0
			if got.Last != nil {
				last, got.Last = got.Last.Number, nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" || last != c.last {
				t.Errorf("%s: last %d, want %d (-want +got):\n%s", c.reason, last, c.last, diff)
			}
		})
	}
}
