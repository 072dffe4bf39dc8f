package billing_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

// What is in the environment of a process of the rig.
const (
	rigDatabase = "ORGKIT_RIG_DATABASE" // DSN or file
	rigRecord   = "ORGKIT_RIG_RECORD"   // in which it says what it has charged; none for the one that changes budgets
	rigJournal  = "ORGKIT_RIG_JOURNAL"  // directory, or none
)

// rigPaths are where the calls of the rig spend.
var rigPaths = []billing.Path{
	{OrgID: "org_1", TeamID: "team_1", ProjectID: "proj_1", UserID: "usr_1", KeyID: "key_1", Model: "gpt-4"},
	{OrgID: "org_1", TeamID: "team_1", UserID: "usr_2", KeyID: "key_2", Model: "claude"},
	{OrgID: "org_1", TeamID: "team_2", UserID: "usr_1", Model: "gpt-4"},
	{OrgID: "org_1", UserID: "usr_2", Model: "claude"},
	{OrgID: "org_2", KeyID: "key_3", Model: "gpt-4"},
	{OrgID: "org_2", UserID: "usr_3", Model: "claude"},
	{OrgID: "root", Model: "gpt-5"},
	{OrgID: "root", Model: "claude"},
}

// rigBudgets are the budgets by name, and the paths on which they lie.
var rigBudgets = map[string]struct {
	billing.Budget
	paths []int64
}{
	"ample":   {billing.Budget{OrgID: "root", Scope: billing.ScopeOrg, ScopeID: "root"}, []int64{0, 1, 2, 3, 4, 5, 6, 7}},
	"org 1":   {billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1"}, []int64{0, 1, 2, 3}},
	"org 2":   {billing.Budget{OrgID: "org_2", Scope: billing.ScopeOrg, ScopeID: "org_2"}, []int64{4, 5}},
	"team 1":  {billing.Budget{OrgID: "org_1", Scope: billing.ScopeTeam, ScopeID: "team_1"}, []int64{0, 1}},
	"team 2":  {billing.Budget{OrgID: "org_1", Scope: billing.ScopeTeam, ScopeID: "team_2"}, []int64{2}},
	"project": {billing.Budget{OrgID: "org_1", Scope: billing.ScopeProject, ScopeID: "proj_1"}, []int64{0}},
	"user 1":  {billing.Budget{OrgID: "org_1", Scope: billing.ScopeMember, ScopeID: "usr_1"}, []int64{0, 2}},
	"user 2":  {billing.Budget{OrgID: "org_1", Scope: billing.ScopeMember, ScopeID: "usr_2"}, []int64{1, 3}},
	"key 1":   {billing.Budget{OrgID: "org_1", Scope: billing.ScopeKey, ScopeID: "key_1"}, []int64{0}},
	"hourly":  {billing.Budget{OrgID: "org_1", Scope: billing.ScopeKey, ScopeID: "key_2", Window: "1h"}, []int64{1}},
	"models":  {billing.Budget{OrgID: "root", Scope: billing.ScopeModel, ScopeID: "gpt-*"}, []int64{0, 2, 4, 6}},
	"guest":   {billing.Budget{OrgID: "org_2", Scope: billing.ScopeKey, ScopeID: "key_3"}, []int64{4}}, // comes and goes
}

// rigProcess is one process of the rig.
type rigProcess struct {
	ledger *billing.Ledger
	store  *store.Store
	record *record
	offset atomic.Int64 // of its clock
	latest atomic.Int64 // hour that its clock has ever shown
	stop   atomic.Bool
}

func runRigProcess() error {
	p := &rigProcess{}
	ctx := context.Background()
	o := store.Options{Now: func() time.Time { return time.Now().Add(time.Duration(p.offset.Load())) }}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) { // the server may be away
		var err error
		if dsn := os.Getenv(rigDatabase); strings.HasPrefix(dsn, "postgres") {
			p.store, err = postgres.Open(ctx, dsn, &postgres.Options{Store: o, IdleInUnit: 300 * time.Millisecond})
		} else {
			p.store, err = sqlite.Open(ctx, dsn, &sqlite.Options{Store: o})
		}
		if err == nil {
			break
		} else if time.Since(began) > time.Minute {
			return err
		}
	}
	g, err := rbac.NewGuard(p.store, nil)
	if err != nil {
		return err
	}
	opt := billing.Options{Flush: 20 * time.Millisecond, Idle: 500 * time.Millisecond, Silence: 300 * time.Millisecond, Timeout: 5 * time.Second}
	if dir := os.Getenv(rigJournal); dir != "" {
		if opt.Journal, err = billing.OpenJournal(dir); err != nil {
			return err
		}
	}
	p.ledger = billing.NewLedger(p.store, g, &opt)
	fmt.Println("ready")
	if os.Getenv(rigRecord) == "" {
		return p.obey(ctx)
	}
	if p.record, err = openRecord(filepath.Clean(os.Getenv(rigRecord))); err != nil {
		return err
	}
	failed := make(chan error, 4)
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for !p.stop.Load() {
				if err := p.call(ctx); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	quit := make(chan bool, 1)
	go func() {
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
			var step int64
			if _, err := fmt.Sscanf(input.Text(), "clock %d", &step); err == nil {
				p.offset.Add(step * int64(time.Second))
			} else if input.Text() == "quit" {
				quit <- true
				return
			}
		}
		os.Exit(0) // the parent is gone
	}()
	select {
	case err := <-failed:
		return err
	case <-quit:
	}
	p.stop.Store(true)
	calls.Wait()
	if err := p.ledger.Close(); err != nil {
		return err
	}
	fmt.Println("closed")
	return nil
}

// hour is what the clock shows, a little before now, and the latest that it has shown: after a step back a call may still
// belong to the period that had begun.
func (p *rigProcess) hour() (from, to int64) {
	now := p.store.Now()
	to = now.Unix() / 3600
	for {
		was := p.latest.Load()
		if was >= to {
			return now.Add(-2*time.Second).Unix() / 3600, was
		}
		p.latest.CompareAndSwap(was, to)
	}
}

// call is a call from its reservation to its settlement.
func (p *rigProcess) call(ctx context.Context) error {
	path := rand.IntN(len(rigPaths))
	n := 1 + rand.Int64N(2_000_000_000)
	from, _ := p.hour()
	res, hold, err := p.reserve(ctx, rigPaths[path], n)
	switch {
	case errors.Is(err, billing.ErrExceeded):
		time.Sleep(rand.N(4 * time.Millisecond))
		return nil
	case errors.Is(err, billing.ErrUnavailable) || hold && err != nil:
		time.Sleep(20 * time.Millisecond)
		return nil
	case err != nil:
		return err
	}
	if rand.IntN(10) == 0 { // it is not made after all
		return p.retry(func() error { return res.Release(ctx) })
	}
	now, to := p.hour()
	l := p.record.begin(line{path: int64(path), began: time.Now().UnixNano(), from: min(from, now), to: to, estimate: n})
	if l == nil {
		return errors.New("the record is full")
	}
	time.Sleep(rand.N(3 * time.Millisecond))
	if !hold && rand.IntN(20) == 0 { // a stream that is longer than it was thought to be
		more := 1 + rand.Int64N(500_000_000)
		switch err := res.Increase(ctx, billing.Pico(more).Decimal()); {
		case err == nil:
			n += more
			atomic.StoreInt64(&l.estimate, n)
		case !errors.Is(err, billing.ErrExceeded) && !errors.Is(err, billing.ErrUnavailable):
			return err
		}
	}
	if rand.IntN(500) == 0 { // nobody ever hears of it again
		return nil
	}
	actual := rand.Int64N(n + 1)
	if rand.IntN(3) == 0 {
		actual = n
	}
	l.end(actual)
	return p.retry(func() error { return res.Settle(ctx, billing.Pico(actual).Decimal()) })
}

// reserve reserves in memory, or, rarely, in the database.
func (p *rigProcess) reserve(ctx context.Context, path billing.Path, n int64) (res *billing.Reservation, kept bool, err error) {
	d := billing.Pico(n).Decimal()
	if rand.IntN(200) == 0 {
		res, err = p.ledger.Hold(ctx, path, &d)
		return res, true, err
	}
	res, err = p.ledger.Reserve(ctx, path, &d)
	return res, false, err
}

// retry does something that may be done again until the database has done it.
func (p *rigProcess) retry(fn func() error) (err error) {
	for range 600 {
		if err = fn(); err == nil || errors.Is(err, billing.ErrSettled) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// obey changes budgets as it is told: a name, and a limit in 1e-12 USD or a minus for a budget that goes.
func (p *rigProcess) obey(ctx context.Context) error {
	err := p.retry(func() error {
		return p.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			for _, id := range []string{"root", "org_1", "org_2"} {
				scope := rbac.Scope{Zone: "UTC", State: rbac.Active}
				if scope.ID = id; id != "root" {
					scope.ParentID = "root"
				}
				if _, err := rbac.Scopes.InsertNew(ctx, tx, &scope); err != nil {
					return err
				}
			}
			return nil
		})
	})
	for input := bufio.NewScanner(os.Stdin); err == nil && input.Scan(); {
		name, limit, _ := strings.Cut(input.Text(), "=")
		b := rigBudgets[name].Budget
		b.Name, b.Zone, b.Hard, b.Window = name, "UTC", true, cmp.Or(b.Window, billing.Lifetime)
		err = p.retry(func() error {
			return p.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
				if limit == "-" {
					return p.ledger.Drop(ctx, tx, b.OrgID, b.Scope, b.ScopeID, b.Name)
				}
				if b.Limit, err = decimal.NewFromString(limit); err != nil {
					return err
				}
				b.Limit = b.Limit.Shift(-12)
				if b.Window == "1h" {
					b.Anchor = time.Unix(0, 0)
				}
				put := b
				return p.ledger.Put(ctx, tx, &put)
			})
		})
		if err == nil {
			fmt.Println("done")
		}
	}
	return err
}
