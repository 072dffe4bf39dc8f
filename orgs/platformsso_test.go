package orgs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAnIDOfARuleOfThePlatformDoesNotComeAgain(t *testing.T) { // F393
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, nil)
		set := func(values ...string) (ids []int64) {
			var rules []orgs.PlatformSSORule
			for _, v := range values {
				rules = append(rules, orgs.PlatformSSORule{Type: "email", Value: v})
			}
			p, err := w.SetPlatformSSO(w.Platform(), rules)
			require.NoError(t, err)
			for _, r := range p.Rules {
				ids = append(ids, r.ID)
			}
			return ids
		}
		require.Equal(t, []int64{1, 2}, set("a", "b"))
		require.Equal(t, []int64{1}, set("a"))
		require.Equal(t, []int64{1, 3}, set("a", "b"))
		require.Empty(t, set())
		require.Equal(t, []int64{4}, set("a"))
	})
}
