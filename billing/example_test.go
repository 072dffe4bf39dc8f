package billing_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/memory"
)

func ExamplePrice_Cost() {
	p := billing.Price{InputPerMillion: decimal.RequireFromString("0.15"), OutputPerMillion: decimal.RequireFromString("0.60")}
	fmt.Println(p.Cost(billing.Usage{InputTokens: 1234, OutputTokens: 567}))
	// Output: 0.0005253
}

// Nights are quiet, and one noisy hour does not change what is usual.
func ExampleBaseline_Anomalous() {
	var hours []decimal.Decimal
	for _, spent := range []int64{9, 10, 11, 10, 12, 400, 8} {
		hours = append(hours, decimal.NewFromInt(spent))
	}
	usual, enough := billing.NewBaseline(hours)
	fmt.Println(usual.Median, usual.Deviation, enough)
	for _, s := range []billing.Sensitivity{billing.LowSensitivity, billing.MediumSensitivity, billing.HighSensitivity} {
		fmt.Println(s, usual.Anomalous(decimal.NewFromInt(32), s))
	}
	// Output:
	// 10 1.4826 true
	// low false
	// medium true
	// high true
}

func ExampleWindow_Period() {
	w, _ := billing.ParseWindow("calendar_month")
	zone, _ := time.LoadLocation("America/New_York")
	start, end := w.Period(zone, time.Time{}, time.Date(2024, 3, 15, 12, 0, 0, 0, time.UTC))
	fmt.Println(start.Format(time.RFC3339), end.Format(time.RFC3339)) // the clocks went forward in between
	// Output: 2024-03-01T05:00:00Z 2024-04-01T04:00:00Z
}

// A catalogue takes its prices from a file, and later another one while calls are under way.
func ExampleCatalogue_SetPrices() {
	models, _ := billing.NewCatalogue(billing.Model{ID: "gpt-4o-2024-05-13", Aliases: []string{"gpt-4o"}, MaxOutputTokens: 4096})
	book, err := billing.ParsePrices(strings.NewReader(`{"currency": "USD", "models": {"gpt-4o": [
		{"prices": {"input_token": "0.000005", "output_token": "0.000015"}},
		{"from": "2024-08-06T00:00:00Z", "prices": {"input_token": "0.0000025", "output_token": "0.00001"}}]}}`))
	if err == nil {
		err = models.SetPrices(book)
	}
	fmt.Println(err)
	for _, month := range []time.Month{time.June, time.September} {
		price, _ := models.PriceAt("gpt-4o", time.Date(2024, month, 1, 0, 0, 0, 0, time.UTC))
		cost, _ := price.Cost(billing.Usage{InputTokens: 1000, OutputTokens: 100})
		fmt.Println(month, cost)
	}
	// Output:
	// <nil>
	// June 0.0065
	// September 0.0035
}

func ExampleParsePrices() {
	_, err := billing.ParsePrices(strings.NewReader(`{"currency": "USD", "models": {"gpt-4o": [{"prices": {"input_token": 0.000005}}]}}`))
	fmt.Println(err)
	// Output: models.gpt-4o[0].prices.input_token: must be a string
}

func ExampleNewBook() {
	book, err := billing.NewBook("USD",
		billing.ModelPrice{Model: "tiny", Components: billing.Price{InputPerMillion: decimal.RequireFromString("0.15")}.Components()},
		billing.ModelPrice{Model: "painter", Components: []billing.Component{{Unit: billing.Image, Price: decimal.RequireFromString("0.04")}}})
	fmt.Println(book.Models(), err)
	painter, _ := book.At("painter", time.Now())
	cost, err := painter.Cost(billing.Usage{Images: 2})
	fmt.Println(cost, err)
	_, err = painter.Cost(billing.Usage{Images: 2, InputTokens: 100}) // not free: nobody has said
	fmt.Println(err)
	// Output:
	// [painter tiny] <nil>
	// 0.08 <nil>
	// no price is known
}

func ExampleCatalogue_EstimateUpperBound() {
	models, _ := billing.NewCatalogue(billing.Model{ID: "gpt-4o", MaxOutputTokens: 4096,
		Price: &billing.Price{InputPerMillion: decimal.RequireFromString("2.5"), OutputPerMillion: decimal.NewFromInt(10)}})
	e, _ := models.EstimateUpperBound("gpt-4o", time.Now(), billing.Usage{InputTokens: 1000, OutputTokens: 1_000_000})
	fmt.Println(e.Amount(), "with max_tokens", e.Usage.OutputTokens)
	// Output: 0.04346 with max_tokens 4096
}

// What is left of a budget says how long the answer may be.
func ExampleCatalogue_MaxTokensFor() {
	models, _ := billing.NewCatalogue(billing.Model{ID: "gpt-4o", MaxOutputTokens: 4096,
		Price: &billing.Price{InputPerMillion: decimal.RequireFromString("2.5"), OutputPerMillion: decimal.NewFromInt(10)}})
	n, err := models.MaxTokensFor("gpt-4o", time.Now(), decimal.RequireFromString("0.01"), billing.Usage{InputTokens: 1000})
	fmt.Println(n, err)
	_, err = models.MaxTokensFor("gpt-4o", time.Now(), decimal.RequireFromString("0.001"), billing.Usage{InputTokens: 1000})
	fmt.Println(err)
	// Output:
	// 750 <nil>
	// budget exceeded
}

// A call settles by the price that was pinned when it was admitted.
func ExampleReservation_SettleUsage() {
	models, _ := billing.NewCatalogue(billing.Model{ID: "gpt-4o", MaxOutputTokens: 4096,
		Price: &billing.Price{InputPerMillion: decimal.RequireFromString("2.5"), OutputPerMillion: decimal.NewFromInt(10)}})
	s := memory.New(nil)
	guard, _ := rbac.NewGuard(s, nil)
	ledger, ctx := billing.NewLedger(s, guard, nil), context.Background()

	e, _ := models.EstimateUpperBound("gpt-4o", time.Now(), billing.Usage{InputTokens: 1000, OutputTokens: 1000})
	r, err := ledger.Reserve(ctx, billing.Path{OrgID: "org_1", Model: "gpt-4o", Price: e.Price}, e.Amount())
	if err != nil {
		fmt.Println(err)
		return
	}
	// ... the request goes upstream here ...
	settled, err := r.SettleUsage(ctx, billing.Usage{InputTokens: 1000, CachedTokens: 200, OutputTokens: 400})
	fmt.Println("held", settled.Held, "charged", settled.Actual, err)
	// Output: held 0.0125 charged 0.0065 <nil>
}

func ExampleFemto_Cost() {
	price, _ := billing.ExactFemto(decimal.RequireFromString("0.0000000046875")) // USD for a token
	cost, err := price.Cost(3)
	fmt.Println(cost, err) // rounded up to 12 places
	// Output: 0.000000014063 <nil>
}
