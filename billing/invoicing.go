package billing

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// InvoiceCurrency is the ISO 4217 code of what invoices are in, as everything here that costs is.
const InvoiceCurrency = "USD"

// invoicePlaces are those of its minor unit (billing edge 23).
const invoicePlaces = 2

// MinorUnits is an amount of an invoice in whole minor units: 12.30 USD are 1230.
func MinorUnits(amount decimal.Decimal) int64 { return amount.Shift(invoicePlaces).IntPart() }

// InvoicedSpan is a time in which the usage of an organization belongs on the invoices of one: its own, or those of one above
// it. No instant of an organization lies in two, so that nothing is invoiced twice, whatever is moved in the tree.
type InvoicedSpan struct {
	store.Meta
	OrgID    string // whose usage
	PayerID  string // the organization whose invoices
	StartsAt time.Time
	EndsAt   time.Time // not included
}

// InvoicedSpans holds those whose month was closed. The floor above writes it inside rbac.Guard.Change.
var InvoicedSpans = store.Define[InvoicedSpan]("invoiced_spans", "span",
	store.Unique("org_id", "starts_at"), store.Index("payer_id", "starts_at"))

// InvoiceLine is what one model has cost in one team, or outside of all teams, in one span. The lines of a span add up to
// what its usage had cost when the last of them was made.
type InvoiceLine struct {
	store.Meta
	InvoiceID  string
	SpanID     string
	OrgID      string // whose usage
	TeamID     string // "" is what belongs to no team
	Team       string // its name then
	CostCenter string // of the team then
	Model      string
	Adjustment bool // of a time that was invoiced before: what came late, and corrections (billing edge 57)
	StartsAt   time.Time
	EndsAt     time.Time // not included
	Requests   int64     // as tokens below 0 where more was taken back
	Tokens     int64
	Cost       decimal.Decimal // exactly
	Amount     decimal.Decimal // Cost in whole minor units, so that the lines add up to the total of their invoice
}

// InvoiceLines holds the lines of all invoices. The floor above writes it inside rbac.Guard.Change.
var InvoiceLines = store.Define[InvoiceLine]("invoice_lines", "line", store.Index("invoice_id"), store.Index("span_id"))

// MonthFrom is the month of the zone that an instant lies in, from the instant on. What is left of it is left to the next one
// where that is less than two days: a zone that was changed makes no month of hours.
func MonthFrom(from time.Time, zone *time.Location) Span {
	y, mo, _ := from.In(zone).Date()
	end := first(zone, y, mo+1, 1, 0, 0, 0, 0)
	if end.Sub(from) < 48*time.Hour {
		end = first(zone, y, mo+2, 1, 0, 0, 0, 0)
	}
	return Span{from, end}
}

// MonthStart is when the month of the zone began that an instant lies in.
func MonthStart(at time.Time, zone *time.Location) time.Time {
	y, mo, _ := at.In(zone).Date()
	return first(zone, y, mo, 1, 0, 0, 0, 0)
}

// billed is what a line is of.
type billed struct{ span, value string }

// Uninvoiced is what the usage of spans has cost and no line says yet, of teams and models in their order. A line of a span that
// begins before the month is an adjustment. It asks no permission: it serves the floors above, who flush before.
func (m *Metering) Uninvoiced(ctx context.Context, tx *store.Tx, spans []InvoicedSpan, month Span) (lines []InvoiceLine, err error) {
	said, err := invoicedBefore(ctx, tx, spans)
	if err != nil {
		return nil, err
	}
	for _, s := range spans {
		got, err := m.covering(tx, s.OrgID, Span{s.StartsAt, s.EndsAt}).read(ctx, wanted{dim: byTeamModel})
		if err != nil {
			return nil, err
		}
		for _, value := range slices.Sorted(maps.Keys(got[0].sums)) {
			sum, before := got[0].sums[value], said[billed{s.ID, value}]
			l := InvoiceLine{SpanID: s.ID, OrgID: s.OrgID, Adjustment: s.StartsAt.Before(month.From), StartsAt: s.StartsAt, EndsAt: s.EndsAt,
				Requests: sum.Requests - before.Requests, Tokens: sum.InputTokens + sum.OutputTokens - before.Tokens, Cost: sum.cost().Sub(before.Cost)}
			l.TeamID, l.Model, _ = strings.Cut(value, "\n")
			if !l.Cost.IsZero() {
				lines = append(lines, l)
			}
		}
	}
	return lines, nil
}

// invoicedBefore is what the lines of spans say together.
func invoicedBefore(ctx context.Context, tx *store.Tx, spans []InvoicedSpan) (map[billed]InvoiceLine, error) {
	said, ids := map[billed]InvoiceLine{}, make([]string, len(spans))
	for i, s := range spans {
		ids[i] = s.ID
	}
	for some := range slices.Chunk(ids, 200) {
		for l, err := range InvoiceLines.All(ctx, tx, store.Query{Where: []store.Cond{store.In("span_id", some)}}) {
			if err != nil {
				return nil, err
			}
			k := billed{l.SpanID, pair(l.TeamID, l.Model)}
			sum := said[k]
			sum.Requests, sum.Tokens, sum.Cost = sum.Requests+l.Requests, sum.Tokens+l.Tokens, sum.Cost.Add(l.Cost)
			said[k] = sum
		}
	}
	return said, nil
}

// InvoiceShare is what one invoice asks for.
type InvoiceShare struct {
	TeamID string          // "" is the organization as a whole, or what belongs to no team
	Lines  []InvoiceLine   // with their amounts
	Cost   decimal.Decimal // exactly
	Total  decimal.Decimal // in whole minor units: the sum of the amounts
}

// ShareInvoices makes one invoice of all lines, or one for each team and one for what belongs to none. Their totals add up to
// the sum of the costs, rounded half to even, and are the same for a team on one invoice as on its own (F470). What comes to less
// than nothing is on none: without lines it is Uninvoiced still, and so on the next one.
func ShareInvoices(lines []InvoiceLine, perTeam bool) (shares []InvoiceShare) {
	teams := map[string]*InvoiceShare{}
	for _, l := range lines {
		if teams[l.TeamID] == nil {
			teams[l.TeamID] = &InvoiceShare{TeamID: l.TeamID}
		}
		t := teams[l.TeamID]
		t.Lines, t.Cost = append(t.Lines, l), t.Cost.Add(l.Cost)
	}
	var kept []*InvoiceShare
	sum := decimal.Zero
	for _, id := range slices.Sorted(maps.Keys(teams)) {
		if t := teams[id]; !perTeam || !t.Cost.IsNegative() {
			kept, sum = append(kept, t), sum.Add(t.Cost)
		}
	}
	if len(kept) == 0 || sum.IsNegative() {
		return nil
	}
	costs := make([]decimal.Decimal, len(kept))
	for i, t := range kept {
		costs[i] = t.Cost
	}
	for i, total := range Apportion(costs, invoicePlaces) {
		kept[i].divide(total)
	}
	if perTeam {
		for _, t := range kept {
			shares = append(shares, *t)
		}
		return shares
	}
	var whole InvoiceShare
	for _, t := range kept {
		whole.Lines, whole.Cost, whole.Total = append(whole.Lines, t.Lines...), whole.Cost.Add(t.Cost), whole.Total.Add(t.Total)
	}
	slices.SortStableFunc(whole.Lines, func(a, b InvoiceLine) int { return cmp.Compare(a.rank(), b.rank()) })
	return []InvoiceShare{whole}
}

// rank has what is of the month before what came late.
func (l *InvoiceLine) rank() int {
	if l.Adjustment {
		return 1
	}
	return 0
}

// divide gives the lines their amounts, which add up to the total: the cost, rounded up or down.
func (s *InvoiceShare) divide(total decimal.Decimal) {
	slices.SortStableFunc(s.Lines, func(a, b InvoiceLine) int { return cmp.Compare(a.rank(), b.rank()) })
	costs := make([]decimal.Decimal, len(s.Lines))
	for i, l := range s.Lines {
		costs[i] = l.Cost
	}
	s.Total = total
	for i, amount := range apportionTo(total, costs, invoicePlaces) {
		s.Lines[i].Amount = amount
	}
}
