package billing

import (
	"context"
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Ledger reserves and charges. It is safe for concurrent use, and so are any number of ledgers, in
// any number of processes, over one database.
type Ledger struct {
	store  *store.Store
	guard  *rbac.Guard
	engine *engine
}

// Options of a [Ledger]; nil, and the zero value, work.
type Options struct {
	// Flush is how often what was settled is written, in one transaction; 0 is 100 milliseconds. Reports are
	// behind by so much, and what comes in between is lost with the process: it stays counted as spent.
	Flush time.Duration
	// Idle is how long what this process has of a budget stays here unused; 0 is a second. Then it goes back for
	// other processes to use.
	Idle time.Duration
	// Silence is after how long a process that has something of a budget and is not heard of is taken for dead, and
	// what it has for spent; 0 is 30 seconds. Processes that live are heard of every Silence/6.
	Silence time.Duration
	// Timeout is how long a transaction may take; 0 is 30 seconds.
	Timeout time.Duration
	// Journal, which the ledger closes, has another process of this machine give back at once what this one had of
	// budgets when it died and no call had held; see [OpenJournal]. Nil: what it had counts as spent.
	Journal *Journal
	// Fired is told of every alert that goes out, inside the unit in which it does: what it writes to tx, such as a job
	// that mails, is stored with it or not at all. Its error undoes the unit, so that it does no more than that. Nil: nobody.
	Fired func(ctx context.Context, tx *store.Tx, f FiredAlert) error
}

// NewLedger returns a ledger over the records of the store. It needs [Ledger.Close].
func NewLedger(s *store.Store, g *rbac.Guard, o *Options) *Ledger {
	l := &Ledger{store: s, guard: g}
	var opt Options
	if o != nil {
		opt = *o
	}
	for _, d := range []struct {
		of *time.Duration
		is time.Duration
	}{{&opt.Flush, 100 * time.Millisecond}, {&opt.Idle, time.Second}, {&opt.Silence, 30 * time.Second}, {&opt.Timeout, 30 * time.Second}} {
		if *d.of <= 0 {
			*d.of = d.is
		}
	}
	l.engine = newEngine(l, opt)
	g.Attend(RaiseAction, rbac.Matter{Apply: l.applyRaise})
	return l
}

// Purse is what a path spends from in this process; see there. Who has many calls on a path keeps it: finding it costs
// more than all the rest. The price of the path does not matter here.
func (l *Ledger) Purse(p Path) *Purse { return l.engine.purse(p) }

// Flush writes what was settled in this process, and returns what it has of budgets and no call holds: after it the
// states of budgets are exact as far as this process is concerned. Nothing is done inside a unit.
func (l *Ledger) Flush(ctx context.Context) error { return l.engine.flush(ctx) }

// Reclaim looks after processes that have died: what their journals prove to be unused is given back, and what those
// have that were not heard of for long counts as spent. A process does so by itself, every sixth part of
// [Options.Silence], while it spends.
func (l *Ledger) Reclaim(ctx context.Context) error { return l.engine.watchOver(ctx) }

// Close writes what was settled and returns what was not used. What calls hold that have not ended counts as spent: a
// host closes the ledger when no call is under way any more. Reserving is store.ErrClosed afterwards.
func (l *Ledger) Close() error { return l.engine.close() }

// BudgetState shows a budget in the period that runs.
type BudgetState struct {
	Budget      Budget
	PeriodStart time.Time
	PeriodEnd   time.Time
	Limit       decimal.Decimal // effective
	Spent       decimal.Decimal
	Reserved    decimal.Decimal // by calls under way, and kept ready in processes; soft budgets keep nothing ready
	Remaining   decimal.Decimal // never negative
	Over        decimal.Decimal
	Forfeited   decimal.Decimal // of Spent: what a process had when it died, and nobody knows whether it was spent
	State       string          // ok, alerted, over or suspended
	Raises      []Raise         // in force, a part of Limit
}

// States returns the budgets on a path and where they stand, in the order of the path. It asks no
// permission: it serves the floors above.
func (l *Ledger) States(ctx context.Context, tx *store.Tx, p Path) ([]BudgetState, error) {
	path, _, _, err := p.resolve(ctx, tx)
	if err != nil {
		return nil, err
	}
	states := make([]BudgetState, 0, len(path))
	for _, b := range path {
		s, err := stateOf(ctx, tx, b)
		if err != nil {
			return nil, err
		}
		states = append(states, s)
	}
	return states, nil
}

// Overview lists the budgets of an organization and where they stand. It needs billing.read, usage.read or budget.modify.
func (l *Ledger) Overview(ctx context.Context, orgID string) (states []BudgetState, err error) {
	if err := l.Flush(ctx); err != nil {
		return nil, err
	}
	err = l.guard.Read(ctx, readBudgets(orgID, ""), func(ctx context.Context, tx *store.Tx) error {
		states, err = statesWhere(ctx, tx, store.Eq("org_id", orgID))
		return err
	})
	return states, err
}

// PlaceBudgets lists the budgets of a team or project and where they stand. It needs billing.read, usage.read or
// budget.modify there.
func (l *Ledger) PlaceBudgets(ctx context.Context, orgID, teamID string) (states []BudgetState, err error) {
	if err := l.Flush(ctx); err != nil {
		return nil, err
	}
	err = l.guard.Read(ctx, readBudgets(orgID, teamID), func(ctx context.Context, tx *store.Tx) error {
		states, err = statesWhere(ctx, tx, ofPlace(orgID, teamID)...)
		return err
	})
	return states, err
}

// ofPlace selects the budgets of a team or project.
func ofPlace(orgID, teamID string) []store.Cond {
	return []store.Cond{store.Eq("org_id", orgID), store.In("scope", []ScopeKind{ScopeTeam, ScopeProject}), store.Eq("scope_id", teamID)}
}

func statesWhere(ctx context.Context, tx *store.Tx, where ...store.Cond) (states []BudgetState, err error) {
	for b, err := range Budgets.All(ctx, tx, store.Query{Where: where}) {
		if err != nil {
			return nil, err
		}
		s, err := stateOf(ctx, tx, b)
		if err != nil {
			return nil, err
		}
		states = append(states, s)
	}
	return states, nil
}

// State returns the budget of that scope and name and where it stands, nil when there is none. It asks no
// permission: it serves the floors above.
func (l *Ledger) State(ctx context.Context, tx *store.Tx, orgID string, scope ScopeKind, scopeID, name string) (*BudgetState, error) {
	b, err := Budgets.Find(ctx, tx, store.Eq("org_id", orgID), store.Eq("scope", scope),
		store.Eq("scope_id", scopeID), store.Eq("team_id", ""), store.Eq("name", name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s, err := stateOf(ctx, tx, b)
	return &s, err
}

func stateOf(ctx context.Context, tx *store.Tx, b Budget) (BudgetState, error) {
	start, end, found, err := b.runningAccount(ctx, tx)
	if err != nil {
		return BudgetState{}, err
	}
	a := account{Limit: b.limitAt(start), Hard: b.Hard}
	switch {
	case found != nil:
		a = *found
	case b.Rollover:
		if a.Carried, err = carried(ctx, tx, b, start); err != nil {
			return BudgetState{}, err
		}
		a.Limit = a.Limit.Add(a.Carried)
	}
	a.lapse(tx.Now())
	s := BudgetState{Budget: b, PeriodStart: start, PeriodEnd: end, Limit: a.Limit, Spent: a.Spent,
		Reserved: a.Reserved, Remaining: a.room(), Over: a.Over, Forfeited: a.Forfeited, State: "ok", Raises: a.Raises}
	switch {
	case b.Stopped(tx.Now()):
		s.State = "suspended"
	case a.Spent.GreaterThanOrEqual(a.Limit) && a.Spent.IsPositive():
		s.State = "over"
	case len(b.crossed(&a)) > 0:
		s.State = "alerted"
	}
	return s, nil
}
