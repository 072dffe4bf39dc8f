package billing_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/sqlite"
)

// world is several processes with a ledger each over one database, and what they should have done: plain sums, and no
// lease anywhere. Time is that of a bubble of synctest.
type world struct {
	t      *testing.T
	rand   *rand.Rand
	driver store.Driver // of the database
	admin  *peer        // whose store never fails, and which reserves nothing
	peers  []*peer
	steps  int
	log    []string

	crashes, fences, unsure, overruns bool // what happens in this world

	budgets map[string]*billing.Budget // by name, those that there are
	ever    map[string]*billing.Budget // by id, those that there have been
	changed time.Time                  // when a budget came or went last
	sums    map[string]*sums           // by account
}

// sums are what calls have done to one account.
type sums struct {
	hard    bool
	settled int64
	out     int64 // held by calls under way
	bound   int64 // settled + out never exceeds it and extra
	extra   int64 // what calls have cost that they had not held, since the last comparison
	beyond  int64 // the same, ever
	lost    int64 // of what was settled in a soft account, or beyond what was held, by processes that had no time to write it
}

// peer is one process.
type peer struct {
	*billing.Ledger
	name   string
	store  *store.Store
	faults *faults
	offset clockOffset // of its clock
	back   bool        // its clock was set back
	up     time.Time   // since when the database is there for it
	holds  []*call
	news   map[string]int64 // what would be lost, see sums, if it crashed now
}

// call is one that is under way.
type call struct {
	hold     billing.Hold
	res      *billing.Reservation // instead
	amount   int64
	accounts []string
}

var errCut = errors.New("the connection is gone")

// faults stands between a process and the database.
type faults struct {
	store.Driver
	mu   sync.Mutex
	rand *rand.Rand
	away error   // what Begin answers
	odds float64 // of a commit that answers an error, be it done or not
}

func (f *faults) set(away error, odds float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away, f.odds = away, odds
}

func (f *faults) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != nil {
		return nil, f.away
	}
	tx, err := f.Driver.Begin(ctx, writable)
	if err == nil && writable && f.rand.Float64() < f.odds {
		tx = cutTx{tx, f.rand.IntN(2) == 0}
	}
	return tx, err
}

func (f *faults) Close() error { return nil }

// cutTx is a transaction whose connection ends at its commit, behind it or before (billing edge 30).
type cutTx struct {
	store.DriverTx
	done bool
}

func (t cutTx) Commit(ctx context.Context) error {
	if !t.done {
		return errors.Join(errCut, t.Rollback())
	}
	return errors.Join(errCut, t.DriverTx.Commit(ctx))
}

func newWorld(t *testing.T, seed uint64, database string) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 1)), budgets: map[string]*billing.Budget{}, ever: map[string]*billing.Budget{}, sums: map[string]*sums{}}
	o := store.Options{Wrap: func(d store.Driver) store.Driver {
		w.driver = d
		return d
	}}
	s, err := memory.New(&memory.Options{Store: o}), error(nil)
	if database == "sqlite" {
		s, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), fmt.Sprint(seed, ".db")), &sqlite.Options{Store: o})
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, p := range append(w.peers, w.admin) {
			p.faults.set(store.ErrClosed, 0)
		}
		time.Sleep(2 * time.Second) // and their loops end, also after a failure
		s.Close()
	})
	w.crashes, w.fences, w.unsure, w.overruns = w.chance(0.3), w.chance(0.4), w.chance(0.5), w.chance(0.3)
	w.admin = w.join("admin")
	for _, id := range []string{"root", "org_1", "org_2"} {
		scope := rbac.Scope{Zone: "UTC", State: rbac.Active}
		if scope.ID = id; id != "root" {
			scope.ParentID = "root"
		}
		w.do(func(ctx ctx, tx *store.Tx) error { return rbac.Scopes.Insert(ctx, tx, &scope) })
	}
	for _, b := range []billing.Budget{
		{Scope: billing.ScopeOrg, ScopeID: "root", OrgID: "root", Hard: true, Limit: w.usd(200)},
		{Scope: billing.ScopeOrg, ScopeID: "org_1", OrgID: "org_1", Hard: true, Limit: w.usd(60)},
		{Scope: billing.ScopeOrg, ScopeID: "org_2", OrgID: "org_2", Limit: w.usd(5)},
		{Scope: billing.ScopeTeam, ScopeID: "team_1", OrgID: "org_1", Hard: true, Limit: w.usd(20)},
		{Scope: billing.ScopeMember, ScopeID: "usr_1", OrgID: "org_1", Hard: true, Limit: w.usd(10)},
		{Scope: billing.ScopeUser, ScopeID: "usr_1", Limit: w.usd(3)},
		{Scope: billing.ScopeModel, ScopeID: "gpt-*", OrgID: "root", Hard: true, Limit: w.usd(30)},
		{Scope: billing.ScopeKey, ScopeID: "key_1", OrgID: "org_1", Hard: true, Limit: w.usd(5)},
	} {
		w.put(w.admin, b)
	}
	for range 2 + w.rand.IntN(3) {
		w.peers = append(w.peers, w.join(fmt.Sprint("peer ", len(w.peers))))
	}
	return w
}

func (w *world) chance(p float64) bool { return w.rand.Float64() < p }

func (w *world) usd(most int64) decimal.Decimal {
	return decimal.New(1+w.rand.Int64N(most*1_000_000_000_000), -12)
}

func (w *world) say(format string, args ...any) {
	if len(w.log) == 200 {
		w.log = slices.Delete(w.log, 0, 100)
	}
	w.log = append(w.log, time.Now().Format("04:05.000 ")+fmt.Sprintf(format, args...))
}

// join starts a process.
func (w *world) join(name string) *peer {
	p := &peer{name: name, faults: &faults{Driver: w.driver, rand: rand.New(rand.NewPCG(w.rand.Uint64(), 2))}, news: map[string]int64{}, up: time.Now()}
	p.store = store.New(p.faults, &store.Options{Now: func() time.Time { return time.Now().Add(p.offset.get()) }})
	if name != "admin" && w.unsure {
		p.faults.odds = 0.05
	}
	g, err := rbac.NewGuard(p.store, nil)
	require.NoError(w.t, err)
	p.Ledger = billing.NewLedger(p.store, g, &billing.Options{Silence: 5 * time.Second, Timeout: time.Minute})
	return p
}

// do does something of which it is known that it is done.
func (w *world) do(fn func(ctx ctx, tx *store.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, w.admin.store.Update(w.t.Context(), fn))
}

// put makes or changes a budget at a process, whose unit does not fail.
func (w *world) put(at *peer, b billing.Budget) {
	b.Name, b.Window, b.Zone = fmt.Sprint(b.Scope, b.ScopeID), "1h", "UTC"
	odds := at.faults.odds
	at.faults.set(nil, 0)
	require.NoError(w.t, at.store.Update(w.t.Context(), func(ctx ctx, tx *store.Tx) error { return at.Put(ctx, tx, &b) }))
	at.faults.set(nil, odds)
	if w.budgets[b.Name] == nil {
		w.changed = time.Now()
	}
	w.budgets[b.Name], w.ever[b.ID] = &b, &b
	w.say("%s: %s is %s", at.name, b.Name, b.Limit)
	for id, s := range w.sums {
		if s.hard && strings.Contains(id, b.ID) {
			s.bound = max(s.bound, pico(b.Limit))
		}
	}
}

func pico(d decimal.Decimal) int64 { return d.Shift(12).IntPart() }

// of are the sums of an account, which may be new.
func (w *world) of(account string) *sums {
	s := w.sums[account]
	if s == nil {
		s = &sums{}
		for b := range maps.Values(w.ever) {
			if strings.Contains(account, b.ID) {
				s.hard, s.bound = b.Hard, pico(b.Limit)
			}
		}
		w.sums[account] = s
	}
	return s
}

// hold counts what a call holds, and complains when that is too much.
func (w *world) hold(p *peer, c *call, more int64) {
	c.amount += more
	for _, id := range c.accounts {
		s := w.of(id)
		s.out += more
		require.False(w.t, s.hard && more > 0 && s.settled+s.out > s.bound+s.extra+s.lost, "%s has admitted %d in %s: %d of %d are settled and %d held",
			p.name, more, id, s.settled, s.bound, s.out)
	}
}

// end counts what has become of a call.
func (w *world) end(p *peer, c *call, actual int64) {
	for _, id := range c.accounts {
		s := w.of(id)
		s.out -= c.amount
		s.settled += actual
		s.extra += max(0, actual-c.amount)
		s.beyond += max(0, actual-c.amount)
		switch {
		case c.res != nil && c.res.ID != "":
		case !s.hard:
			p.news[id] += actual
		default:
			p.news[id] += max(0, actual-c.amount)
		}
	}
	p.holds = slices.DeleteFunc(p.holds, func(is *call) bool { return is == c })
}

// clockOffset is by how much a clock is ahead.
type clockOffset struct{ n atomic.Int64 }

func (o *clockOffset) get() time.Duration { return time.Duration(o.n.Load()) }
