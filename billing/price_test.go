package billing_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

func TestPriceIsExact(t *testing.T) {
	cached := usd("0.0000046875")
	p := billing.Price{InputPerMillion: usd("0.15"), OutputPerMillion: usd("0.6"), CachedInputPerMillion: &cached, PerRequest: usd("0.001"), PerImage: usd("0.04")}
	cost := p.Cost(billing.Usage{InputTokens: 1001, CachedTokens: 1, OutputTokens: 7, Images: 2})
	require.Equal(t, "0.0811542000046875", cost.String()[:18])
	require.Equal(t, "0.000000000002", billing.Ceil12(usd("0.0000000000011")).String())
}

func TestUsageThatCannotBeIsRefused(t *testing.T) { // billing edge 20
	minus := decimal.NewFromInt(-1)
	for _, u := range []billing.Usage{{InputTokens: -1}, {OutputTokens: -1}, {Images: -1}, {CachedTokens: 1}, {InputTokens: 1 << 60}, {Cost: &minus}} {
		require.ErrorIs(t, u.Validate(), store.ErrInvalid)
	}
}

func TestCatalogueResolvesNames(t *testing.T) {
	c, err := billing.NewCatalogue(billing.Model{ID: "a", Aliases: []string{"b"}}, billing.Model{ID: "c"})
	require.NoError(t, err)
	m, ok := c.Resolve("b")
	require.True(t, ok)
	require.Equal(t, "a", m.ID)
	_, ok = c.Resolve("A")
	require.False(t, ok)
	_, ok = (*billing.Catalogue)(nil).Resolve("a")
	require.False(t, ok)
	_, err = billing.NewCatalogue(billing.Model{ID: "a"}, billing.Model{ID: "b", Aliases: []string{"a"}})
	require.Error(t, err)
}

func TestPricesInCodeAreChecked(t *testing.T) {
	for field, p := range map[string]billing.Price{
		"models.m[0].prices.input_token":  {InputPerMillion: usd("-1")},
		"models.m[0].prices.output_token": {OutputPerMillion: usd("0.0000000001")}, // 16 decimals for one
		"models.m[0].prices.image":        {PerImage: usd("9224")},
	} {
		_, err := billing.NewCatalogue(billing.Model{ID: "m", Price: &p})
		var f *store.FieldError
		require.ErrorAs(t, err, &f)
		require.Equal(t, field, f.Field)
	}
	_, err := billing.NewCatalogue(billing.Model{ID: "m", Price: &billing.Price{InputPerMillion: usd("0.000000001"), PerImage: usd("9223")}})
	require.NoError(t, err)
}

// served are two models, one of them with a price in code.
func served(t testing.TB) *billing.Catalogue {
	c, err := billing.NewCatalogue(
		billing.Model{ID: "gpt-4o-2024", Aliases: []string{"gpt-4o"}, MaxOutputTokens: 4096, Price: &billing.Price{InputPerMillion: usd("5"), OutputPerMillion: usd("15")}},
		billing.Model{ID: "open"})
	require.NoError(t, err)
	return c
}

var june, august = time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 8, 6, 0, 0, 0, 0, time.UTC)

func token(in, out string) []billing.Component {
	return []billing.Component{{Unit: billing.InputToken, Price: usd(in)}, {Unit: billing.OutputToken, Price: usd(out)}}
}

func book(t testing.TB, prices ...billing.ModelPrice) *billing.Book {
	b, err := billing.NewBook("USD", prices...)
	require.NoError(t, err)
	return b
}

func TestAPriceCountsFromItsInstant(t *testing.T) {
	b := book(t, billing.ModelPrice{Model: "m", From: august, Components: token("0.0000025", "0.00001")},
		billing.ModelPrice{Model: "m", From: june.In(time.FixedZone("", 3600)), Components: token("0.000005", "0.000015")})
	_, ok := b.At("m", june.Add(-1))
	require.False(t, ok, "nobody knows what it cost before")
	for at, want := range map[time.Time]string{june: "0.000005", august.Add(-1): "0.000005", august: "0.0000025", august.AddDate(50, 0, 0): "0.0000025"} {
		v, ok := b.At("m", at)
		require.True(t, ok)
		cost, err := v.Cost(billing.Usage{InputTokens: 1})
		require.NoError(t, err)
		require.Equal(t, want, cost.String(), at)
	}
	_, ok = b.At("n", august)
	require.False(t, ok)
	_, ok = (*billing.Book)(nil).At("m", august)
	require.False(t, ok)
	require.Len(t, b.Versions("m"), 2)
	require.Equal(t, []string{"m"}, b.Models())
}

func TestTheIDOfAPriceIsWhatItSays(t *testing.T) { // billing edge 25
	base := billing.ModelPrice{Model: "m", From: june, Components: token("0.000005", "0.000015")}
	id := func(currency string, change func(*billing.ModelPrice)) string {
		p := base
		change(&p)
		b, err := billing.NewBook(currency, p)
		require.NoError(t, err)
		v := b.Versions(p.Model)[0]
		found, ok := b.Version(v.ID)
		require.True(t, ok)
		require.Same(t, v, found)
		return v.ID
	}
	same := func(*billing.ModelPrice) {}
	first := id("USD", same)
	require.Equal(t, first, id("USD", same), "in every process")
	require.Equal(t, first, id("USD", func(p *billing.ModelPrice) {
		p.Components = append(token("0.0000050", "0.000015"), billing.Component{Unit: billing.CachedInputToken, Price: usd("0.000005")}, billing.Component{Unit: billing.Request})
	}), "what is left out is said as well")
	seen := map[string]bool{first: true}
	for _, other := range []string{
		id("EUR", same),
		id("USD", func(p *billing.ModelPrice) { p.Model = "n" }),
		id("USD", func(p *billing.ModelPrice) { p.From = august }),
		id("USD", func(p *billing.ModelPrice) { p.Components = token("0.000005", "0.000016") }),
		id("USD", func(p *billing.ModelPrice) { p.Components = token("0.000005", "0.000015")[:1] }),
		id("USD", func(p *billing.ModelPrice) {
			p.Components = append(token("0.000005", "0.000015"), billing.Component{Unit: billing.Image})
		}),
	} {
		require.False(t, seen[other])
		seen[other] = true
	}
}

func TestBooksThatCannotBeAreRefused(t *testing.T) {
	ok := billing.ModelPrice{Model: "m", Components: token("0.1", "0.2")}
	for field, prices := range map[string][]billing.ModelPrice{
		"models.m":                       {ok, {Model: "m", From: june, Components: ok.Components}, {Model: "m", From: june, Components: token("0.3", "0.4")}},
		"models.[0]":                     {{Components: ok.Components}},
		"models.m[1].prices":             {ok, {Model: "m", From: june}},
		"models.m[0].prices.token":       {{Model: "m", Components: []billing.Component{{Unit: "token"}}}},
		"models.m[0].prices.input_token": {{Model: "m", Components: append(token("1", "1"), token("1", "1")...)}},
	} {
		_, err := billing.NewBook("USD", prices...)
		var f *store.FieldError
		require.ErrorAs(t, err, &f, field)
		require.Equal(t, field, f.Field)
	}
	_, err := billing.NewBook("dollars", ok)
	require.ErrorIs(t, err, store.ErrInvalid)
}

func TestCatalogueReadsABookByEveryName(t *testing.T) {
	c := served(t)
	require.NoError(t, c.SetPrices(book(t,
		billing.ModelPrice{Model: "gpt-4o", From: august, Components: token("0.0000025", "0.00001")}, // the alias
		billing.ModelPrice{Model: "gpt-4o-2024", Components: token("0.000005", "0.000015")},
		billing.ModelPrice{Model: "open", Components: token("0", "0")})))
	for _, name := range []string{"gpt-4o", "gpt-4o-2024"} {
		before, ok := c.PriceAt(name, june)
		require.True(t, ok)
		require.Equal(t, "gpt-4o-2024", before.Model)
		after, ok := c.PriceAt(name, august)
		require.True(t, ok)
		require.Equal(t, "gpt-4o", after.Model)
	}
	_, ok := c.PriceAt("GPT-4o", august)
	require.False(t, ok)

	present := c.Prices()
	for field, b := range map[string]*billing.Book{
		"models.gpt-4":       book(t, billing.ModelPrice{Model: "gpt-4", Components: token("0", "0")}),
		"models.gpt-4o-2024": book(t, billing.ModelPrice{Model: "gpt-4o", Components: token("1", "1")}, billing.ModelPrice{Model: "gpt-4o-2024", Components: token("2", "2")}),
		"currency":           func() *billing.Book { b, _ := billing.NewBook("EUR"); return b }(), // billing edge 24
	} {
		var f *store.FieldError
		require.ErrorAs(t, c.SetPrices(b), &f)
		require.Equal(t, field, f.Field)
	}
	require.Same(t, present, c.Prices(), "a book that is refused changes nothing")

	require.NoError(t, c.SetPrices(nil))
	_, ok = c.PriceAt("gpt-4o", august)
	require.False(t, ok, "the price in code counts no more")
}

func TestPricesChangeUnderReaders(t *testing.T) {
	c := served(t)
	books := []*billing.Book{
		book(t, billing.ModelPrice{Model: "gpt-4o", Components: token("1", "1")}, billing.ModelPrice{Model: "open", Components: token("1", "1")}),
		book(t, billing.ModelPrice{Model: "gpt-4o", Components: token("2", "2")}, billing.ModelPrice{Model: "open", Components: token("2", "2")}),
	}
	require.NoError(t, c.SetPrices(books[0]))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 2000 {
			if c.SetPrices(books[i%2]) != nil {
				return
			}
		}
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		v, ok := c.PriceAt("gpt-4o", august)
		require.True(t, ok)
		cost, err := v.PicoCost(billing.Usage{InputTokens: 3, OutputTokens: 5})
		require.NoError(t, err)
		require.Contains(t, []string{"8", "16"}, cost.String(), "one book or the other")
	}
	require.Same(t, books[1], c.Prices())
}
