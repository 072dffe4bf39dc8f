package orgs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/storetest"
)

// counter is a world in which an organization with two teams pays for what it uses.
type counter struct {
	*orgstest.World
	t        *testing.T
	clock    *storetest.Clock
	told     *orgstest.Notifications
	provider *orgstest.Payments
	worker   *jobs.Worker
	org      orgs.Organization
	owner    orgs.User
	eng, ops orgs.Team
	events   int
}

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func eachCounter(t *testing.T, fn func(t *testing.T, w *counter)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, counterOn(t, s, clock)) })
}

func counterOn(t *testing.T, s *store.Store, clock *storetest.Clock) *counter {
	w := &counter{t: t, clock: clock, told: &orgstest.Notifications{}, provider: &orgstest.Payments{}, worker: jobs.NewWorker(s, nil)}
	w.World = orgstest.New(t, s, w.options())
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	require.NoError(t, w.Maintain(w.Platform(), w.worker))
	w.org, w.owner = w.Org("acme")
	w.Roles(w.org)
	w.eng, w.ops = w.Team(w.org, "engineering", orgs.TeamSettings{}), w.Team(w.org, "ops", orgs.TeamSettings{})
	w.bills(orgs.BillingSettings{BillingEmail: "billing@acme.example", TaxID: "DE123456789",
		InvoiceSettings: &orgs.InvoiceSettings{Footer: "Thank you", SendTo: []string{"ap@acme.example", "Billing@acme.example"}}})
	w.told.Take()
	return w
}

func (w *counter) options() *orgs.Options {
	return &orgs.Options{Notifier: w.told, Payments: billing.Payments{Provider: w.provider, Tries: 1, Timeout: time.Millisecond}}
}

// bills sets how the organization is invoiced.
func (w *counter) bills(b orgs.BillingSettings) {
	w.t.Helper()
	require.NoError(w.t, second(w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{Billing: &b}})))
}

// pays sets by what an organization pays, the first by default, and returns the ids.
func (w *counter) pays(org string, methods ...billing.PaymentMethod) (ids []string) {
	w.t.Helper()
	methods[0].Default = true
	s, err := w.SetBilling(w.Platform(), org, orgs.NewBilling{PaymentMethods: methods,
		CostAllocation: billing.CostAllocation{Strategy: billing.TeamBased, CostCenters: map[string]string{"engineering": "CC-001"}}})
	require.NoError(w.t, err)
	for _, p := range s.PaymentMethods {
		ids = append(ids, p.ID)
	}
	return ids
}

func byCard(token billing.PaymentToken) billing.PaymentMethod {
	return billing.PaymentMethod{Type: billing.CreditCard, Details: billing.PaymentDetails{StripePaymentMethodID: token}}
}

func byTransfer(days int, purchaseOrder bool) billing.PaymentMethod {
	return billing.PaymentMethod{Type: billing.Invoice, Details: billing.PaymentDetails{NetTerms: &days, PurchaseOrderRequired: purchaseOrder,
		BillingAddress: &billing.BillingAddress{Line1: "1 Main St", City: "Bern", PostalCode: "3000", Country: "CH"}}}
}

// uses reports a call of an organization.
func (w *counter) uses(org, team, model, cost string, at time.Time) {
	w.t.Helper()
	w.events++
	_, err := w.IngestUsage(w.Platform(), org, []billing.UsageEvent{{Source: "host", ID: fmt.Sprint("e", w.events), Time: at, TeamID: team, Model: model, Status: 200,
		InputTokens: 10, Cost: dec(cost)}})
	require.NoError(w.t, err)
}

// corrects takes a part of the n-th call back.
func (w *counter) corrects(n int, cost string) {
	w.t.Helper()
	w.events++
	_, err := w.IngestUsage(w.Platform(), w.org.ID, []billing.UsageEvent{{Source: "host", ID: fmt.Sprint("e", w.events), Time: w.at(3, 1), Corrects: fmt.Sprint("e", n), Cost: dec(cost)}})
	require.NoError(w.t, err)
}

func (w *counter) at(month time.Month, day int) time.Time {
	return time.Date(2024, month, day, 10, 0, 0, 0, time.UTC)
}

// makes has invoices made at a time.
func (w *counter) makes(at time.Time) orgs.InvoiceRun {
	w.t.Helper()
	w.clock.Set(at)
	done, err := w.MakeInvoices(w.Platform())
	require.NoError(w.t, err)
	return done
}

// runs has all jobs done that are due.
func (w *counter) runs() {
	w.t.Helper()
	require.NoError(w.t, second(w.worker.RunDue(w.Platform())))
}

// all are the invoices of an organization, the oldest first.
func (w *counter) all(org string) (list []orgs.Invoice) {
	w.t.Helper()
	page, err := w.Invoices(w.Platform(), org, 100, "")
	require.NoError(w.t, err)
	for _, i := range page.Items {
		list = append([]orgs.Invoice{i}, list...)
	}
	return list
}

// lines are those of an invoice: team, model, cost and amount.
func (w *counter) lines(i orgs.Invoice) (list [][]string) {
	w.t.Helper()
	got, lines, err := w.Invoice(w.Platform(), i.OrgID, i.ID)
	require.NoError(w.t, err)
	cost, total := decimal.Zero, decimal.Zero
	for _, l := range lines {
		cost, total = cost.Add(l.Cost), total.Add(l.Amount)
		row := []string{l.Team, l.Model, l.Cost.String(), l.Amount.String()}
		if l.Adjustment {
			row = append(row, "late")
		}
		list = append(list, row)
	}
	require.True(w.t, cost.Equal(got.Cost), "the lines add up to the cost: %s", cost)
	require.True(w.t, total.Equal(got.Total), "and their amounts to the total: %s", total)
	return list
}

func TestOneInvoiceForAllTeams(t *testing.T) { // F020, F024, F025, F026, F210
	eachCounter(t, func(t *testing.T, w *counter) {
		w.pays(w.org.ID, byTransfer(30, false))
		w.uses(w.org.ID, w.eng.ID, "gpt", "1.004", w.at(3, 1))
		w.uses(w.org.ID, w.eng.ID, "opus", "2.004", w.at(3, 2))
		w.uses(w.org.ID, w.ops.ID, "gpt", "0.004", w.at(3, 3))
		w.uses(w.org.ID, "", "gpt", "0.003", w.at(3, 4))
		w.uses(w.org.ID, w.eng.ID, "free", "0", w.at(3, 4))
		require.Zero(t, w.makes(w.at(4, 2)), "what comes late has two days")
		require.Equal(t, orgs.InvoiceRun{Months: 1, Made: 1, Finalized: 1}, w.makes(w.at(4, 3)))
		require.Zero(t, w.makes(w.at(4, 4)))

		all := w.all(w.org.ID)
		require.Len(t, all, 1)
		i := all[0]
		require.Equal(t, [][]string{{"", "gpt", "0.003", "0"}, {"engineering", "gpt", "1.004", "1.01"}, {"engineering", "opus", "2.004", "2"}, {"ops", "gpt", "0.004", "0.01"}}, w.lines(i))
		require.Equal(t, "3.015 3.02 USD", fmt.Sprint(i.Cost, " ", i.Total, " ", i.Currency), "half to even")
		require.Equal(t, []any{orgs.InvoiceFinal, "INV-000001", "2024-03", orgs.NotCharged}, []any{i.Status, i.Number, i.Month, i.Charge})
		require.Equal(t, w.at(4, 3), *i.IssuedAt)
		require.Equal(t, w.at(5, 3), *i.DueAt)
		_, lines, err := w.Invoice(w.As(w.owner), w.org.ID, i.ID)
		require.NoError(t, err)
		require.Equal(t, []string{"", "CC-001"}, []string{lines[0].CostCenter, lines[1].CostCenter})
		require.EqualValues(t, 10, lines[1].Tokens)

		p, err := w.PrintedInvoice(w.As(w.owner), w.org.ID, i.ID)
		require.NoError(t, err)
		require.Equal(t, "1 Main St", p.Letter.Address.Line1)
		p.Letter.Address = nil
		require.Equal(t, orgs.InvoiceLetter{Organization: "acme", Method: billing.Invoice, NetTerms: 30, TaxID: "DE123456789", BillingEmail: "billing@acme.example", Footer: "Thank you"}, p.Letter)
		require.Len(t, p.Lines, 4)

		told := w.told.Take()
		require.Len(t, told, 1, "once")
		require.Equal(t, []string{"Billing@acme.example", "ap@acme.example"}, told[0].To, "each address once")
		require.Equal(t, orgs.InvoiceFinalized{InvoiceID: i.ID, Number: i.Number, Total: billing.NewAmount(i.Total), PeriodStart: i.PeriodStart, PeriodEnd: i.PeriodEnd, DueAt: i.DueAt}, told[0].About)

		w.bills(orgs.BillingSettings{TaxID: "other"})
		require.Equal(t, "DE123456789", w.all(w.org.ID)[0].Letter.TaxID, "it does not change any more")
		require.Equal(t, orgs.InvoiceRun{Months: 1, Overdue: 1}, w.makes(w.at(5, 4)), "nothing was used in April")
		require.Zero(t, w.makes(w.at(5, 5)))
		i, err = w.MarkInvoicePaid(w.As(w.owner), w.org.ID, i.ID, "transfer 7")
		require.NoError(t, err)
		require.Equal(t, []any{orgs.InvoicePaid, "transfer 7"}, []any{i.Status, i.Reference})
		require.Equal(t, []string{"invoice.paid", "invoice.overdue", "invoice.finalized", "invoice.created"}, eventsOf(t, w.World, w.org.ID, "invoice:"+i.ID))
		_, err = w.MarkInvoicePaid(w.As(w.owner), w.org.ID, i.ID, "again")
		inTheWay(t, err, "conflict")
		_, err = w.VoidInvoice(w.As(w.owner), w.org.ID, i.ID, "")
		inTheWay(t, err, "conflict")
	})
}

func TestOneInvoiceForEachTeam(t *testing.T) { // F021, F470
	eachCounter(t, func(t *testing.T, w *counter) {
		w.bills(orgs.BillingSettings{Type: orgs.PerTeam, BillingEmail: "billing@acme.example"})
		methods := w.pays(w.org.ID, byTransfer(10, false), byTransfer(20, false))
		eng := w.eng.Settings
		eng.Billing = &orgs.TeamBilling{PaymentMethodID: methods[1], BillingEmail: "eng@acme.example", CostCenter: "CC-9"}
		require.NoError(t, second(w.UpdateTeam(w.As(w.owner), w.eng.ID, orgs.TeamUpdate{Settings: &eng})))
		for _, cost := range []string{"1.004", "2.004"} {
			w.uses(w.org.ID, w.eng.ID, "gpt", cost, w.at(3, 1))
			w.uses(w.org.ID, w.ops.ID, "gpt", cost, w.at(3, 1))
		}
		w.uses(w.org.ID, "", "gpt", "0.004", w.at(3, 1))
		require.Equal(t, orgs.InvoiceRun{Months: 1, Made: 3, Finalized: 3}, w.makes(w.at(4, 3)))
		byTeam, sum, numbers := map[string]orgs.Invoice{}, decimal.Zero, map[string]bool{}
		for _, i := range w.all(w.org.ID) {
			byTeam[i.TeamID], sum, numbers[i.Number] = i, sum.Add(i.Total), true
			w.lines(i)
		}
		require.Equal(t, "6.02", sum.String(), "as one invoice would be: 6.02 of 6.020")
		require.Equal(t, map[string]bool{"INV-000001": true, "INV-000002": true, "INV-000003": true}, numbers)
		require.Equal(t, w.at(4, 23), *byTeam[w.eng.ID].DueAt, "by its own method")
		require.Equal(t, w.at(4, 13), *byTeam[w.ops.ID].DueAt)
		require.Equal(t, []string{"engineering", "CC-9", "eng@acme.example"}, []string{byTeam[w.eng.ID].Letter.Team, byTeam[w.eng.ID].Letter.CostCenter, byTeam[w.eng.ID].Letter.BillingEmail})
		to := map[string][]string{}
		for _, n := range w.told.Take() {
			to[n.TeamID] = n.To
		}
		require.Equal(t, map[string][]string{"": {"billing@acme.example"}, w.eng.ID: {"billing@acme.example", "eng@acme.example"}, w.ops.ID: {"billing@acme.example"}}, to)

		// Who pays for a team is for those to say who may say it of the organization.
		lead := w.Join(w.eng, "lead@acme.example", "team_lead")
		eng.Billing = &orgs.TeamBilling{BillingEmail: "lead@elsewhere.example"}
		_, err := w.UpdateTeam(w.As(lead), w.eng.ID, orgs.TeamUpdate{Settings: &eng})
		refused(t, err, "grant_ceiling")
		eng.Billing = &orgs.TeamBilling{PaymentMethodID: "pay_none"}
		_, err = w.UpdateTeam(w.As(w.owner), w.eng.ID, orgs.TeamUpdate{Settings: &eng})
		wrongField(t, err, "settings.billing.payment_method_id")
	})
}

func TestAPurchaseOrderIsWaitedFor(t *testing.T) { // F211
	eachCounter(t, func(t *testing.T, w *counter) {
		w.pays(w.org.ID, byTransfer(0, true))
		w.uses(w.org.ID, w.eng.ID, "gpt", "5", w.at(3, 1))
		require.Equal(t, orgs.InvoiceRun{Months: 1, Made: 1}, w.makes(w.at(4, 3)))
		i := w.all(w.org.ID)[0]
		_, err := w.FinalizeInvoice(w.As(w.owner), w.org.ID, i.ID, " ")
		wrongField(t, err, "purchase_order")
		require.Equal(t, "", w.all(w.org.ID)[0].Number, "a number is given when it is finalized")
		p, err := w.PrintedInvoice(w.As(w.owner), w.org.ID, i.ID)
		require.NoError(t, err)
		require.Equal(t, "DE123456789", p.Letter.TaxID, "a draft shows what it would have")
		require.Empty(t, w.told.Take())
		i, err = w.FinalizeInvoice(w.As(w.owner), w.org.ID, i.ID, "PO-7")
		require.NoError(t, err)
		require.Equal(t, []string{"PO-7", "INV-000001"}, []string{i.Letter.PurchaseOrder, i.Number})
		require.Len(t, w.told.Take(), 1)
		_, err = w.FinalizeInvoice(w.As(w.owner), w.org.ID, i.ID, "PO-8")
		inTheWay(t, err, "conflict")

		i, err = w.VoidInvoice(w.As(w.owner), w.org.ID, i.ID, "sent twice")
		require.NoError(t, err)
		require.Equal(t, []any{orgs.InvoiceVoid, "INV-000001"}, []any{i.Status, i.Number})
		w.uses(w.org.ID, w.eng.ID, "gpt", "1", w.at(4, 3))
		w.makes(w.at(5, 3))
		next, err := w.FinalizeInvoice(w.As(w.owner), w.org.ID, w.all(w.org.ID)[1].ID, "PO-9")
		require.NoError(t, err)
		require.Equal(t, "INV-000002", next.Number, "no number comes again")
		require.Equal(t, [][]string{{"engineering", "gpt", "1", "1"}}, w.lines(next), "what was void is not invoiced again")
	})
}

func TestWhatComesLateIsOnTheNextInvoice(t *testing.T) { // billing edges 19 and 57
	eachCounter(t, func(t *testing.T, w *counter) {
		w.pays(w.org.ID, byTransfer(30, false))
		w.uses(w.org.ID, w.eng.ID, "gpt", "1", w.at(3, 1))
		w.uses(w.org.ID, w.ops.ID, "gpt", "1", w.at(3, 1))
		w.makes(w.at(4, 3))
		w.uses(w.org.ID, w.eng.ID, "gpt", "0.25", w.at(3, 31))
		w.uses(w.org.ID, w.eng.ID, "gpt", "2", w.at(4, 1))
		w.corrects(2, "-0.5")
		w.makes(w.at(5, 3))
		require.Equal(t, [][]string{{"engineering", "gpt", "2", "2"}, {"engineering", "gpt", "0.25", "0.25", "late"}, {"ops", "gpt", "-0.5", "-0.5", "late"}}, w.lines(w.all(w.org.ID)[1]))

		// What would be below nothing waits for an invoice that it can lower.
		w.corrects(1, "-0.75")
		require.Equal(t, orgs.InvoiceRun{Months: 1, Overdue: 2}, w.makes(w.at(6, 3)))
		w.uses(w.org.ID, w.ops.ID, "gpt", "3", w.at(6, 2))
		w.makes(w.at(7, 3))
		all := w.all(w.org.ID)
		require.Equal(t, [][]string{{"ops", "gpt", "3", "3"}, {"engineering", "gpt", "-0.75", "-0.75", "late"}}, w.lines(all[len(all)-1]))
	})
}

func TestACardIsChargedOnce(t *testing.T) { // F022, F206
	eachCounter(t, func(t *testing.T, w *counter) {
		w.pays(w.org.ID, byCard("pm_1234567890"))
		w.uses(w.org.ID, w.eng.ID, "gpt", "12.345", w.at(3, 1))
		w.makes(w.at(4, 3))
		i := w.all(w.org.ID)[0]
		require.Equal(t, []any{orgs.InvoiceFinal, orgs.ChargePending}, []any{i.Status, i.Charge})
		told := w.told.Take()
		require.Len(t, told, 1)
		require.Nil(t, told[0].About.(orgs.InvoiceFinalized).DueAt, "it is charged")
		_, err := w.VoidInvoice(w.As(w.owner), w.org.ID, i.ID, "")
		inTheWay(t, err, "conflict")
		_, err = w.MarkInvoicePaid(w.As(w.owner), w.org.ID, i.ID, "")
		inTheWay(t, err, "conflict")

		before := len(w.provider.Calls())
		w.provider.Silence(true) // the money is taken, and nobody hears of it
		require.ErrorIs(t, second(w.worker.RunDue(w.Platform())), billing.ErrPaymentUnavailable)
		require.Equal(t, orgs.ChargePending, w.all(w.org.ID)[0].Charge)
		w.clock.Advance(2 * time.Minute)
		w.runs()
		i = w.all(w.org.ID)[0]
		require.Equal(t, []any{orgs.InvoicePaid, orgs.ChargeTaken}, []any{i.Status, i.Charge})
		receipts := w.provider.Receipts()
		require.Len(t, receipts, 1, "once")
		require.Equal(t, "12.34", receipts[0].Amount.String())
		require.Equal(t, receipts[0].ID, i.Reference)
		require.Equal(t, []string{i.ID, i.ID}, w.provider.Calls()[before:], "asked again under the same key")
		w.clock.Advance(24 * time.Hour)
		w.runs()
		require.Len(t, w.provider.Calls(), before+2)
		require.Equal(t, []string{"invoice.paid", "invoice.finalized", "invoice.created"}, eventsOf(t, w.World, w.org.ID, "invoice:"+i.ID))
		page, err := w.AuditLog(w.Platform(), w.org.ID, audit.Filter{Resources: []string{"invoice:" + i.ID}})
		require.NoError(t, err)
		for _, e := range page.Items {
			require.NotContains(t, fmt.Sprintf("%s %s %s", e.Before, e.After, e.Data), "pm_1234567890")
		}
	})
}

func TestARefusedCardWaitsForAnother(t *testing.T) {
	eachCounter(t, func(t *testing.T, w *counter) {
		w.pays(w.org.ID, byCard("pm_1234567890"))
		w.provider.Refuse("pm_1234567890", "card_declined")
		w.uses(w.org.ID, w.eng.ID, "gpt", "12", w.at(3, 1))
		w.makes(w.at(4, 3))
		w.runs()
		i := w.all(w.org.ID)[0]
		require.Equal(t, []any{orgs.InvoiceFinal, orgs.ChargeRefused, "card_declined"}, []any{i.Status, i.Charge, i.Refusal})
		calls := len(w.provider.Calls())
		require.Equal(t, orgs.InvoiceRun{Overdue: 1}, w.makes(w.at(4, 4)), "it was due at once")
		w.runs()
		require.Len(t, w.provider.Calls(), calls, "the same card is not asked again")

		w.pays(w.org.ID, byCard("pm_another890"))
		require.Equal(t, orgs.InvoiceRun{Retried: 1}, w.makes(w.at(4, 5)))
		require.Zero(t, w.makes(w.at(4, 5)))
		w.runs()
		i = w.all(w.org.ID)[0]
		require.Equal(t, []any{orgs.InvoicePaid, orgs.ChargeTaken}, []any{i.Status, i.Charge})
		require.Len(t, w.provider.Receipts(), 1)
		require.Equal(t, i.ID+"_2", w.provider.Calls()[len(w.provider.Calls())-1], "a refusal is final for its key")
		require.Equal(t, []string{"invoice.paid", "payment.retried", "invoice.overdue", "payment.failed", "invoice.finalized", "invoice.created"}, eventsOf(t, w.World, w.org.ID, "invoice:"+i.ID))
	})
}

func TestThoseBelowAreOnTheInvoiceOfWhoPays(t *testing.T) {
	eachCounter(t, func(t *testing.T, w *counter) {
		below := func(slug, parent string) string {
			o, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: slug, Slug: slug, Parent: parent})
			require.NoError(t, err)
			return o.ID
		}
		lab := below("lab", w.org.ID)
		own := below("own", w.org.ID)
		other, _ := w.Org("other")
		w.pays(w.org.ID, byTransfer(30, false))
		w.pays(own, byTransfer(30, false))
		w.pays(other.ID, byTransfer(30, false))
		for org, cost := range map[string]string{w.org.ID: "1", lab: "2", own: "4", below("deep", lab): "8", below("owned", own): "16"} {
			w.uses(org, "", "gpt", cost, w.at(3, 1))
		}
		w.makes(w.at(4, 3))
		require.Equal(t, "11", w.all(w.org.ID)[0].Total.String())
		require.Equal(t, "20", w.all(own)[0].Total.String())
		require.Empty(t, w.all(lab))

		// Moved in the midst of a month it is on one invoice, and what is late on that on which the rest was.
		w.uses(lab, "", "gpt", "32", w.at(4, 1))
		w.uses(lab, "", "gpt", "64", w.at(3, 1))
		require.NoError(t, second(w.MoveOrganization(w.Platform(), lab, other.ID)))
		w.makes(w.at(5, 3))
		require.Equal(t, [][]string{{"", "gpt", "64", "64", "late"}}, w.lines(w.all(w.org.ID)[1]))
		require.Equal(t, [][]string{{"", "gpt", "32", "32"}}, w.lines(w.all(other.ID)[0]))

		// Who pays by themselves from now on is invoiced from where the others have ended.
		w.uses(lab, "", "gpt", "128", w.at(5, 1))
		w.pays(lab, byTransfer(30, false))
		w.makes(w.at(6, 3))
		require.Equal(t, [][]string{{"", "gpt", "128", "128"}}, w.lines(w.all(lab)[0]))

		// Also where they have not closed that month yet; who has nobody above who pays begins with the month.
		w.clock.Set(w.at(7, 1))
		fresh, alone := below("fresh", w.org.ID), below("alone", "")
		for _, org := range []string{fresh, alone} {
			w.uses(org, "", "gpt", "256", w.at(6, 10))
			w.uses(org, "", "gpt", "512", w.at(7, 1))
			w.pays(org, byTransfer(30, false))
		}
		w.makes(w.at(7, 3))
		require.Equal(t, [][]string{{"", "gpt", "256", "256"}}, w.lines(w.all(fresh)[0]))
		require.Empty(t, w.all(alone))
		w.makes(w.at(8, 3))
		require.Equal(t, [][]string{{"", "gpt", "512", "512"}}, w.lines(w.all(fresh)[1]))
		require.Equal(t, [][]string{{"", "gpt", "512", "512"}}, w.lines(w.all(alone)[0]))
	})
}

func TestAMonthIsThatOfTheZone(t *testing.T) {
	eachCounter(t, func(t *testing.T, w *counter) {
		zone := func(name string) {
			require.NoError(t, second(w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{Defaults: &orgs.DefaultSettings{Timezone: name}}})))
		}
		zone("America/New_York")
		w.pays(w.org.ID, byTransfer(30, false))
		w.clock.Set(w.at(4, 2))
		w.uses(w.org.ID, "", "gpt", "1", time.Date(2024, 4, 1, 3, 59, 0, 0, time.UTC))
		w.uses(w.org.ID, "", "gpt", "2", time.Date(2024, 4, 1, 4, 0, 0, 0, time.UTC))
		w.makes(w.at(4, 4))
		require.Equal(t, [][]string{{"", "gpt", "1", "1"}}, w.lines(w.all(w.org.ID)[0]))
		zone("Asia/Tokyo") // what lies between the ends of both months is in neither twice, nor in none
		w.makes(w.at(5, 4))
		next := w.all(w.org.ID)[1]
		require.Equal(t, [][]string{{"", "gpt", "2", "2"}}, w.lines(next))
		require.Equal(t, []any{"2024-04", time.Date(2024, 4, 1, 4, 0, 0, 0, time.UTC), time.Date(2024, 4, 30, 15, 0, 0, 0, time.UTC)}, []any{next.Month, next.PeriodStart, next.PeriodEnd})
		zone("America/New_York")
		w.makes(w.at(6, 4))
		spans := w.all(w.org.ID)
		require.Len(t, spans, 2, "nothing was used")
	})
}

func TestAMonthIsClosedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := counterOn(t, s, clock)
		w.pays(w.org.ID, byTransfer(30, false))
		w.uses(w.org.ID, w.eng.ID, "gpt", "1", w.at(3, 1))
		clock.Set(w.at(4, 3))
		var all sync.WaitGroup
		runs := make([]orgs.InvoiceRun, 4)
		for n := range runs {
			m, err := orgs.New(s, w.options())
			require.NoError(t, err)
			t.Cleanup(func() { _ = m.Close() })
			all.Go(func() {
				if runs[n], err = m.MakeInvoices(w.Platform()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		var sum orgs.InvoiceRun
		for _, r := range runs {
			sum.Months, sum.Made, sum.Finalized = sum.Months+r.Months, sum.Made+r.Made, sum.Finalized+r.Finalized
		}
		require.Equal(t, orgs.InvoiceRun{Months: 1, Made: 1, Finalized: 1}, sum)
		require.Len(t, w.all(w.org.ID), 1)
		require.Len(t, w.told.Take(), 1)
	})
}

func TestAMonthIsClosedWholeOrNotAtAll(t *testing.T) {
	for _, name := range []string{"memory", "twice", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			s, rec, clock := recorded(t, name)
			w := counterOn(t, s, clock)
			w.bills(orgs.BillingSettings{Type: orgs.PerTeam})
			w.pays(w.org.ID, byTransfer(30, true))
			w.uses(w.org.ID, w.eng.ID, "gpt", "1", w.at(3, 1))
			w.uses(w.org.ID, w.ops.ID, "gpt", "2", w.at(3, 1))
			clock.Set(w.at(4, 3))
			rec.failing(errDisk)
			_ = rec.leavesNothing(t, func() error {
				_, err := w.MakeInvoices(w.Platform())
				require.ErrorIs(t, err, errDisk)
				return err
			})
			rec.failing(nil)
			require.Equal(t, orgs.InvoiceRun{Months: 1, Made: 2}, w.makes(w.at(4, 3)))
		})
	}
}

func TestInvoicesAreWhatWasUsed(t *testing.T) { // F233: whatever comes when, they add up to the sums of analytics
	for _, name := range []string{"memory", "sqlite"} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				seed := rand.Uint64()
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					clock, random := storetest.NewClock(), rand.New(rand.NewPCG(seed, 8))
					w := counterOn(t, storetest.Open(t, name, store.Options{Now: clock.Now}), clock)
					w.pays(w.org.ID, byTransfer(30, random.IntN(2) == 0))
					month := func(m time.Month) { // something of each month, some of it late
						for range 20 {
							at := time.Date(2024, max(3, m-time.Month(random.IntN(3))), 1+random.IntN(28), random.IntN(24), random.IntN(60), 0, 0, time.UTC)
							if at.After(clock.Now()) {
								at = clock.Now()
							}
							w.uses(w.org.ID, []string{"", w.eng.ID, w.ops.ID}[random.IntN(3)], []string{"gpt", "opus"}[random.IntN(2)], decimal.New(random.Int64N(1e9), -12+int32(random.IntN(6))).String(), at)
						}
						typ := []string{orgs.Consolidated, orgs.PerTeam}[random.IntN(2)]
						w.bills(orgs.BillingSettings{Type: typ})
						w.makes(time.Date(2024, m+1, 3, 10, 0, 0, 0, time.UTC))
					}
					for m := time.March; m < time.August; m++ {
						month(m)
						invoiced, rounded, numbered := decimal.Zero, decimal.Zero, decimal.Zero
						all := w.all(w.org.ID)
						for _, i := range all {
							w.lines(i)
							invoiced, rounded = invoiced.Add(i.Cost), rounded.Add(i.Total)
							if i.Status != orgs.InvoiceDraft {
								numbered = numbered.Add(decimal.NewFromInt(1))
							}
						}
						a, err := w.Analytics(w.Platform(), w.org.ID, orgs.AnalyticsQuery{Period: billing.Period{Start: "2024-01-01", End: "2024-12-31"}})
						require.NoError(t, err)
						late := decimal.Zero // of the month that runs, if anything was ahead
						open, err := w.Analytics(w.Platform(), w.org.ID, orgs.AnalyticsQuery{Period: billing.Period{Name: "month_to_date"}})
						require.NoError(t, err)
						late = late.Add(open.Cost)
						require.Equal(t, a.Cost.Sub(late).String(), invoiced.String(), "to the last digit")
						require.True(t, rounded.Sub(invoiced).Abs().LessThanOrEqual(dec("0.005").Mul(decimal.NewFromInt(int64(m-time.February)))), "half a cent for each month at most")
						if numbered.IsPositive() {
							require.Equal(t, fmt.Sprintf("INV-%06d", numbered.IntPart()), last(all), "numbers have no gaps")
						}
					}
				})
			}
		})
	}
}

// last is the highest number.
func last(all []orgs.Invoice) (number string) {
	for _, i := range all {
		number = max(number, i.Number)
	}
	return number
}

func TestThePlatformSettlesInvoicesWhereItSaysSo(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	w := orgstest.New(t, s, &orgs.Options{PlatformSettlesInvoices: true})
	org, owner := w.Org("acme")
	i := orgs.Invoice{OrgID: org.ID, Status: orgs.InvoiceDraft, Total: dec("1"), Cost: dec("1")}
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return orgs.Invoices.Insert(ctx, tx, &i) }))
	require.NoError(t, second(w.FinalizeInvoice(w.As(owner), org.ID, i.ID, "")))
	_, err := w.MarkInvoicePaid(w.As(owner), org.ID, i.ID, "")
	require.ErrorIs(t, err, rbac.ErrDenied)
	_, err = w.VoidInvoice(w.As(owner), org.ID, i.ID, "")
	require.ErrorIs(t, err, rbac.ErrDenied)
	require.NoError(t, second(w.MarkInvoicePaid(w.Platform(), org.ID, i.ID, "")))
}

func TestAnotherAmountNeedsAPerson(t *testing.T) {
	eachCounter(t, func(t *testing.T, w *counter) {
		w.pays(w.org.ID, byCard("pm_1234567890"))
		w.uses(w.org.ID, w.eng.ID, "gpt", "12.30", w.at(3, 1))
		w.makes(w.at(4, 3))
		m, err := orgs.New(w.Store(), &orgs.Options{Payments: billing.Payments{Provider: &odd{}}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		worker := jobs.NewWorker(w.Store(), nil)
		require.NoError(t, m.Maintain(w.Platform(), worker))
		require.NoError(t, second(worker.RunDue(w.Platform())))
		i := w.all(w.org.ID)[0]
		require.Equal(t, []any{orgs.InvoiceFinal, orgs.ChargeDiffers}, []any{i.Status, i.Charge})
		w.pays(w.org.ID, byCard("pm_another890"))
		require.Equal(t, orgs.InvoiceRun{Overdue: 1}, w.makes(w.at(4, 4)), "no other card is charged")
		i, err = w.MarkInvoicePaid(w.Platform(), w.org.ID, i.ID, "looked at")
		require.NoError(t, err)
		require.Equal(t, orgs.InvoicePaid, i.Status)
	})
}

func TestWhoIsGonePaysForWhatWasUsed(t *testing.T) {
	eachCounter(t, func(t *testing.T, w *counter) {
		w.pays(w.org.ID, byTransfer(30, false))
		w.uses(w.org.ID, w.eng.ID, "gpt", "5", w.at(3, 1))
		require.NoError(t, second(w.DeleteTeam(w.Platform(), w.eng.ID, true)))
		require.NoError(t, second(w.DeleteOrganization(w.Platform(), w.org.ID, true, "")))
		w.told.Take()
		require.Equal(t, orgs.InvoiceRun{Months: 1, Made: 1, Finalized: 1}, w.makes(w.at(4, 3)))
		require.Equal(t, [][]string{{"", "gpt", "5", "5"}}, w.lines(w.all(w.org.ID)[0]))
		require.Len(t, w.told.Take(), 1)
		require.Zero(t, w.makes(w.at(4, 4)))
		_, err := w.Invoices(w.As(w.owner), w.org.ID, 10, "")
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}
