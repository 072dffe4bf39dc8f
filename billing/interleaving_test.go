package billing_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// TestAMillionStepsSpendNothingTwice has several processes take, settle, hold, crash, fall silent and lose their
// commits at random, and holds what the accounts say against plain sums (billing edges 27 to 31, 35 to 37 and 41).
func TestAMillionStepsSpendNothingTwice(t *testing.T) {
	for database, many := range map[string]struct{ worlds, steps int }{"memory": {100 / fewer, 10_000}, "sqlite": {max(1, 4/fewer), 1_000 / min(fewer, 4)}} {
		t.Run(database, func(t *testing.T) {
			for range many.worlds {
				seed := rand.Uint64()
				ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, seed, database)
						defer func() {
							if t.Failed() {
								t.Logf("crashes %t, fences %t, unsure %t, overruns %t\n%s", w.crashes, w.fences, w.unsure, w.overruns, strings.Join(w.log, "\n"))
							}
						}()
						for w.steps < many.steps {
							w.step()
							for _, p := range w.peers {
								require.Empty(t, p.Unbalanced(), p.name)
							}
						}
						w.finish()
					})
				})
				if !ok {
					return
				}
			}
		})
	}
}

var paths = []billing.Path{
	{OrgID: "org_1", TeamID: "team_1", UserID: "usr_1", KeyID: "key_1", Model: "gpt-4"},
	{OrgID: "org_1", TeamID: "team_1", UserID: "usr_2", Model: "claude"},
	{OrgID: "org_1", UserID: "usr_1", Model: "gpt-5"},
	{OrgID: "org_1", KeyID: "key_1", Model: "claude"},
	{OrgID: "org_2", UserID: "usr_1", Model: "gpt-4"},
	{OrgID: "org_2", UserID: "usr_2", Model: "claude"},
	{OrgID: "root", Model: "gpt-4"},
}

func pick[T any](w *world, from []T) T { return from[w.rand.IntN(len(from))] }

// step is one thing that happens at one process.
func (w *world) step() {
	w.steps++
	p := pick(w, w.peers)
	switch n := w.rand.IntN(2000); {
	case n < 900:
		w.reserve(p, pick(w, paths))
	case n < 1650:
		w.settle(p)
	case n < 1750:
		w.increase(p)
	case n < 1780:
		w.keep(p, pick(w, paths))
	case n < 1900:
		w.sleep(50 * time.Millisecond)
	case n < 1920:
		w.sleep(3 * time.Second)
	case n < 1940:
		if p.Flush(w.t.Context()) == nil && p.up != (time.Time{}) {
			clear(p.news)
		}
	case n < 1960:
		w.change()
	case n < 1966:
		w.clock(p)
	case n < 1976:
		w.silence(p)
	case n < 1980:
		w.leave(p)
	case n < 1990:
		w.quiet()
	}
}

func (w *world) amount() int64 {
	if w.chance(0.05) {
		return 0
	}
	return w.rand.Int64N(300_000_000_000) + 1
}

func (w *world) reserve(p *peer, path billing.Path) {
	c, n := &call{}, w.amount()
	began := p.store.Now()
	var err error
	if w.chance(0.5) {
		d := billing.Pico(n).Decimal()
		if c.res, err = p.Reserve(w.t.Context(), path, &d); err == nil {
			c.accounts = c.res.HeldIn()
		}
	} else if err = p.Purse(path).Reserve(w.t.Context(), &c.hold, billing.Pico(n)); err == nil {
		c.accounts = c.hold.HeldIn()
	}
	w.say("%s: reserve %d of %s %s: %v", p.name, n, path.OrgID, path.Model, err)
	if err != nil {
		require.True(w.t, errors.Is(err, billing.ErrExceeded) || errors.Is(err, billing.ErrUnavailable), "%v", err)
		return
	}
	w.hold(p, c, n)
	p.holds = append(p.holds, c)
	w.fresh(p, path, c, began)
}

// fresh says whether a call took from the budgets of now, and from no period that is over.
func (w *world) fresh(p *peer, path billing.Path, c *call, began time.Time) {
	if began.Sub(w.changed.Add(p.offset.get())) > 3*time.Second && time.Since(p.up) > 3*time.Second && !p.up.IsZero() {
		have := 0
		for name, b := range w.budgets {
			if !on(path, *b) {
				continue
			}
			have++
			require.True(w.t, slices.ContainsFunc(c.accounts, func(id string) bool { return strings.Contains(id, b.ID) }), "%s leaves out %s", p.name, name)
		}
		require.Len(w.t, c.accounts, have)
	}
	if c.res == nil {
		return
	}
	for _, id := range c.accounts {
		var start int64
		_, err := fmt.Sscan(id[strings.LastIndex(id, "_")+1:], &start)
		require.NoError(w.t, err)
		require.True(w.t, began.Sub(time.Unix(start, 0)) < time.Hour+time.Second, "%s takes of a period that is over: %s at %s", p.name, id, began)
	}
}

// on says whether a budget of these tests lies on a path.
func on(p billing.Path, b billing.Budget) bool {
	switch b.Scope {
	case billing.ScopeOrg:
		return b.ScopeID == p.OrgID || b.ScopeID == "root"
	case billing.ScopeModel:
		return strings.HasPrefix(p.Model, strings.TrimSuffix(b.ScopeID, "*"))
	case billing.ScopeUser:
		return b.ScopeID == p.UserID
	case billing.ScopeMember:
		return b.ScopeID == p.UserID && b.OrgID == p.OrgID
	case billing.ScopeKey:
		return b.ScopeID == p.KeyID && b.OrgID == p.OrgID
	}
	return b.ScopeID == p.TeamID && b.OrgID == p.OrgID
}

func (w *world) settle(p *peer) {
	if len(p.holds) == 0 {
		return
	}
	c := pick(w, p.holds)
	if c.res != nil && c.res.ID != "" {
		w.settleKept(p, c)
		return
	}
	if w.chance(0.1) {
		w.say("%s: release %d", p.name, c.amount)
		if c.res != nil {
			require.NoError(w.t, c.res.Release(w.t.Context()))
		} else {
			c.hold.Release()
		}
		w.end(p, c, 0)
		return
	}
	n := w.rand.Int64N(c.amount + 1)
	if w.overruns && w.chance(0.05) {
		n = c.amount + w.rand.Int64N(1_000_000_000_000)
	}
	w.say("%s: settle %d of %d", p.name, n, c.amount)
	settle := func(n int64) error {
		if c.res != nil {
			return c.res.Settle(w.t.Context(), billing.Pico(n).Decimal())
		}
		return c.hold.Settle(billing.Pico(n))
	}
	require.NoError(w.t, settle(n))
	require.NoError(w.t, settle(n))
	require.ErrorIs(w.t, settle(n+1), billing.ErrSettled)
	w.end(p, c, n)
}

func (w *world) increase(p *peer) {
	if len(p.holds) == 0 {
		return
	}
	c, n := pick(w, p.holds), w.amount()
	if c.res != nil {
		return
	}
	err := c.hold.Increase(w.t.Context(), billing.Pico(n))
	w.say("%s: increase %d by %d: %v", p.name, c.amount, n, err)
	if err == nil {
		w.hold(p, c, n)
		return
	}
	require.True(w.t, errors.Is(err, billing.ErrExceeded) || errors.Is(err, billing.ErrUnavailable), "%v", err)
}

// keep holds in the database, and whoever comes settles it.
func (w *world) keep(p *peer, path billing.Path) {
	d := billing.Pico(w.amount()).Decimal()
	res, err := p.Hold(w.t.Context(), path, &d)
	w.say("%s: hold %s: %v", p.name, d, err)
	if err != nil {
		require.True(w.t, errors.Is(err, billing.ErrExceeded) || errors.Is(err, errCut) || errors.Is(err, errAway), "%v", err)
		return
	}
	c := &call{res: res}
	w.do(func(ctx ctx, tx *store.Tx) error {
		held, err := billing.KeptHeld(ctx, tx)
		c.accounts = held[res.ID].Accounts
		return err
	})
	w.hold(p, c, pico(d))
	p.holds = append(p.holds, c)
}

func (w *world) settleKept(p *peer, c *call) {
	n := w.rand.Int64N(c.amount + 1)
	err := pick(w, w.peers).Settle(w.t.Context(), c.res.ID, billing.Pico(n).Decimal())
	w.say("%s: settle %d of %d that are kept: %v", p.name, n, c.amount, err)
	if err != nil { // done or not: again, with the same amount
		err = w.admin.Settle(w.t.Context(), c.res.ID, billing.Pico(n).Decimal())
	}
	require.NoError(w.t, err)
	w.end(p, c, n)
}

// change raises or lowers the limit of a budget, drops it or brings it back.
func (w *world) change() {
	names := slices.Sorted(maps.Keys(w.budgets))
	b := *w.budgets[pick(w, names)]
	at := w.admin
	if p := pick(w, w.peers); w.chance(0.5) && !p.up.IsZero() && p.offset.get() == 0 {
		at = p
	}
	b.Limit = b.Limit.Mul(decimal.New(2+w.rand.Int64N(20), -1)).RoundFloor(12).Add(decimal.New(1, -1))
	if b.Limit.GreaterThan(decimal.NewFromInt(200)) {
		b.Limit = decimal.NewFromInt(1)
	}
	if b.Scope == billing.ScopeKey && w.chance(0.3) {
		require.NoError(w.t, w.admin.store.Update(w.t.Context(), func(ctx ctx, tx *store.Tx) error {
			return w.admin.Drop(ctx, tx, b.OrgID, b.Scope, b.ScopeID, b.Name)
		}))
		w.say("%s goes", b.Name)
		delete(w.budgets, b.Name)
		w.changed = time.Now()
		w.sleep(5 * time.Second)
		b.Meta = store.Meta{}
	}
	w.put(at, b)
}

// clock steps the clock of a process by an hour.
func (w *world) clock(p *peer) {
	step := time.Hour
	if p.offset.get() > 0 {
		step = -step
		p.back = true
	}
	p.offset.n.Add(int64(step))
	w.say("%s: its clock is set by %s", p.name, step)
}

var errAway = errors.New("there is no way to the database")

// silence takes the database from a process, which others may take for dead then, or gives it back.
func (w *world) silence(p *peer) {
	if !w.fences {
		return
	}
	if p.up.IsZero() {
		w.back(p)
		return
	}
	w.say("%s: is cut off", p.name)
	p.faults.set(errAway, 0)
	p.up = time.Time{}
	if w.chance(0.5) {
		w.sleep(15 * time.Second)
	}
}

func (w *world) back(p *peer) {
	if p.up.IsZero() {
		w.say("%s: is back", p.name)
		odds := 0.0
		if w.unsure {
			odds = 0.05
		}
		p.faults.set(nil, odds)
		p.up = time.Now()
	}
}

// leave ends a process, in order or not, and starts another.
func (w *world) leave(p *peer) {
	if w.crashes && w.chance(0.5) {
		w.say("%s: crashes", p.name)
		p.faults.set(store.ErrClosed, 0)
		for len(p.holds) > 0 { // whatever they would have cost: not more than they held
			c := p.holds[0]
			if c.res != nil && c.res.ID != "" {
				w.peers[(slices.Index(w.peers, p)+1)%len(w.peers)].holds = append(w.peers[(slices.Index(w.peers, p)+1)%len(w.peers)].holds, c)
				p.holds = p.holds[1:]
				continue
			}
			w.end(p, c, w.rand.Int64N(c.amount+1))
		}
		for id, n := range p.news {
			w.of(id).lost += n
		}
	} else {
		w.back(p)
		p.faults.set(nil, 0)
		w.say("%s: closes", p.name)
		for len(p.holds) > 0 {
			w.settle(p)
		}
		require.NoError(w.t, p.Close())
	}
	w.peers[slices.Index(w.peers, p)] = w.join(fmt.Sprintf("%s'", p.name))
}

func (w *world) sleep(most time.Duration) { time.Sleep(time.Duration(w.rand.Int64N(int64(most)))) }
