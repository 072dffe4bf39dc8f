package orgs_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// underOne is a world in which an organization has an allowance, and a key.
type underOne struct {
	*orgstest.World
	t      *testing.T
	g      *gate.Gate
	org    orgs.Organization
	secret string
}

func allowance(t *testing.T, s *store.Store, in orgs.AllowanceLimits) *underOne {
	t.Helper()
	free := billing.Model{ID: "small", MaxOutputTokens: 100, Price: &billing.Price{}}
	models, err := billing.NewCatalogue(free, billing.Model{ID: "large", MaxOutputTokens: 1000, Price: &billing.Price{OutputPerMillion: decimal.NewFromInt(1000)}})
	require.NoError(t, err)
	w := orgstest.New(t, s, &orgs.Options{Catalogue: models})
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	_, err = w.CreateAllowance(w.Platform(), orgs.NewAllowance{ID: "gold", AllowanceLimits: in})
	require.NoError(t, err)
	o, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Acme", AliasID: "acme-1", Allowance: "gold"})
	require.NoError(t, err)
	_, secret, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "key", Organization: o.ID, Permissions: []string{"models.use"}})
	require.NoError(t, err)
	return &underOne{w, t, gate.New(w.Manager), o, secret}
}

// call asks for an answer of that many tokens and is told the code of a refusal, "" for none.
func (w *underOne) call(model string, tokens int64) string {
	w.t.Helper()
	adm, err := w.g.Admit(w.t.Context(), gate.Call{Secret: w.secret, Model: model, MaxOutputTokens: tokens})
	if err != nil {
		var d *gate.Denied
		require.ErrorAs(w.t, err, &d)
		return d.Code
	}
	require.NoError(w.t, adm.Settle(w.t.Context(), billing.Usage{OutputTokens: tokens}))
	return ""
}

// TestAllowancesOfDeletedOrganizationsGo when nothing can be restored any more, unless they are kept for longer, or for ever.
func TestAllowancesOfDeletedOrganizationsGo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		dime := decimal.RequireFromString("0.1")
		w := allowance(t, s, orgs.AllowanceLimits{Limit: &dime})
		manager := func(keep time.Duration) *orgs.Manager {
			m, err := orgs.New(s, &orgs.Options{OrphanAllowances: keep})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, m.Close()) })
			return m
		}
		short, long, ever := manager(time.Hour), manager(2*orgs.Restorable), manager(-1)
		pruned := func(by *orgs.Manager) int {
			t.Helper()
			n, err := by.PruneAllowances(w.Platform())
			require.NoError(t, err)
			return n
		}
		clock.Advance(3 * orgs.Restorable)
		require.Zero(t, pruned(short), "somebody has it")
		_, err := w.DeleteOrganization(w.Platform(), w.org.ID, true, "")
		require.NoError(t, err)
		clock.Advance(orgs.Restorable - time.Second)
		require.Zero(t, pruned(short), "what is restored has its limits")
		_, err = w.RestoreOrganization(w.Platform(), w.org.ID, "")
		require.NoError(t, err)
		require.Equal(t, []string{"budget_exceeded", ""}, []string{w.call("large", 101), w.call("large", 100)})
		_, err = w.DeleteOrganization(w.Platform(), w.org.ID, true, "")
		require.NoError(t, err)
		clock.Advance(orgs.Restorable)
		require.Zero(t, pruned(long))
		_, err = short.PruneAllowances(w.As(w.User("dev@acme.example")))
		refused(t, err, "permission_denied")
		require.Equal(t, []int{1, 0}, []int{pruned(short), pruned(short)})
		_, err = w.Manager.Allowance(w.Platform(), "gold")
		require.ErrorIs(t, err, store.ErrNotFound)
		page, err := w.Audit().List(t.Context(), "", audit.Filter{Resources: []string{"allowance:gold"}})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		require.Equal(t, "allowance.deleted", page.Items[0].Type)
		require.Zero(t, pruned(ever))
	})
}

func TestAnAllowanceIsInForce(t *testing.T) { // F423 to F430
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		dime := decimal.RequireFromString("0.1")
		w := allowance(t, s, orgs.AllowanceLimits{Limit: &dime, Window: billing.CalendarDay, Duration: "1d"})
		require.Equal(t, "", w.call("large", 100), "the last cent can be spent")
		require.Equal(t, "budget_exceeded", w.call("large", 1))
		require.Equal(t, "", w.call("small", 1), "what is free needs no money")

		st, err := w.AllowanceOf(w.Platform(), "acme-1")
		require.NoError(t, err)
		require.Equal(t, []string{"0.1", "0.1"}, []string{st.Spent.String(), st.Total.String()})
		require.Equal(t, clock.Now().Truncate(24*time.Hour).Add(24*time.Hour), st.ResetAt)

		clock.Advance(24 * time.Hour)
		require.Equal(t, "", w.call("large", 50), "the next day begins anew")
		st, err = w.AllowanceOf(w.Platform(), "acme-1")
		require.NoError(t, err)
		require.Equal(t, []string{"0.05", "0.15"}, []string{st.Spent.String(), st.Total.String()}, "and the whole is kept")

		// Other limits bind at once, and the same window goes on.
		one, two := int64(1), int64(2)
		_, err = w.UpdateAllowance(w.Platform(), "gold", orgs.AllowanceLimits{RequestsPerMinute: &two, Models: map[string]orgs.ModelAllowance{"large": {RequestsPerMinute: &one}}})
		require.NoError(t, err)
		require.Equal(t, []string{"", "rate_limit_exceeded", "", "rate_limit_exceeded"},
			[]string{w.call("large", 1000), w.call("large", 1), w.call("small", 1), w.call("small", 1)})
		none := int64(0)
		_, err = w.UpdateAllowance(w.Platform(), "gold", orgs.AllowanceLimits{MaxParallelRequests: &none})
		require.NoError(t, err)
		require.Equal(t, "concurrency_limit", w.call("small", 1))
	})
}

func TestAnAllowanceIsShared(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := allowance(t, s, orgs.AllowanceLimits{})
		other, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Other", Allowance: "gold"})
		require.NoError(t, err)
		dime := decimal.RequireFromString("0.1")
		_, err = w.UpdateAllowance(w.Platform(), "gold", orgs.AllowanceLimits{Limit: &dime})
		require.NoError(t, err)
		for _, id := range []string{w.org.ID, other.ID} {
			budgets, err := w.Overview(w.Platform(), id)
			require.NoError(t, err)
			require.Len(t, budgets, 1, "each spends by itself")
		}
		require.Equal(t, "", w.call("large", 100))
		st, err := w.AllowanceOf(w.Platform(), other.ID)
		require.NoError(t, err)
		require.Equal(t, "0", st.Spent.String())

		// It cannot go while somebody has it, and goes with the last one.
		_, err = w.DeleteAllowance(w.Platform(), "gold")
		var conflict *store.ConflictError
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, "in_use", conflict.Code)
		none := ""
		_, err = w.UpdateOrganization(w.Platform(), other.ID, orgs.OrganizationUpdate{Allowance: &none})
		require.NoError(t, err)
		budgets, err := w.Overview(w.Platform(), other.ID)
		require.NoError(t, err)
		require.Empty(t, budgets)
		_, err = w.DeleteOrganization(w.Platform(), w.org.ID, true, "")
		require.NoError(t, err)
		_, err = w.DeleteAllowance(w.Platform(), "gold")
		require.NoError(t, err)
		_, err = w.RestoreOrganization(w.Platform(), w.org.ID, "")
		require.NoError(t, err)
		require.Equal(t, "", w.call("large", 1000))
	})
}

func TestAnOwnerGivesNoAllowance(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := allowance(t, s, orgs.AllowanceLimits{})
		o, owner := w.Org("beta")
		gold := "gold"
		_, err := w.UpdateOrganization(w.As(owner), o.ID, orgs.OrganizationUpdate{Allowance: &gold})
		var field *store.FieldError
		require.ErrorAs(t, err, &field)
		require.Equal(t, "allowance_id", field.Field)
		_, err = w.UpdateOrganization(w.Platform(), o.ID, orgs.OrganizationUpdate{Allowance: &[]string{"nothing"}[0]})
		require.ErrorAs(t, err, &field)
		require.Equal(t, []string{"allowance_id", "unknown"}, []string{field.Field, field.Code})
	})
}

func TestAnAliasLeadsToOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := allowance(t, s, orgs.AllowanceLimits{})
		o, err := w.Organization(w.Platform(), "acme-1")
		require.NoError(t, err)
		require.True(t, o.Known("acme-1") && o.Known(o.ID) && !o.Known(o.Slug))
		create := func(alias, slug string) error {
			_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Beta", Slug: slug, AliasID: alias})
			return err
		}
		var conflict *store.ConflictError
		require.ErrorAs(t, create("acme-1", ""), &conflict, "another organization has it")
		require.Equal(t, "alias_taken", conflict.Code)
		require.ErrorAs(t, create(o.ID, ""), &conflict, "it is the id of another one")
		require.ErrorAs(t, create(o.Slug, ""), &conflict, "it is the slug of another one")
		require.ErrorAs(t, create("", "acme-1"), &conflict, "the slug is the alias of another one")
		require.Equal(t, "slug_taken", conflict.Code)
		require.ErrorIs(t, create("org_mine", ""), store.ErrInvalid)
		require.ErrorIs(t, create("two\nlines", ""), store.ErrInvalid)

		_, err = w.DeleteOrganization(w.Platform(), "acme-1", true, "")
		require.NoError(t, err)
		_, err = w.Organization(w.Platform(), "acme-1")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, create("acme-1", ""), "anybody has it after that")
	})
}

// TestLimitsOfSettingsAndAnAllowanceAreOpenTogether or closed, of one glob.
func TestLimitsOfSettingsAndAnAllowanceAreOpenTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		ten := int64(10)
		w := allowance(t, s, orgs.AllowanceLimits{RequestsPerMinute: &ten, FailOpen: true})
		open := func() bool {
			t.Helper()
			page, err := w.RateLimits(w.Platform(), w.org.ID, 0, "")
			require.NoError(t, err)
			require.Len(t, page.Items, 1)
			return page.Items[0].FailOpen
		}
		require.True(t, open())
		for _, settings := range []bool{false, true} {
			_, err := w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{
				Models: &orgs.ModelSettings{RateLimits: map[string]orgs.RateLimits{"*": {RequestsPerHour: &ten, FailOpen: settings}}}}})
			require.NoError(t, err)
			require.Equal(t, settings, open())
		}
	})
}
