package billing_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// TestWhatIsDueInFixedPointIsWhatDecimalsSay has prices for some units, all or none, and usages with and without a cost.
func TestWhatIsDueInFixedPointIsWhatDecimalsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := func(name string) decimal.Decimal { // up to 1,100 USD
			return decimal.New(rapid.Int64Range(0, 1<<40).Draw(t, name), rapid.Int32Range(-15, -9).Draw(t, name+" exponent"))
		}
		var components []billing.Component
		for _, u := range []billing.Unit{billing.InputToken, billing.CachedInputToken, billing.OutputToken, billing.Image} {
			if rapid.Bool().Draw(t, string(u)) {
				components = append(components, billing.Component{Unit: u, Price: amount(string(u) + " price").Truncate(15)})
			}
		}
		var e billing.Estimate
		if len(components) > 0 && rapid.Bool().Draw(t, "priced") {
			b, err := billing.NewBook("USD", billing.ModelPrice{Model: "m", Components: components})
			require.NoError(t, err)
			c, err := billing.NewCatalogue(billing.Model{ID: "m"})
			require.NoError(t, err)
			require.NoError(t, c.SetPrices(b))
			v, ok := c.PriceAt("m", time.Now())
			require.True(t, ok)
			e.Price = v
		}
		units := func(name string) int64 {
			return rapid.Int64Range(0, 1<<rapid.IntRange(0, 40).Draw(t, name+" size")).Draw(t, name)
		}
		u := billing.Usage{InputTokens: units("in"), OutputTokens: units("out"), Images: units("images")}
		u.CachedTokens = rapid.Int64Range(0, u.InputTokens).Draw(t, "cached")
		if rapid.Bool().Draw(t, "told") {
			cost := amount("cost")
			u.Cost = &cost
		}
		held := billing.Pico(rapid.Int64Range(0, int64(billing.MaxHold)).Draw(t, "held"))
		want := billing.Due(u, e.Price, held)
		switch is, err := e.Due(u, held); {
		case errors.Is(err, billing.ErrRange):
			require.True(t, want.GreaterThan(billing.Pico(math.MaxInt64).Decimal()), "%s fits", want)
		default:
			require.NoError(t, err)
			require.Equal(t, want.String(), is.String())
		}
	})
}

// TestAUsageThatCannotBeIsFoundByItsField draws numbers around both ends of what can be.
func TestAUsageThatCannotBeIsFoundByItsField(t *testing.T) {
	const most = 1 << 50
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, 1000, most - 1, most, most + 1, math.MaxInt64})
		u := billing.Usage{InputTokens: n.Draw(t, "input_tokens"), CachedTokens: n.Draw(t, "cached_tokens"), OutputTokens: n.Draw(t, "output_tokens"), Images: n.Draw(t, "images")}
		want := ""
		for _, f := range []struct {
			name string
			n    int64
		}{{"input_tokens", u.InputTokens}, {"cached_tokens", u.CachedTokens}, {"output_tokens", u.OutputTokens}, {"images", u.Images}} {
			if want == "" && (f.n < 0 || f.n > most) {
				want = f.name
			}
		}
		if want == "" && u.CachedTokens > u.InputTokens {
			want = "cached_tokens"
		}
		err := u.Validate()
		if want == "" {
			require.NoError(t, err)
			return
		}
		var field *store.FieldError
		require.ErrorAs(t, err, &field)
		require.Equal(t, want, field.Field)
	})
}
