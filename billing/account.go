package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// account is what one budget has spent in one period. A new period is a new account.
//
// Spent + Reserved <= Limit + Over holds for hard budgets, in the databases by a CHECK. Over is what
// is knowingly beyond the limit: by a call that cost more than it reserved, or a limit that was
// lowered, or a raise that has ended, below what was out.
type account struct {
	store.Meta
	BudgetID    string
	OrgID       string
	PeriodStart time.Time
	PeriodEnd   time.Time
	Clock       string // window and zone that it was opened by
	Hard        bool
	Limit       decimal.Decimal // effective: with what was carried over, and raises
	Carried     decimal.Decimal
	Moved       decimal.Decimal // of Spent, what counts in another account since the window was changed
	Spent       decimal.Decimal
	Reserved    decimal.Decimal // by reservations that are kept, and leased to nodes
	Over        decimal.Decimal
	Forfeited   decimal.Decimal // of Spent, what nobody has seen being spent: see node.fence
	Raises      []Raise

	LimitVersion int64 // how often the limit was raised: what is told of shares of it may be told again (F083)
	Told         int64 // of its budget's thresholds, as the limit is, so many are crossed and told
	ToldVersion  int64 // of the budget that had them
}

var accounts = store.Define[account]("budget_accounts", "acct",
	store.Unique("budget_id", "period_start"), store.Index("budget_id", "clock", "period_start"))

// room is what may still be reserved.
func (a account) room() decimal.Decimal {
	return decimal.Max(decimal.Zero, a.Limit.Sub(a.Spent).Sub(a.Reserved))
}

// unused is what is left over for the next period: nothing of a raise is.
func (a account) unused() decimal.Decimal {
	return decimal.Max(decimal.Zero, a.Limit.Sub(a.raised()).Sub(a.Spent).Sub(a.Reserved))
}

func (a *account) balance() {
	a.Over = decimal.Zero
	if beyond := a.Spent.Add(a.Reserved).Sub(a.Limit); a.Hard && beyond.IsPositive() {
		a.Over = beyond
	}
}

// accountID begins with the place in the order in which accounts are locked.
func accountID(b Budget, start time.Time) string {
	return fmt.Sprintf("acct_%d_%s_%d", scopeOrder[b.Scope], b.ID, start.Unix())
}

// newAccount is the account of a budget's period that nobody has made yet.
func newAccount(ctx context.Context, tx *store.Tx, b Budget, start, end time.Time) (a account, err error) {
	a = account{BudgetID: b.ID, OrgID: b.OrgID, PeriodStart: start, PeriodEnd: end, Clock: b.clock(), Hard: b.Hard, Limit: b.limitAt(start)}
	a.ID = accountID(b, start)
	if b.Rollover {
		if a.Carried, err = carried(ctx, tx, b, start); err != nil {
			return a, err
		}
		a.Limit = a.Limit.Add(a.Carried)
	}
	return a, nil
}

// carried is what the periods before start left over, also where nobody has called in them and they have no account
// (billing edge 5): the last account, or the budget's first period, and then a whole limit of each period since.
func carried(ctx context.Context, tx *store.Tx, b Budget, start time.Time) (decimal.Decimal, error) {
	if !b.CreatedAt.Before(start) {
		return decimal.Zero, nil
	}
	since, _, err := b.period(b.CreatedAt)
	if err != nil {
		return decimal.Zero, err
	}
	page, err := accounts.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("budget_id", b.ID), store.Eq("clock", b.clock()), store.Below("period_start", start)},
		Order: []store.Order{store.Desc("period_start")}, Limit: 1})
	if err != nil {
		return decimal.Zero, err
	}
	left := decimal.Zero
	for _, a := range page.Items {
		since, left = a.PeriodEnd, b.capped(a.unused())
	}
	return b.pass(left, since, start)
}

// clock tells the windows apart that a budget has had.
func (b Budget) clock() string { return b.Window + " " + b.Zone }

// running is the period that runs. One that was opened keeps its instants, whatever the zone's rules have become since
// (billing edge 6): the account that lies mostly in the period of now is its account.
func (b Budget) running(ctx context.Context, tx *store.Tx) (start, end time.Time, err error) {
	start, end, _, err = b.runningAccount(ctx, tx)
	return start, end, err
}

// runningAccount is running with the account of that period, nil where there is none.
func (b Budget) runningAccount(ctx context.Context, tx *store.Tx) (start, end time.Time, found *account, err error) {
	now := tx.Now()
	if start, end, err = b.period(now); err != nil {
		return start, end, nil, err
	}
	page, err := accounts.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("budget_id", b.ID), store.Eq("clock", b.clock()),
		store.Below("period_start", now.Add(time.Microsecond))}, Order: []store.Order{store.Desc("period_start")}, Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return start, end, nil, err
	}
	a := &page.Items[0]
	switch middle := a.PeriodStart.Add(a.PeriodEnd.Sub(a.PeriodStart) / 2); {
	case now.Before(a.PeriodEnd):
		return a.PeriodStart, a.PeriodEnd, a, nil
	case !middle.Before(start):
		return a.PeriodStart, end, a, nil
	case a.PeriodStart.Equal(start): // one without an end
		return start, end, a, nil
	}
	other, err := accounts.Get(ctx, tx, accountID(b, start))
	if errors.Is(err, store.ErrNotFound) {
		return start, end, nil, nil
	}
	return start, end, &other, err
}

// mostCarried (USD) bounds what is carried over and what is raised, so that no sum is out of all bounds.
var mostCarried = decimal.New(1, maxWhole)

// pass is what is left over at to of what was at since, when nobody spends anything in between.
func (b Budget) pass(left decimal.Decimal, since, to time.Time) (decimal.Decimal, error) {
	zone, err := time.LoadLocation(b.Zone)
	if err != nil {
		return left, err
	}
	w, err := ParseWindow(b.Window)
	if err != nil {
		return left, err
	}
	mid := since // where an override ends
	if o := b.LimitOverride; o != nil && since.Before(o.EndsAt) {
		mid = o.EndsAt
		if to.Before(mid) {
			mid = to
		}
		left = left.Add(b.limitAt(since).Mul(decimal.NewFromInt(w.count(zone, b.Anchor, since, mid))))
	}
	left = left.Add(b.Limit.RoundFloor(12).Mul(decimal.NewFromInt(w.count(zone, b.Anchor, mid, to))))
	return b.capped(decimal.Min(left, mostCarried)), nil
}

// shrink lowers what the account is knowingly over its limit by to what it is over it. It never raises it: whoever
// would go over the limit by more than was known has made a mistake, and is not let.
func (a *account) shrink() error {
	over := a.Over
	a.balance()
	if a.Over.GreaterThan(over) {
		return fmt.Errorf("billing: account %s would be %s over its limit, %s is known", a.ID, a.Over, over)
	}
	return nil
}

// rewindow has the account of the new window count what was spent in the running period of the old one, and in what has
// begun since the new period has: each amount counts in one account, also when a window comes back. Raises go with it, and
// end with the new period; what was carried over does not.
func rewindow(ctx context.Context, tx *store.Tx, old, b Budget) error {
	before, _, err := old.running(ctx, tx)
	if err != nil {
		return err
	}
	start, end, err := b.running(ctx, tx)
	if err != nil || accountID(b, start) == accountID(old, before) {
		return err
	}
	from := start
	if end.IsZero() { // ever since is too much: a balance begins with what runs
		from = before
	}
	to, err := newAccount(ctx, tx, b, start, end)
	if err != nil {
		return err
	}
	to.Limit, to.Carried = to.Limit.Sub(to.Carried), decimal.Zero
	if _, err := accounts.InsertNew(ctx, tx, &to); err != nil {
		return err
	}
	ids := []string{to.ID, accountID(old, before)}
	for a, err := range accounts.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("budget_id", b.ID), store.From("period_start", from)}}) {
		if err != nil {
			return err
		}
		if !a.Spent.Equal(a.Moved) || len(a.Raises) > 0 {
			ids = append(ids, a.ID)
		}
	}
	spent, raises := decimal.Zero, []Raise(nil)
	slices.Sort(ids)
	for some := range slices.Chunk(slices.Compact(ids), store.MaxLimit) {
		list, err := accounts.LockMany(ctx, tx, some)
		if err != nil {
			return err
		}
		var moved []*account
		for i := range list {
			a := &list[i]
			a.lapse(tx.Now())
			spent, raises = spent.Add(a.Spent).Sub(a.Moved), append(raises, a.Raises...)
			a.Limit, a.Raises = a.Limit.Sub(a.raised()), nil
			if a.ID == to.ID {
				to = *a
				continue
			}
			a.Moved = a.Spent
			a.balance()
			moved = append(moved, a)
		}
		if err := accounts.Put(ctx, tx, moved); err != nil {
			return err
		}
	}
	for i := range raises {
		if !end.IsZero() && end.Before(raises[i].EndsAt) {
			raises[i].EndsAt = end
		}
	}
	to.Limit = to.Limit.Add(total(raises))
	to.Spent, to.Moved, to.Raises = decimal.Max(decimal.Zero, spent), decimal.Zero, raises
	to.balance()
	return accounts.Put(ctx, tx, []*account{&to})
}

// PutSpent is [Ledger.Put] of a budget that is new, in whose running period so much (USD) was spent before there was the budget.
// What calls cost that run while it is made is on no account.
func (l *Ledger) PutSpent(ctx context.Context, tx *store.Tx, b *Budget, spent decimal.Decimal) error {
	if err := l.put(ctx, tx, b, false); err != nil {
		return err
	}
	start, end, err := b.running(ctx, tx)
	if err != nil {
		return err
	}
	a, err := newAccount(ctx, tx, *b, start, end)
	if err != nil {
		return err
	}
	a.Spent = spent.RoundCeil(12)
	a.balance()
	if err := accounts.Insert(ctx, tx, &a); err != nil {
		return err
	}
	return l.relimit(ctx, tx, *b, true)
}

// relimit gives the running period of a changed budget its new limit and kind, and those that have begun by other
// clocks (billing edge 27).
func (l *Ledger) relimit(ctx context.Context, tx *store.Tx, b Budget, tells bool) error {
	start, _, err := b.running(ctx, tx)
	if err != nil {
		return err
	}
	var ids []string
	for a, err := range accounts.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("budget_id", b.ID), store.From("period_start", start)}}) {
		if err != nil {
			return err
		}
		ids = append(ids, a.ID)
	}
	list, err := accounts.LockMany(ctx, tx, ids)
	if err != nil {
		return err
	}
	changed := make([]*account, len(list))
	for i := range list {
		a := &list[i]
		a.lapse(tx.Now())
		a.relimit(b.limitAt(a.PeriodStart).Add(a.Carried).Add(a.raised()), b.Hard)
		if changed[i] = a; !tells {
			continue
		}
		if err := l.reopen(ctx, tx, b, a); err != nil {
			return err
		}
		if err := l.tell(ctx, tx, b, a); err != nil { // of what was spent before somebody wanted to hear of it, too
			return err
		}
	}
	return accounts.Put(ctx, tx, changed)
}

// relimit gives the account another limit and kind.
func (a *account) relimit(limit decimal.Decimal, hard bool) {
	if limit.GreaterThan(a.Limit) {
		a.LimitVersion++
	}
	a.Limit, a.Hard, a.Told = limit, hard, 0
	a.balance()
}
