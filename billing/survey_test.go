package billing_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
)

// TestAChangeThatWasNotHeardOfIsFoundOnEveryPath has a process find one path before a change and another path of the same
// organization after it.
func TestAChangeThatWasNotHeardOfIsFoundOnEveryPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(16) { // what is compared in no order is compared in many
			w := newWorld(t, seed, "memory")
			p := w.peers[0]
			p.faults.set(nil, 0)
			on := func(key string) []string {
				var h billing.Hold
				require.NoError(t, p.Purse(billing.Path{OrgID: "org_1", KeyID: key}).Reserve(t.Context(), &h, 0))
				defer h.Release()
				return h.HeldIn()
			}
			var busy billing.Hold // while it is under way the process compares
			require.NoError(t, p.Purse(billing.Path{OrgID: "root"}).Reserve(t.Context(), &busy, 1))
			on("key_2")
			w.put(w.admin, billing.Budget{Scope: billing.ScopeKey, ScopeID: "key_2", OrgID: "org_1", Hard: true, Limit: w.usd(5)})
			on("key_3")
			time.Sleep(3 * time.Second)
			id := w.budgets["keykey_2"].ID
			require.True(t, slices.ContainsFunc(on("key_2"), func(account string) bool { return strings.Contains(account, id) }), "seed %d", seed)
			busy.Release()
		}
	})
}
