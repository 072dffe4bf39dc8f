package litellm_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestASoftBudgetIsToldOncePerWindow and blocks nothing: LiteLLM has not implemented it.
func TestASoftBudgetIsToldOncePerWindow(t *testing.T) { // F426, LC-099 to LC-101
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		models, err := billing.NewCatalogue(billing.Model{ID: "gpt-4", MaxOutputTokens: 1000, Price: &billing.Price{OutputPerMillion: decimal.NewFromInt(1000)}})
		require.NoError(t, err)
		told, worker := &orgstest.Notifications{}, jobs.NewWorker(s, nil)
		w := orgstest.New(t, s, &orgs.Options{Catalogue: models, Enlisting: true, Notifier: told})
		t.Cleanup(func() { require.NoError(t, w.Close()) })
		require.NoError(t, w.Maintain(w.Platform(), worker))
		h, err := litellm.New(w.Manager, &litellm.Options{AdminKey: master})
		require.NoError(t, err)
		g := &gateway{World: w, t: t, h: h, gate: gate.New(w.Manager)}
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","soft_budget":0.01,"budget_duration":"1d"}`)
		g.must("POST", "/organization/member_add", `{"organization_id":"acme-1","member":{"role":"org_admin","user_email":"anna@acme.example"}}`)
		key := g.key("acme-1")
		hears := func() (alerts int) {
			t.Helper()
			require.NoError(t, w.Flush(t.Context()))
			_, err := worker.RunDue(t.Context())
			require.NoError(t, err)
			for _, n := range told.Take() {
				if n.Kind == orgs.KindBudgetAlert {
					alerts++
				}
			}
			return alerts
		}
		require.Equal(t, "", g.call(key, "gpt-4", 9))
		require.Zero(t, hears())
		for i := range 3 {
			require.Equal(t, "", g.call(key, "gpt-4", 5), "it blocks nothing")
			require.Equal(t, []int{1, 0, 0}[i], hears(), "the first call beyond it is told of")
		}
		clock.Advance(24 * time.Hour)
		require.Equal(t, "", g.call(key, "gpt-4", 5))
		require.Zero(t, hears())
		require.Equal(t, "", g.call(key, "gpt-4", 5))
		require.Equal(t, 1, hears(), "and again in the next window")
	})
}
