package billing_test

import (
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// entries are what the database says.
type entries struct {
	accounts []billing.Account
	kept     map[string]billing.Kept
	nodes    map[string]bool
	leases   map[[2]string]billing.Pico
}

func (w *world) read() (e entries) {
	w.do(func(ctx ctx, tx *store.Tx) (err error) {
		if e.accounts, err = billing.Accounts(ctx, tx); err == nil {
			e.kept, err = billing.KeptHeld(ctx, tx)
		}
		if err == nil {
			e.nodes, err = billing.NodeRows(ctx, tx)
		}
		if err == nil {
			e.leases, err = billing.LeaseRows(ctx, tx)
		}
		return err
	})
	return e
}

// quiet lets everything be written and compares.
func (w *world) quiet() {
	for _, p := range w.peers {
		w.back(p)
		p.faults.set(nil, 0)
	}
	time.Sleep(7 * time.Second) // the silent are fenced, and those who were have told what they had
	for _, p := range w.peers {
		require.NoError(w.t, p.Flush(w.t.Context()))
		clear(p.news)
	}
	w.say("quiet")
	w.compare(false)
	if p := pick(w, w.peers); !p.back {
		w.last(p, pick(w, paths))
	}
	for _, p := range w.peers {
		if w.unsure {
			p.faults.set(nil, 0.05)
		}
	}
}

// compare holds the accounts against what was done. At the end nothing is held.
func (w *world) compare(end bool) {
	is := w.read()
	forgotten := map[string]int64{} // by those whose Hold was done and answered an error
	mine := map[string]bool{}
	for _, p := range w.peers {
		for _, c := range p.holds {
			if c.res != nil {
				mine[c.res.ID] = true
			}
		}
	}
	for id, k := range is.kept {
		for _, a := range k.Accounts {
			if !mine[id] {
				forgotten[a] += int64(k.Amount)
			}
		}
	}
	for _, a := range is.accounts {
		s := w.of(a.ID)
		spent, reserved, forfeited := pico(a.Spent), pico(a.Reserved), pico(a.Forfeited)
		out := s.out + forgotten[a.ID]
		b := w.budgetOf(a)
		if b != nil && time.Now().Before(a.PeriodEnd) {
			require.Equal(w.t, b.Limit.String(), a.Limit.String(), "limit of %s", a.ID)
		}
		if !s.hard {
			require.LessOrEqual(w.t, spent, s.settled, a.ID)
			require.GreaterOrEqual(w.t, spent, s.settled-s.lost, "%s: %d have settled, %d were lost in crashes", a.ID, s.settled, s.lost)
			continue
		}
		require.GreaterOrEqual(w.t, spent+reserved, s.settled+out-s.lost, "%s: more was spent than is counted", a.ID)
		require.LessOrEqual(w.t, spent-forfeited, s.settled+s.beyond, a.ID) // what a lost node has overrun is charged at once, and it may have had some of it
		require.Equal(w.t, decimal.Max(decimal.Zero, a.Spent.Add(a.Reserved).Sub(a.Limit)).String(), a.Over.String(), a.ID)
		calm := !w.crashes && !w.fences && !w.unsure // nobody was fenced but who was idle
		if calm || forfeited == 0 && !w.crashes && !w.overruns {
			require.Equal(w.t, s.settled, spent, "spent of %s, of which are forfeited %d", a.ID, forfeited)
			require.Equal(w.t, out, reserved, "reserved of %s", a.ID)
			require.Zero(w.t, forfeited, a.ID)
		}
		if end && !w.crashes {
			require.Equal(w.t, forgotten[a.ID], reserved, "reserved of %s", a.ID)
		}
		s.bound, s.extra = max(pico(a.Limit), s.settled+s.out), 0
	}
	for of, amount := range is.leases {
		require.Positive(w.t, amount, "a lease of nothing is left: %s", of)
	}
	if end && !w.crashes {
		for id, fenced := range is.nodes {
			require.True(w.t, fenced, "node %s is left", id)
		}
	}
}

func (w *world) budgetOf(a billing.Account) *billing.Budget {
	for _, b := range w.budgets {
		if b.ID == a.BudgetID {
			return b
		}
	}
	return nil
}

// last takes all that is left of a path, at once, and then nothing more can be had.
func (w *world) last(p *peer, path billing.Path) {
	left := int64(billing.MaxHold)
	require.NoError(w.t, p.store.View(w.t.Context(), func(ctx ctx, tx *store.Tx) error {
		states, err := p.States(ctx, tx, path)
		for _, s := range states {
			if s.Budget.Hard {
				left = min(left, pico(s.Remaining))
			}
		}
		return err
	}))
	if left == int64(billing.MaxHold) {
		return
	}
	for _, n := range []int64{left + 1, left, 1} {
		c, d := &call{}, billing.Pico(n).Decimal()
		var err error
		c.res, err = p.Reserve(w.t.Context(), path, &d)
		w.say("%s: reserve %d where %d are left: %v", p.name, n, left, err)
		if n != left {
			require.ErrorIs(w.t, err, billing.ErrExceeded, "%d of %d", n, left)
			continue
		}
		require.NoError(w.t, err, "all that is left, %d", left)
		c.accounts = c.res.HeldIn()
		w.hold(p, c, n)
		p.holds = append(p.holds, c)
	}
}

// finish ends all calls and processes in order.
func (w *world) finish() {
	w.quiet()
	for _, p := range w.peers {
		p.faults.set(nil, 0)
		for len(p.holds) > 0 {
			w.settle(p)
		}
	}
	time.Sleep(7 * time.Second)
	for _, p := range slices.Clone(w.peers) {
		require.NoError(w.t, p.Close())
	}
	require.NoError(w.t, w.admin.Close())
	w.compare(true)
	w.say("%s", strings.Repeat("-", 20))
}
