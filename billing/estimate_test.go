package billing_test

import (
	"math"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

func TestEstimateIsTheMostThatACallCanCost(t *testing.T) {
	c := served(t)
	for _, row := range []struct {
		says   string
		name   string
		most   billing.Usage
		amount string
		output int64
	}{
		{"as many tokens as it wishes", "gpt-4o", billing.Usage{InputTokens: 1000, OutputTokens: 1000}, "0.02", 1000},
		{"without a wish, as many as the model can", "gpt-4o", billing.Usage{InputTokens: 1000}, "0.06644", 4096},
		{"a wish that the model cannot fulfil holds no more (S10.4)", "gpt-4o", billing.Usage{InputTokens: 1000, OutputTokens: 999_999_999}, "0.06644", 4096},
		{"what the caller says counts alone", "gpt-4o", billing.Usage{InputTokens: 1000, Cost: amount("0.0000000000001")}, "0.000000000001", 4096},
		{"also above what fixed point holds", "gpt-4o", billing.Usage{Cost: amount("10000000")}, "10000000", 4096},
		{"also without a price", "open", billing.Usage{Cost: amount("1")}, "1", 0},
		{"cached tokens are no discount before they are used", "gpt-4o", billing.Usage{InputTokens: 1000, CachedTokens: 2000, OutputTokens: 1}, "0.005015", 1},
	} {
		e, err := c.EstimateUpperBound(row.name, june, row.most)
		require.NoError(t, err, row.says)
		require.Equal(t, row.amount, e.Amount().String(), row.says)
		require.Equal(t, row.output, e.Usage.OutputTokens, row.says)
	}
	require.NoError(t, c.SetPrices(book(t, billing.ModelPrice{Model: "open", Components: token("0", "0.0001")})))
	e, err := c.EstimateUpperBound("open", june, billing.Usage{InputTokens: 1})
	require.NoError(t, err)
	require.Equal(t, "1.6384", e.Amount().String(), "as many as anybody expects")
	require.EqualValues(t, billing.DefaultMaxOutputTokens, e.Usage.OutputTokens)
	for _, name := range []string{"gpt-4o", "nobody knows it"} { // billing edge 26
		e, err := c.EstimateUpperBound(name, june, billing.Usage{InputTokens: 1})
		require.NoError(t, err)
		require.Nil(t, e.Amount())
		_, err = e.Pico()
		require.ErrorIs(t, err, billing.ErrUnpriced)
	}
	for _, most := range []billing.Usage{{InputTokens: -1}, {OutputTokens: 1 << 51}, {Images: -1}, {Cost: amount("-1")}} { // billing edge 20
		_, err := c.EstimateUpperBound("gpt-4o", june, most)
		require.ErrorIs(t, err, store.ErrInvalid)
	}
}

func TestWhatHasNoPriceIsUnknownAndNotFree(t *testing.T) { // billing edge 26
	c, err := billing.NewCatalogue(billing.Model{ID: "embed"}, billing.Model{ID: "paint"}, billing.Model{ID: "dear"})
	require.NoError(t, err)
	require.NoError(t, c.SetPrices(book(t,
		billing.ModelPrice{Model: "embed", Components: token("0.00000002", "0")},
		billing.ModelPrice{Model: "paint", Components: token("0.00000002", "0")[:1]},
		billing.ModelPrice{Model: "dear", Components: token("9000", "9000")})))
	e, err := c.EstimateUpperBound("embed", june, billing.Usage{InputTokens: 100})
	require.NoError(t, err)
	require.Equal(t, "0.000002", e.Amount().String())
	require.Zero(t, e.Usage.OutputTokens, "free output needs no bound")
	e, err = c.EstimateUpperBound("embed", june, billing.Usage{InputTokens: 100, Images: 1})
	require.NoError(t, err)
	require.Nil(t, e.Amount())
	e, err = c.EstimateUpperBound("paint", june, billing.Usage{InputTokens: 100})
	require.NoError(t, err)
	require.Nil(t, e.Amount(), "it may answer, and nobody knows at which price")
	_, err = c.MaxTokensFor("paint", june, usd("1"), billing.Usage{})
	require.ErrorIs(t, err, billing.ErrUnpriced)

	e, err = c.EstimateUpperBound("dear", june, billing.Usage{InputTokens: 1 << 50, OutputTokens: 1 << 50}) // billing edge 21
	require.NoError(t, err)
	_, err = e.Pico()
	require.ErrorIs(t, err, billing.ErrRange)
	require.Equal(t, "20266198323167232000", e.Amount().String(), "the wide path")
}

// drawn are a model and usages of it.
func drawn(t *rapid.T) (*billing.Catalogue, billing.Usage) {
	price := func(name string) decimal.Decimal {
		return decimal.New(rapid.Int64Range(0, 100_000_000_000).Draw(t, name), -15)
	}
	c, err := billing.NewCatalogue(billing.Model{ID: "m"})
	require.NoError(t, err)
	components := append(token("0", "0"), billing.Component{Unit: billing.Image}, billing.Component{Unit: billing.Request})
	for i := range components {
		components[i].Price = price(string(components[i].Unit))
	}
	if rapid.Bool().Draw(t, "caches") {
		components = append(components, billing.Component{Unit: billing.CachedInputToken, Price: price("cached")})
	}
	b, err := billing.NewBook("USD", billing.ModelPrice{Model: "m", Components: components})
	require.NoError(t, err)
	require.NoError(t, c.SetPrices(b))
	n := func(name string) int64 { return rapid.Int64Range(0, 1_000_000).Draw(t, name) }
	return c, billing.Usage{InputTokens: n("input"), OutputTokens: n("output"), Images: n("images")}
}

func TestNothingWithinTheBoundsCostsMoreThanTheEstimate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, most := drawn(t)
		most.OutputTokens++ // 0 is no wish
		e, err := c.EstimateUpperBound("m", june, most)
		require.NoError(t, err)
		within := func(name string, n int64) int64 { return rapid.Int64Range(0, n).Draw(t, name) }
		u := billing.Usage{InputTokens: within("used input", most.InputTokens), OutputTokens: within("used output", most.OutputTokens), Images: within("used images", most.Images)}
		u.CachedTokens = within("used cache", u.InputTokens) // which may cost more than other input
		cost, err := e.Price.Cost(u)
		require.NoError(t, err)
		require.True(t, cost.LessThanOrEqual(*e.Amount()), "%s is more than %s", cost, e.Amount())
	})
}

func TestMaxTokensForIsTheLargestThatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, most := drawn(t)
		left := decimal.New(rapid.Int64Range(0, 100_000_000_000_000).Draw(t, "left"), -rapid.Int32Range(6, 16).Draw(t, "places"))
		counts := decimal.Min(left, billing.Pico(math.MaxInt64).Decimal())
		fits := func(n int64) bool {
			v, ok := c.PriceAt("m", june)
			require.True(t, ok)
			most.OutputTokens = n
			most.CachedTokens = 0
			plain, err := v.Cost(most)
			require.NoError(t, err)
			most.CachedTokens = most.InputTokens
			allCached, err := v.Cost(most)
			require.NoError(t, err)
			return billing.Ceil12(decimal.Max(plain, allCached)).LessThanOrEqual(counts)
		}
		n, err := c.MaxTokensFor("m", june, left, most)
		if err != nil {
			require.ErrorIs(t, err, billing.ErrExceeded)
			require.False(t, fits(0))
			return
		}
		require.True(t, fits(n), n)
		require.True(t, n == 1<<50 || !fits(n+1), n)
	})
}

func TestMaxTokensForKnowsTheModel(t *testing.T) {
	c := served(t)
	n, err := c.MaxTokensFor("gpt-4o", june, usd("0.02"), billing.Usage{InputTokens: 1000})
	require.NoError(t, err)
	require.EqualValues(t, 1000, n)
	for _, left := range []string{"1", "100000000000"} {
		n, err = c.MaxTokensFor("gpt-4o", june, usd(left), billing.Usage{InputTokens: 1000})
		require.NoError(t, err)
		require.EqualValues(t, 4096, n, "the model cannot do more")
	}
	_, err = c.MaxTokensFor("gpt-4o", june, usd("0.0049"), billing.Usage{InputTokens: 1000})
	require.ErrorIs(t, err, billing.ErrExceeded)
	_, err = c.MaxTokensFor("open", june, usd("1"), billing.Usage{})
	require.ErrorIs(t, err, billing.ErrUnpriced)
	_, err = c.MaxTokensFor("gpt-4o", june, usd("1"), billing.Usage{InputTokens: -1})
	require.ErrorIs(t, err, store.ErrInvalid)
	v, ok := c.PriceAt("gpt-4o", time.Time{})
	require.True(t, ok)
	_, err = v.MaxTokensFor(-1, billing.Usage{})
	require.ErrorIs(t, err, billing.ErrExceeded)
}
