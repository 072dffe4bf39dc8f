package orgs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// DefaultInvoiceGrace is how long after its end a month is closed.
const DefaultInvoiceGrace = 48 * time.Hour

// InvoiceRun says what [Manager.MakeInvoices] has done.
type InvoiceRun struct{ Months, Made, Finalized, Overdue, Retried int }

// MakeInvoices closes every month that has ended for Options.InvoiceGrace and makes its invoices, once, however often and in
// however many processes it is called, and whenever it was killed: the month is closed in the unit that makes them. An
// organization is invoiced from the month on in which it first has a payment method. What comes later than that is an adjustment
// on the invoice that is made next. Months that were missed are made up for, each with its own invoices.
//
// Drafts are finalized, as [Manager.FinalizeInvoice] does, but for those that wait for a purchase order; an invoice that is not
// paid when it is due leaves the event invoice.overdue; one whose card was refused is tried with the card that pays now. What
// fails does not keep the rest waiting. It is the platform's; see [Manager.Maintain].
func (m *Manager) MakeInvoices(ctx context.Context) (done InvoiceRun, err error) {
	if err := m.metering.Flush(ctx); err != nil {
		return done, err
	}
	ended, err := m.endedMonths(ctx)
	failed := []error{err}
	for _, orgID := range ended {
		for ctx.Err() == nil {
			made, err := m.closeMonth(ctx, orgID)
			if err != nil {
				if !errors.Is(err, errSettled) {
					failed = append(failed, fmt.Errorf("organization %s: %w", orgID, err))
				}
				break
			}
			done.Months, done.Made = done.Months+1, done.Made+made
		}
	}
	steps, err := m.invoiceSteps(ctx)
	failed = append(failed, err)
	for _, s := range steps {
		switch err := s.do(ctx, s.invoice); {
		case err == nil:
			*s.count(&done)++
		case !errors.Is(err, errSettled):
			failed = append(failed, fmt.Errorf("invoice %s: %w", s.invoice.ID, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return done, errors.Join(append(failed, ctx.Err())...)
}

// endedMonths are the organizations that have a month to be closed. The error is also of those of which that could not be found
// out, as where the machine does not know their zone.
func (m *Manager) endedMonths(ctx context.Context) (ids []string, err error) {
	var failed []error
	err = m.Read(ctx, rbac.Op{Action: "invoices.create"}, func(ctx context.Context, tx *store.Tx) error {
		ids, failed = nil, nil
		var payers []billing.Settings
		for s, err := range billing.SettingsRecords.All(ctx, tx, store.Query{}) {
			if err != nil {
				return err
			}
			if s.InvoicedFrom != nil {
				payers = append(payers, s)
			}
		}
		for _, s := range payers {
			switch month, err := nextMonth(ctx, tx, s); {
			case err != nil:
				failed = append(failed, fmt.Errorf("organization %s: %w", s.OrgID, err))
			case m.ended(month, tx.Now()):
				ids = append(ids, s.OrgID)
			}
		}
		return nil
	})
	return ids, errors.Join(append(failed, err)...)
}

func (m *Manager) ended(month billing.Span, now time.Time) bool {
	return !now.Before(month.Below.Add(m.opt.InvoiceGrace))
}

// nextMonth is the first month of an organization that was not closed. It begins where the one before has ended, also when the
// zone is another one now.
func nextMonth(ctx context.Context, tx *store.Tx, s billing.Settings) (month billing.Span, err error) {
	zone, err := zoneOf(ctx, tx, s.OrgID)
	if err != nil {
		return month, err
	}
	from, err := unclosedFrom(ctx, tx, s)
	return billing.MonthFrom(from, zone), err
}

// unclosedFrom is when the first month begins that was not closed.
func unclosedFrom(ctx context.Context, tx *store.Tx, s billing.Settings) (time.Time, error) {
	from, err := invoicedUntil(ctx, tx, s.OrgID)
	if err == nil && from.Before(*s.InvoicedFrom) {
		from = *s.InvoicedFrom
	}
	return from, err
}

// invoicedFrom is from when on an organization has its own invoices that gets its first payment method now: from the beginning
// of the month, and before it as far back as those above it that pay have not closed theirs, but nothing that was invoiced.
func invoicedFrom(ctx context.Context, tx *store.Tx, orgID string) (from time.Time, err error) {
	zone, err := zoneOf(ctx, tx, orgID)
	if err != nil {
		return from, err
	}
	chain, err := rbac.Lineage(ctx, tx, orgID)
	if err != nil {
		return from, err
	}
	from = billing.MonthStart(tx.Now(), zone)
	for _, scope := range chain {
		s, err := billing.SettingsOf(ctx, tx, scope.ID)
		if err != nil {
			return from, err
		}
		if scope.ID == orgID || s.InvoicedFrom == nil {
			continue
		}
		unclosed, err := unclosedFrom(ctx, tx, s)
		if err != nil {
			return from, err
		}
		if unclosed.Before(from) {
			from = unclosed
		}
		break // the nearest
	}
	last, err := invoicedUntil(ctx, tx, orgID)
	if from.Before(last) {
		from = last
	}
	return from, err
}

// invoicedUntil is when the last span of an organization ends, the zero time where it has none.
func invoicedUntil(ctx context.Context, tx *store.Tx, orgID string) (time.Time, error) {
	page, err := billing.InvoicedSpans.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}, Order: []store.Order{store.Desc("starts_at")}, Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return time.Time{}, err
	}
	return page.Items[0].EndsAt, nil
}

// closeMonth closes the next month of an organization and makes its invoices, in one unit: errSettled where there is none that has
// ended. It leaves the event billing.month_closed, and invoice.created for each invoice.
func (m *Manager) closeMonth(ctx context.Context, orgID string) (made int, err error) {
	op := rbac.Op{Action: "invoices.create", OrgID: orgID, Platform: true, Gone: true}
	err = m.Together(ctx, func(ctx context.Context) error {
		var month billing.Span
		var name string
		var shares []billing.InvoiceShare
		err := m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			s, err := billing.SettingsOf(ctx, tx, orgID)
			if err != nil {
				return audit.Change{}, err
			}
			if month, err = nextMonth(ctx, tx, s); err != nil {
				return audit.Change{}, err
			}
			if !m.ended(month, tx.Now()) { // another process was faster
				return audit.Change{}, errSettled
			}
			zone, err := zoneOf(ctx, tx, orgID)
			if err != nil {
				return audit.Change{}, err
			}
			name = month.Below.Add(-time.Microsecond).In(zone).Format("2006-01")
			if shares, err = m.shares(ctx, tx, s, month); err != nil {
				return audit.Change{}, err
			}
			return audit.Change{Type: "billing.month_closed", Resource: audit.Resource{Type: "organization", ID: orgID},
				Data: map[string]any{"month": name, "from": month.From, "below": month.Below, "invoices": len(shares)}}, nil
		})
		if err != nil {
			return err
		}
		for _, share := range shares {
			if err := m.makeInvoice(ctx, op, name, month, share); err != nil {
				return err
			}
		}
		made = len(shares)
		return nil
	})
	return made, err
}

// makeInvoice keeps a draft with its lines.
func (m *Manager) makeInvoice(ctx context.Context, op rbac.Op, name string, month billing.Span, share billing.InvoiceShare) error {
	return m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		i := Invoice{Meta: store.Meta{ID: tx.NewID(Invoices.Kind().Prefix)}, OrgID: op.OrgID, TeamID: share.TeamID, Month: name, PeriodStart: month.From, PeriodEnd: month.Below,
			Status: InvoiceDraft, Currency: billing.InvoiceCurrency, Cost: share.Cost, Total: share.Total}
		if err := Invoices.Insert(ctx, tx, &i); err != nil {
			return audit.Change{}, err
		}
		for some := range slices.Chunk(share.Lines, 500) {
			lines := make([]*billing.InvoiceLine, len(some))
			for n := range some {
				l := some[n]
				l.InvoiceID = i.ID
				lines[n] = &l
			}
			if _, err := billing.InvoiceLines.InsertMany(ctx, tx, lines); err != nil {
				return audit.Change{}, err
			}
		}
		return audit.Created(&i).In(i.TeamID), nil
	})
}

// shares notes whose usage belongs to a month, and divides what it has cost into invoices, with all that came late.
func (m *Manager) shares(ctx context.Context, tx *store.Tx, s billing.Settings, month billing.Span) ([]billing.InvoiceShare, error) {
	covered, err := coveredBy(ctx, tx, s.OrgID)
	if err != nil {
		return nil, err
	}
	for _, orgID := range covered {
		from, err := invoicedUntil(ctx, tx, orgID)
		if err != nil {
			return nil, err
		}
		if from.Before(month.From) {
			from = month.From
		}
		if !from.Before(month.Below) { // it was on somebody else's
			continue
		}
		if err := billing.InvoicedSpans.Insert(ctx, tx, &billing.InvoicedSpan{OrgID: orgID, PayerID: s.OrgID, StartsAt: from, EndsAt: month.Below}); err != nil {
			return nil, err
		}
	}
	var spans []billing.InvoicedSpan
	for span, err := range billing.InvoicedSpans.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("payer_id", s.OrgID)}, Order: []store.Order{store.Asc("starts_at")}}) {
		if err != nil {
			return nil, err
		}
		spans = append(spans, span)
	}
	lines, err := m.metering.Uninvoiced(ctx, tx, spans, month)
	if err != nil {
		return nil, err
	}
	if err := nameTeams(ctx, tx, s, lines); err != nil {
		return nil, err
	}
	o, err := organizations.Get(ctx, tx, s.OrgID)
	if err != nil {
		return nil, err
	}
	return billing.ShareInvoices(lines, o.Settings.Billing != nil && o.Settings.Billing.Type == PerTeam), nil
}

// coveredBy are the organizations on the invoices of one: itself, and those below it without any that has had a payment method
// on the way.
func coveredBy(ctx context.Context, tx *store.Tx, orgID string) ([]string, error) {
	covered := []string{orgID}
	levels, err := rbac.Descendants(ctx, tx, orgID)
	if err != nil {
		return nil, err
	}
	for _, level := range levels {
		pays := map[string]bool{}
		ids := make([]string, len(level))
		for i, scope := range level {
			ids[i] = scope.ID
		}
		for some := range slices.Chunk(ids, 200) {
			for s, err := range billing.SettingsRecords.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", some)}}) {
				if err != nil {
					return nil, err
				}
				pays[s.OrgID] = s.InvoicedFrom != nil
			}
		}
		for _, scope := range level {
			if !pays[scope.ID] && slices.Contains(covered, scope.ParentID) {
				covered = append(covered, scope.ID)
			}
		}
	}
	return covered, nil
}

// nameTeams writes on lines what their teams are called and where they belong.
func nameTeams(ctx context.Context, tx *store.Tx, s billing.Settings, lines []billing.InvoiceLine) error {
	codes, known := map[string]string{}, map[string]map[string]Team{}
	for slug, code := range s.CostAllocation.CostCenters {
		codes[store.SlugKey(slug)] = code
	}
	for i := range lines {
		l := &lines[i]
		if known[l.OrgID] == nil {
			named, err := teamsOf(ctx, tx, l.OrgID)
			if err != nil {
				return err
			}
			known[l.OrgID] = named
		}
		t := known[l.OrgID][l.TeamID]
		l.Team = t.Name
		switch {
		case t.Settings.Billing != nil && t.Settings.Billing.CostCenter != "":
			l.CostCenter = t.Settings.Billing.CostCenter
		case l.OrgID == s.OrgID: // whose slugs they are
			l.CostCenter = codes[t.SlugKey]
		}
	}
	return nil
}

// invoiceStep is what is to be done with one invoice.
type invoiceStep struct {
	invoice Invoice
	do      func(ctx context.Context, i Invoice) error
	count   func(*InvoiceRun) *int
}

// invoiceSteps are what is to be done with drafts, and with what is to be paid.
func (m *Manager) invoiceSteps(ctx context.Context) (steps []invoiceStep, err error) {
	err = m.Read(ctx, rbac.Op{Action: "invoices.finalize"}, func(ctx context.Context, tx *store.Tx) error {
		steps = nil
		var all []Invoice
		for i, err := range Invoices.All(ctx, tx, store.Query{Where: []store.Cond{store.In("status", []InvoiceStatus{InvoiceDraft, InvoiceFinal})}}) {
			if err != nil {
				return err
			}
			all = append(all, i)
		}
		for _, i := range all {
			method, _, err := payerOf(ctx, tx, &i)
			switch {
			case err != nil:
				return err
			case i.Status == InvoiceDraft && !method.Details.PurchaseOrderRequired:
				steps = append(steps, invoiceStep{i, m.finalizeDraft, func(d *InvoiceRun) *int { return &d.Finalized }})
			case i.overdue(tx.Now()):
				steps = append(steps, invoiceStep{i, m.noteOverdue, func(d *InvoiceRun) *int { return &d.Overdue }})
			}
			if m.anotherCard(&i, method) {
				steps = append(steps, invoiceStep{i, m.chargeAgain, func(d *InvoiceRun) *int { return &d.Retried }})
			}
		}
		return nil
	})
	return steps, err
}

func (m *Manager) finalizeDraft(ctx context.Context, i Invoice) error {
	op := rbac.Op{Action: "invoices.finalize", OrgID: i.OrgID, Platform: true, Gone: true}
	_, err := m.changeInvoice(ctx, i.ID, op, "invoice.finalized", "", func(ctx context.Context, tx *store.Tx, i *Invoice) error {
		if i.Status != InvoiceDraft {
			return errSettled
		}
		return m.finalize(ctx, tx, i, "")
	})
	return err
}

// overdue says whether an invoice should have been paid, and nobody has noted it. One for which a card is being charged is not.
func (i *Invoice) overdue(now time.Time) bool {
	return i.Status == InvoiceFinal && i.Charge != ChargePending && i.OverdueAt == nil && i.DueAt != nil && i.DueAt.Before(now)
}

func (m *Manager) noteOverdue(ctx context.Context, i Invoice) error {
	op := rbac.Op{Action: "invoices.create", OrgID: i.OrgID, Platform: true, Gone: true}
	_, err := m.changeInvoice(ctx, i.ID, op, "invoice.overdue", "", func(_ context.Context, tx *store.Tx, i *Invoice) error {
		now := tx.Now()
		if !i.overdue(now) {
			return errSettled
		}
		i.OverdueAt = &now
		return nil
	})
	return err
}
