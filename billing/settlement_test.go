package billing_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// priced is the path with a price.
func priced(v *billing.PriceVersion) billing.Path {
	p := path
	p.Price = v
	return p
}

func TestReservationSettlesByThePriceThatItPinned(t *testing.T) { // billing edge 25
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true})
		cheap := billing.ModelPrice{Model: "m", From: june, Components: token("0.001", "0.002")}
		dear := billing.ModelPrice{Model: "m", From: august, Components: token("0.1", "0.2")}
		c, err := billing.NewCatalogue(billing.Model{ID: "m"})
		require.NoError(t, err)
		require.NoError(t, c.SetPrices(book(t, cheap)))
		reserve := func(by func(ctx, billing.Path, *decimal.Decimal) (*billing.Reservation, error)) *billing.Reservation {
			e, err := c.EstimateUpperBound("m", august, billing.Usage{InputTokens: 100, OutputTokens: 100})
			require.NoError(t, err)
			r, err := by(t.Context(), priced(e.Price), e.Amount())
			require.NoError(t, err)
			require.Equal(t, "0.3", r.Amount.String())
			return r
		}
		here, elsewhere, lost := reserve(b.Reserve), reserve(b.Hold), reserve(b.Hold)
		require.NoError(t, c.SetPrices(book(t, cheap, dear))) // and from now on the model costs a hundred times as much

		u := billing.Usage{InputTokens: 100, OutputTokens: 50}
		s, err := here.SettleUsage(t.Context(), u)
		require.NoError(t, err)
		require.Equal(t, "0.2", s.Actual.String())
		require.Equal(t, "0.3", s.Held.String())
		require.True(t, s.Overrun().IsZero())
		require.False(t, s.Again)

		// Another process has the id and a book, nothing else.
		s, err = b.SettleUsage(t.Context(), elsewhere.ID, u, c.Prices())
		require.NoError(t, err)
		require.Equal(t, "0.2", s.Actual.String())
		s, err = b.SettleUsage(t.Context(), elsewhere.ID, u, c.Prices())
		require.NoError(t, err)
		require.True(t, s.Again)
		_, err = b.SettleUsage(t.Context(), elsewhere.ID, billing.Usage{InputTokens: 1}, c.Prices())
		require.ErrorIs(t, err, billing.ErrSettled)

		// A book that has forgotten the version settles nothing, and the hold still counts.
		_, err = b.SettleUsage(t.Context(), lost.ID, u, book(t, dear))
		require.ErrorIs(t, err, billing.ErrUnpriced)
		require.Equal(t, "0.3", b.states()[billing.ScopeOrg].Reserved.String())
		u.Cost = amount("0.45") // unless the upstream has told the cost
		s, err = b.SettleUsage(t.Context(), lost.ID, u, nil)
		require.NoError(t, err)
		require.Equal(t, "0.15", s.Overrun().String()) // billing edge 14
		require.Equal(t, "0.85", b.states()[billing.ScopeOrg].Spent.String())
	})
}

func TestUsageWithoutAPriceIsChargedWithWhatWasHeld(t *testing.T) {
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true})
		v, _ := book(t, billing.ModelPrice{Model: "m", Components: token("0.001", "0.002")}).At("m", june)
		for _, c := range []struct {
			price *billing.PriceVersion
			u     billing.Usage
			want  string
		}{
			{nil, billing.Usage{InputTokens: 1000}, "1"},
			{v, billing.Usage{InputTokens: 10}, "0.01"},
			{v, billing.Usage{InputTokens: 10, Images: 1}, "1"},
			{v, billing.Usage{InputTokens: 2000, Images: 1}, "2"},
			{v, billing.Usage{InputTokens: 10, Images: 1, Cost: amount("0.5")}, "0.5"},
		} {
			r, err := b.Reserve(t.Context(), priced(c.price), amount("1"))
			require.NoError(t, err)
			s, err := r.SettleUsage(t.Context(), c.u)
			require.NoError(t, err)
			require.Equal(t, c.want, s.Actual.String(), "%+v", c.u)
		}
		r, err := b.Reserve(t.Context(), path, amount("1"))
		require.NoError(t, err)
		_, err = r.SettleUsage(t.Context(), billing.Usage{InputTokens: -1})
		require.ErrorIs(t, err, store.ErrInvalid)
	})
}

func TestHostileAmountsReachNoAccount(t *testing.T) { // billing edge 20
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true})
		r, err := b.Reserve(t.Context(), path, amount("1"))
		require.NoError(t, err)
		for _, d := range bombs() {
			_, err := b.Reserve(t.Context(), path, &d)
			require.ErrorIs(t, err, store.ErrInvalid)
			require.ErrorIs(t, r.Settle(t.Context(), d), store.ErrInvalid)
			require.ErrorIs(t, billing.Budget{OrgID: "o", Scope: billing.ScopeOrg, ScopeID: "o", Window: "30d", Limit: d}.Validate(), store.ErrInvalid)
		}
		threshold := decimal.New(1, -1_000_000_000)
		require.ErrorIs(t, billing.Budget{OrgID: "o", Scope: billing.ScopeOrg, ScopeID: "o", Window: "30d", AlertThreshold: &threshold}.Validate(), store.ErrInvalid)
		require.Equal(t, "1", b.states()[billing.ScopeOrg].Reserved.String())
	})
}

func TestOtherCurrenciesAreRefused(t *testing.T) { // billing edge 24
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		euros, err := billing.NewBook("EUR", billing.ModelPrice{Model: "m", Components: token("1", "1")})
		require.NoError(t, err)
		v, _ := euros.At("m", june)
		_, err = b.Reserve(t.Context(), priced(v), amount("1"))
		require.ErrorIs(t, err, store.ErrInvalid)
	})
}

func TestFreeCallsTouchNoBudget(t *testing.T) { // billing edge 22
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("1"), Hard: true})
		v, _ := book(t, billing.ModelPrice{Model: "m", Components: token("0", "0")}).At("m", june)
		free, err := b.Reserve(t.Context(), priced(v), amount("0")) // the first call of the period
		require.NoError(t, err)
		full, err := b.Reserve(t.Context(), path, amount("1"))
		require.NoError(t, err)
		_, err = b.Reserve(t.Context(), priced(v), amount("0")) // the budget is exhausted
		require.NoError(t, err)
		require.NoError(t, full.Settle(t.Context(), usd("1")))

		s, err := free.SettleUsage(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 1000})
		require.NoError(t, err)
		require.True(t, s.Actual.IsZero())
		require.Equal(t, "1", b.states()[billing.ScopeOrg].Spent.String())

		surprise, err := b.Reserve(t.Context(), priced(v), amount("0"))
		require.NoError(t, err)
		_, err = surprise.SettleUsage(t.Context(), billing.Usage{Cost: amount("0.25")}) // the upstream did charge
		require.NoError(t, err)
		require.Equal(t, "1.25", b.states()[billing.ScopeOrg].Spent.String())
		require.Equal(t, "0.25", b.states()[billing.ScopeOrg].Over.String())
	})
}

func TestEachBudgetSaysWhatIsToBeDoneWithoutAPrice(t *testing.T) { // billing edge 26
	org := billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("1")}
	with := func(hard bool, p billing.UnknownPrice, least string) billing.Budget {
		b := org
		b.Hard, b.UnknownPrice = hard, p
		if least != "" {
			b.UnknownMinimum = amount(least)
		}
		return b
	}
	for _, c := range []struct {
		says   string
		budget billing.Budget
		held   string // "" is refused
	}{
		{"a hard budget refuses", with(true, "", ""), ""},
		{"a soft one lets pass", with(false, "", ""), "0"},
		{"unless it says otherwise", with(false, billing.RejectUnknown, ""), ""},
		{"reject", with(true, billing.RejectUnknown, ""), ""},
		{"allow_and_flag", with(false, billing.AllowUnknown, ""), "0"},
		{"reserve_minimum of a hard budget", with(true, billing.ReserveMinimum, "0.3"), "0.3"},
		{"reserve_minimum of a soft budget", with(false, billing.ReserveMinimum, "0.3"), "0.3"},
		{"a minimum that does not fit", with(true, billing.ReserveMinimum, "1.01"), ""},
	} {
		t.Run(c.says, func(t *testing.T) {
			each(t, func(t *testing.T, b books, _ *storetest.Clock) {
				b.budget(c.budget)
				b.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("10"), UnknownPrice: billing.ReserveMinimum, UnknownMinimum: amount("0.0000000000001")})
				r, err := b.Reserve(t.Context(), path, nil)
				if c.held == "" {
					var ex *billing.Exceeded
					require.ErrorAs(t, err, &ex)
					require.Equal(t, c.budget.UnknownPrice != billing.ReserveMinimum, ex.Unpriced)
					return
				}
				require.NoError(t, err)
				require.True(t, r.Unpriced)
				held := c.held
				if held == "0" {
					held = "0.000000000001" // the team's, rounded up
				}
				require.Equal(t, held, r.Amount.String(), "the largest minimum of every budget")
				for _, s := range b.states() {
					if s.Budget.Hard {
						require.Equal(t, held, s.Reserved.String())
					}
				}
				s, err := r.SettleUsage(t.Context(), billing.Usage{InputTokens: 1000})
				require.NoError(t, err)
				require.Equal(t, held, s.Actual.String())
			})
		})
	}
	for field, b := range map[string]billing.Budget{
		"unknown_price":   with(true, billing.AllowUnknown, ""), // hard budgets fail closed
		"unknown_minimum": with(true, billing.ReserveMinimum, ""),
	} {
		b.OrgID, b.Window = "org_1", "30d"
		var f *store.FieldError
		require.ErrorAs(t, b.Validate(), &f)
		require.Equal(t, field, f.Field)
	}
	for _, b := range []billing.Budget{with(false, "maybe", ""), with(false, "", "1"), with(false, billing.ReserveMinimum, "0"), with(false, billing.ReserveMinimum, "-1")} {
		b.OrgID, b.Window = "org_1", "30d"
		require.ErrorIs(t, b.Validate(), store.ErrInvalid)
	}
}

func TestUnknownPricePolicyIsKeptAndLogged(t *testing.T) {
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("1"), Hard: true, UnknownPrice: billing.ReserveMinimum, UnknownMinimum: amount("0.25")})
		kept := b.states()[billing.ScopeOrg].Budget
		require.Equal(t, billing.ReserveMinimum, kept.UnknownPrice)
		require.Equal(t, "0.25", kept.UnknownMinimum.String())
		page, err := audit.New(b.store, nil).List(t.Context(), "org_1", audit.Filter{Types: []string{"budget.updated"}})
		require.NoError(t, err)
		require.Contains(t, string(page.Items[0].After), `"unknown_price":"reserve_minimum"`)
	})
}
