package billing_test

import (
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
)

func ExamplePrice_Cost() {
	p := billing.Price{InputPerMillion: decimal.RequireFromString("0.15"), OutputPerMillion: decimal.RequireFromString("0.60")}
	fmt.Println(p.Cost(billing.Usage{InputTokens: 1234, OutputTokens: 567}))
	// Output: 0.0005253
}

func ExampleWindow_Period() {
	w, _ := billing.ParseWindow("calendar_month")
	zone, _ := time.LoadLocation("America/New_York")
	start, end := w.Period(zone, time.Time{}, time.Date(2024, 3, 15, 12, 0, 0, 0, time.UTC))
	fmt.Println(start.Format(time.RFC3339), end.Format(time.RFC3339)) // the clocks went forward in between
	// Output: 2024-03-01T05:00:00Z 2024-04-01T04:00:00Z
}
