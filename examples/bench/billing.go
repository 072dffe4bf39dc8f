package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

var billingBars = []bar{
	{name: "billing.reserve_settle_ns", what: "a reservation and its settlement, 5 budgets, by a purse", limit: 40},
	{name: "billing.reserve_settle_allocs", what: "allocations of it", limit: 0},
	{name: "billing.vs_decimal", what: "time of decimals under a lock, over that", limit: 40, least: true},
	{name: "billing.db_tx_per_1000", what: "PostgreSQL transactions for 1,000 admissions, steady", limit: 0.2},
	{name: "billing.db_tx_idle", what: "PostgreSQL transactions a second when nobody calls", limit: 0},
	{name: "billing.usable_pct", what: "of a budget that two processes' worth of ledgers exhaust, %", limit: 99.9, least: true},
	{name: "billing.priority_wait_ratio", what: "p99 of the wait with priority over that without, at twice the load that fits", limit: 0.1},
	{name: "billing.usable_killed_pct", what: "of a budget that four processes exhaust, one of which is killed each second, %", limit: 99.5, least: true, full: true},
	{name: "billing.cluster_admits_s", what: "admissions a second, 4 processes on one PostgreSQL", limit: 1_500_000, least: true, full: true},
}

const (
	held   = 40_000_000 // pico-USD: 0.00004 USD
	actual = 30_000_000
)

var benchPath = billing.Path{OrgID: "org_1", TeamID: "team_1", UserID: "usr_1", KeyID: "key_1", Model: "gpt-4o"}

// purses is a ledger whose path has five hard budgets.
type purses struct {
	store  *store.Store
	guard  *rbac.Guard
	ledger *billing.Ledger
}

func newPurses(ctx context.Context, s *store.Store, limit string) (p purses, err error) {
	p.store = s
	if p.guard, err = rbac.NewGuard(s, nil); err != nil {
		return p, err
	}
	p.ledger = billing.NewLedger(s, p.guard, nil)
	return p, s.Update(audit.WithActor(ctx, audit.PlatformAdmin()), func(ctx context.Context, tx *store.Tx) error {
		scope := rbac.Scope{Zone: "UTC", State: rbac.Active}
		scope.ID = "org_1"
		if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
			return err
		}
		for _, b := range []billing.Budget{
			{Scope: billing.ScopeKey, ScopeID: "key_1"}, {Scope: billing.ScopeMember, ScopeID: "usr_1", TeamID: "team_1"},
			{Scope: billing.ScopeTeam, ScopeID: "team_1"}, {Scope: billing.ScopeModel, ScopeID: "gpt-*"}, {Scope: billing.ScopeOrg, ScopeID: "org_1"},
		} {
			b.OrgID, b.Limit, b.Hard, b.Window, b.Zone = "org_1", decimal.RequireFromString(limit), true, "calendar_month", "UTC"
			if err := p.ledger.Put(ctx, tx, &b); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p purses) close() error { return errors.Join(p.ledger.Close(), p.guard.Close(), p.store.Close()) }

func benchBilling(ctx context.Context, b *bench) error {
	if err := benchPurse(ctx, b); err != nil {
		return err
	}
	if err := benchUsable(ctx, b); err != nil {
		return err
	}
	if err := benchPriority(ctx, b); err != nil {
		return err
	}
	if err := benchHolds(ctx, b); err != nil {
		return err
	}
	return benchFlush(ctx, b)
}

// benchPurse measures the hot path beside the same budgets as decimals under one lock.
func benchPurse(ctx context.Context, b *bench) error {
	b.begin("billing: purses")
	p, err := newPurses(ctx, memory.New(nil), "1000000000")
	if err != nil {
		return err
	}
	purse := p.ledger.Purse(benchPath)
	var h billing.Hold
	call := func() error {
		if err := purse.Reserve(ctx, &h, held); err != nil {
			return err
		}
		return h.Settle(actual)
	}
	ours, err := each(30, 200_000, call)
	if err != nil {
		return err
	}
	b.setBest("billing.reserve_settle_ns", ours, nanos)
	allocs, err := allocations(1_000_000, call)
	if err != nil {
		return err
	}
	b.values["billing.reserve_settle_allocs"] = exactly(allocs)
	d := newDecimals(5)
	theirs, err := each(20, 5_000, d.call)
	if err != nil {
		return err
	}
	b.values["billing.vs_decimal"] = exactly(theirs.best() / ours.best())
	b.note("5 budgets as decimals under one lock: %.0f ns", theirs.best())
	return p.close()
}

// decimals are budgets as most gateways keep them: decimals under a lock.
type decimals struct {
	mu      sync.Mutex
	budgets []struct{ limit, spent, reserved decimal.Decimal }
	held    decimal.Decimal
	actual  decimal.Decimal
}

func newDecimals(n int) *decimals {
	d := &decimals{held: decimal.New(held, -12), actual: decimal.New(actual, -12)}
	d.budgets = make([]struct{ limit, spent, reserved decimal.Decimal }, n)
	for i := range d.budgets {
		d.budgets[i].limit = decimal.RequireFromString("1000000000.00")
	}
	return d
}

func (d *decimals) call() error {
	d.mu.Lock()
	for i := range d.budgets {
		if b := &d.budgets[i]; b.spent.Add(b.reserved).Add(d.held).GreaterThan(b.limit) {
			d.mu.Unlock()
			return billing.ErrExceeded
		}
	}
	for i := range d.budgets {
		d.budgets[i].reserved = d.budgets[i].reserved.Add(d.held)
	}
	d.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.budgets {
		b := &d.budgets[i]
		b.reserved = b.reserved.Sub(d.held)
		b.spent = b.spent.Add(d.actual)
	}
	return nil
}

// benchUsable has two ledgers over one store spend a budget until both are refused.
func benchUsable(ctx context.Context, b *bench) error {
	b.begin("billing: a budget to its end")
	s, err := sqlite.Open(ctx, filepath.Join(b.dir, "usable.db"), nil)
	if err != nil {
		return err
	}
	p, err := newPurses(ctx, s, "60")
	if err != nil {
		return err
	}
	other := billing.NewLedger(s, p.guard, nil)
	var spent atomic.Int64
	var running sync.WaitGroup
	for i := range 8 {
		l := p.ledger
		if i%2 == 1 {
			l = other
		}
		running.Go(func() {
			for refused := 0; refused < 40; { // others may give something back
				var h billing.Hold
				if l.Purse(benchPath).Reserve(ctx, &h, 400_000_000) != nil {
					refused++
					time.Sleep(5 * time.Millisecond)
					continue
				}
				spent.Add(300_000_000)
				_ = h.Settle(300_000_000)
				time.Sleep(10 * time.Microsecond)
			}
		})
	}
	running.Wait()
	b.values["billing.usable_pct"] = exactly(float64(spent.Load()) / 60e12 * 100)
	if spent.Load() > 60e12 {
		return fmt.Errorf("%d of 60e12 were spent", spent.Load())
	}
	return errors.Join(other.Close(), p.close())
}

// benchHolds measures the other way to keep a budget, a transaction for each reservation and one for each settlement.
func benchHolds(ctx context.Context, b *bench) error {
	b.begin("billing: a transaction for each reservation")
	dsn, err := b.server.database(ctx)
	if err != nil {
		return err
	}
	for name, open := range map[string]func() (*store.Store, error){
		"SQLite":     func() (*store.Store, error) { return sqlite.Open(ctx, filepath.Join(b.dir, "holds.db"), nil) },
		"PostgreSQL": func() (*store.Store, error) { return postgres.Open(ctx, dsn, nil) },
	} {
		if name == "PostgreSQL" && dsn == "" {
			continue
		}
		s, err := open()
		if err != nil {
			return err
		}
		p, err := newPurses(ctx, s, "1000000000")
		if err != nil {
			return err
		}
		amount := decimal.New(held, -12)
		took, err := each(3, 50, func() error {
			r, err := p.ledger.Hold(ctx, benchPath, &amount)
			if err != nil {
				return err
			}
			return r.Settle(ctx, decimal.New(actual, -12))
		})
		if err != nil {
			return err
		}
		b.note("a transaction for each reservation and each settlement, 5 budgets, %s, one caller: %.2f ms", name, millis(took.median()))
		if err := p.close(); err != nil {
			return err
		}
	}
	return nil
}

// benchFlush counts what the steady state and the idle one cost the database.
func benchFlush(ctx context.Context, b *bench) error {
	dsn, err := b.server.database(ctx)
	if err != nil || dsn == "" {
		return err
	}
	b.begin("billing: transactions")
	s, err := postgres.Open(ctx, dsn, nil)
	if err != nil {
		return err
	}
	p, err := newPurses(ctx, s, "1000000000")
	if err != nil {
		return err
	}
	count, err := transactions(dsn)
	if err != nil {
		return err
	}
	defer count.close()
	spend := func(d time.Duration) (n int64, err error) {
		purse := p.ledger.Purse(benchPath)
		var h billing.Hold
		for end := time.Now().Add(d); time.Now().Before(end); {
			for range 1000 {
				if err := purse.Reserve(ctx, &h, held); err != nil {
					return n, err
				}
				if err := h.Settle(actual); err != nil {
					return n, err
				}
				n++
			}
			time.Sleep(time.Millisecond) // some hundred thousand a second, as a large gateway has
		}
		return n, nil
	}
	if _, err := spend(time.Second); err != nil {
		return err
	}
	before, err := count.now(ctx)
	if err != nil {
		return err
	}
	n, err := spend(5 * time.Second)
	if err != nil {
		return err
	}
	after, err := count.now(ctx)
	if err != nil {
		return err
	}
	b.values["billing.db_tx_per_1000"] = exactly(float64(after-before) / float64(n) * 1000)
	b.note("%.0f admissions a second, %d transactions in 5 seconds", float64(n)/5, after-before)
	if err := count.alone(ctx); err != nil {
		return err
	}
	time.Sleep(11 * time.Second) // what is left goes back, and PostgreSQL hears of it from sessions that are idle for ten
	if before, err = count.now(ctx); err != nil {
		return err
	}
	time.Sleep(4 * time.Second)
	if after, err = count.now(ctx); err != nil {
		return err
	}
	b.values["billing.db_tx_idle"] = exactly(float64(after-before) / 4)
	if err := p.close(); err != nil {
		return err
	}
	if !b.full {
		return nil
	}
	if err := benchKilled(ctx, b); err != nil {
		return err
	}
	return benchCluster(ctx, b)
}

// counter counts the transactions of a database from another one, so that its own are not among them.
type counter struct {
	admin *sql.DB
	name  string
}

func transactions(dsn string) (*counter, error) {
	u, name, err := elsewhere(dsn)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", u)
	return &counter{db, name}, err
}

// now waits until the statistics of all sessions have come in, which is a second.
func (c *counter) now(ctx context.Context) (n int64, err error) {
	time.Sleep(1200 * time.Millisecond)
	err = c.admin.QueryRowContext(ctx, "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1", c.name).Scan(&n)
	return n, err
}

// alone keeps the server from transactions of its own, by which it tidies up.
func (c *counter) alone(ctx context.Context) error {
	for _, text := range []string{"ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()"} {
		if _, err := c.admin.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func (c *counter) close() { c.admin.Close() }
