// Package billing keeps budgets in decimals.
//
// A call reserves what it may cost at most with [Ledger.Reserve], over every budget on its path or
// none, then settles what it did cost with [Reservation.Settle], exactly once. A reservation that
// is never settled stays counted: a crash can waste money of a budget, it cannot make any.
//
// # Exactness
//
// Amounts are decimals at the API, in the database and in reports. No float ever touches money.
// What is enforced is rounded up to 12 places, so that rounding never admits too much. Where decimals
// are too slow the same amounts are integers, [Pico] and [Femto], and no sum overflows unseen.
//
// # Prices
//
// A [Catalogue] knows what its models cost, by the price that each has in code or by a [Book] of versions with
// instants from which they count. [Catalogue.EstimateUpperBound] says what a call may cost at most,
// [Catalogue.MaxTokensFor] how long its answer may be. What was reserved settles by the version of the price that
// it was reserved by ([Reservation.SettleUsage]). Where a price is missing, each budget says what becomes of
// the call ([UnknownPrice]); hard ones refuse it.
//
// # Rates
//
// A [Limiter] bounds requests and tokens within windows, and how many calls run at once. A call takes from every limit on
// its path or from none ([Limits.Take]), then settles its tokens and frees its slot ([Hold.Settle]).
//
// # Guarantee
//
// A hard budget is never exceeded as long as no call costs more than it reserved, whatever processes, machines and
// clocks do; what a call costs beyond is charged all the same and shown as [BudgetState.Over]. A crash can waste money of a
// budget, shown as [BudgetState.Forfeited]; it cannot make any.
//
// # Leases
//
// A process takes a part of what is left of a budget out of its account in the database, durably and before it uses it,
// and spends it from memory: a [Purse] for each path, out of the lease of each hard budget on it. The parts are no
// more than the share of one of the living processes in half of what is left, and shrink to what is needed as a
// budget runs out, so that all of it can be used. What was spent is written, and what is not needed returned, in one
// transaction every [Options.Flush]; an idle process has none.
//
// Each process writes as a node, under a number for each write, so that what seemed to fail and had not is not done twice.
// Whoever finds a node that has long been silent fences it: its leases count as spent from then on, and it finds out before it
// takes or gives anything again. That is safe without a clock and with a node that only slept. What was leased is given
// back by proof only: by the node itself when it finds that it was fenced, or by a [Journal] whose process the
// kernel knows to be gone. The journal is the memory in which a process counts, so it costs nothing to keep.
//
// Soft budgets are charged and told of, and lease nothing. [Ledger.Hold] keeps a reservation in the database instead, for
// calls that outlive their process.
//
// # Periods
//
// A period is arithmetic ([Window.Period]): the account of the period that contains now is made
// when it is first needed, and no job ever resets one. A reservation belongs to the period in
// which it was made, whenever it is settled.
//
// # Raises
//
// Who is refused may ask for more ([Ledger.RequestRaise]), and others decide on it. What is granted is a part of the account
// of the period, until a time or the end of the period, and no job takes it back.
//
// # Rates
//
// A [Limiter] counts calls and tokens in windows, and calls that run at once; see there.
//
// # Usage
//
// A [Metering] keeps an event of every call ([Metering.Record], [Metering.Ingest]) and what the events add up to, in one unit.
// [Metering.Analytics] answers from the sums and is what the events say, to the last digit; [Metering.Check] counts them
// anew, and [Metering.Unaccounted] holds budgets against them.
//
// # Invoices
//
// [Metering.Uninvoiced] is what was used and stands on no invoice yet, to the last digit; [ShareInvoices] divides it into invoices in
// whole cents, whose parts add up. When a month is closed, and who pays, the floor above knows.
//
// # OpenTelemetry
//
// Where store.Options.Telemetry says so each write of what was spent and leased is a span orgkit.billing.flush, and counts in the
// histogram orgkit.billing.flush.duration (seconds).
//
// # Alerts
//
// What is spent of a budget is told once per period where it crosses a [Threshold], in the unit that has written it: there is
// one [FiredAlert] for each, whose id says of what, so that of all processes one is first, and what is to be done about it is
// stored with it or not at all ([Options].Fired). What an organization has spent as a whole, or in an hour that is not as others
// are, is told in the unit that keeps its events ([MeteringOptions].Alerts). Which of that it wants to hear is in its
// [Settings]. An alert may suspend a budget, which is open again by itself.
package billing

import (
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// ErrExceeded: there is not enough left. Of a budget the detail is a *[Exceeded].
var ErrExceeded = errors.New("budget exceeded")

// ErrUnavailable: nothing is in memory and the database could not be asked, so that nothing is admitted. It comes with
// what has failed there.
var ErrUnavailable = errors.New("budgets cannot be asked")

// ErrInUnit: a purse was asked inside a unit of the store, for whose end it might have to wait; see [Ledger.Hold].
var ErrInUnit = errors.New("no purse is used inside a unit of the store")

// ErrSettled: the reservation was settled with another amount, or released, before.
var ErrSettled = errors.New("reservation has ended differently")

// Exceeded names the budget that refused and when it starts anew.
type Exceeded struct {
	BudgetID  string
	OrgID     string // of the budget, which may be one above that of the call; "" for a user's
	Name      string
	Scope     ScopeKind
	ScopeID   string
	TeamID    string          // of a member's budget in a team
	Limit     decimal.Decimal // effective limit of the period
	Remaining decimal.Decimal // never negative
	ResetAt   time.Time       // when it begins anew; zero: never
	Unpriced  bool            // refused because nothing is known of what the call may cost; see UnknownPrice
	Suspended bool            // refused because the budget is suspended, whatever is left
	ByAlert   bool            // suspended by an alert: until ResetAt, or a raise
}

func (e *Exceeded) Error() string {
	if e.Unpriced {
		return fmt.Sprintf("the %s budget takes no call of which no price is known", e.Scope)
	}
	switch {
	case e.Suspended:
		return fmt.Sprintf("the %s budget is suspended", e.Scope)
	case e.ResetAt.IsZero():
		return fmt.Sprintf("the %s budget has %s of %s left", e.Scope, e.Remaining, e.Limit)
	}
	return fmt.Sprintf("the %s budget has %s of %s left until %s", e.Scope, e.Remaining, e.Limit, e.ResetAt.Format(time.RFC3339))
}

// exceeded is a refusal by the budget.
func (b *Budget) exceeded() *Exceeded {
	return &Exceeded{BudgetID: b.ID, OrgID: b.OrgID, Name: b.Name, Scope: b.Scope, ScopeID: b.ScopeID, TeamID: b.TeamID, Limit: b.Limit}
}

// Raisable says whether a raise would help for which somebody can ask; see [Ledger.RequestRaise].
func (e *Exceeded) Raisable() bool {
	return e.OrgID != "" && (!e.Suspended || e.ByAlert) && !e.Unpriced
}

// Unwrap makes every Exceeded an [ErrExceeded].
func (e *Exceeded) Unwrap() error { return ErrExceeded }

// Kinds are the kinds of record of this package, for drivers and migrations.
func Kinds() []*store.Kind {
	return []*store.Kind{Budgets.Kind(), accounts.Kind(), reservations.Kind(), corrections.Kind(), nodes.Kind(), leases.Kind(), marks.Kind(),
		FiredAlerts.Kind(), SettingsRecords.Kind(), InvoicedSpans.Kind(), InvoiceLines.Kind(),
		rateLimits.Kind(), windows.Kind(), slotRows.Kind(),
		usageEvents.Kind(), rollups.Kind(), latencies.Kind(), actives.Kind(), usageNames.Kind(), nameCounts.Kind(), levels.Kind()}
}
