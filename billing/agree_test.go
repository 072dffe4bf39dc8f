package billing_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/sqlite"
)

// accounting is some processes that spend from one budget and say what their calls have used, and the plain list of what
// they did. Time is that of a bubble of synctest.
type accounting struct {
	t        *testing.T
	rand     *rand.Rand
	driver   store.Driver
	database *store.Store
	nodes    []*accountant
	calls    []*accounted
	made     int
	orderly  bool // whoever dies has written everything that was settled, and only holds something
	deaths   int
}

// accountant is one process.
type accountant struct {
	faults   *faults
	guard    *rbac.Guard
	ledger   *billing.Ledger
	metering *billing.Metering
	held     []*billing.Reservation
	dead     bool
}

// accounted is a call that was settled, or a correction of one.
type accounted struct {
	event billing.UsageEvent
	by    *accountant
	kept  string // reservation that can be corrected
	sure  bool   // its event was told to be kept
}

// TestAnalyticsRollupsEventsAndLedgerAgree has random calls, refunds, late and repeated events and crashes: what analytics
// say is what the sums say, what the events say, and what the budget has spent less what it names as forfeited.
func TestAnalyticsRollupsEventsAndLedgerAgree(t *testing.T) { // billing edges 11, 17, 19 and 57
	for database, worlds := range map[string]int{"memory": max(1, 8/fewer), "sqlite": max(1, 2/fewer)} {
		for _, orderly := range []bool{true, false} {
			t.Run(fmt.Sprint(database, " orderly ", orderly), func(t *testing.T) {
				for range worlds {
					seed := rand.Uint64()
					ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							time.Sleep(100 * 24 * time.Hour) // events have to lie in this century
							a := &accounting{t: t, rand: rand.New(rand.NewPCG(seed, 5)), orderly: orderly}
							a.open(database, seed)
							for range 400 {
								a.step()
							}
							a.finish()
						})
					})
					if !ok {
						return
					}
				}
			})
		}
	}
}

func (a *accounting) open(database string, seed uint64) {
	o := store.Options{Wrap: func(d store.Driver) store.Driver {
		a.driver = d
		return d
	}}
	s, err := memory.New(&memory.Options{Store: o}), error(nil)
	if database == "sqlite" {
		s, err = sqlite.Open(a.t.Context(), filepath.Join(a.t.TempDir(), fmt.Sprint(seed, ".db")), &sqlite.Options{Store: o})
	}
	require.NoError(a.t, err)
	a.database = s
	a.t.Cleanup(func() {
		for _, n := range a.nodes {
			n.faults.set(store.ErrClosed, 0)
		}
		time.Sleep(10 * time.Second) // and their loops end, also after a failure
		s.Close()
	})
	a.nodes = append(a.nodes, a.join())
	require.NoError(a.t, s.Update(a.t.Context(), func(ctx ctx, tx *store.Tx) error {
		scope := rbac.Scope{Zone: "America/New_York", State: rbac.Active}
		scope.ID = "org_1"
		if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
			return err
		}
		return a.nodes[0].ledger.Put(ctx, tx, &billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100000"), Hard: true, Window: billing.Lifetime, Zone: "UTC"})
	}))
	a.nodes = append(a.nodes, a.join(), a.join())
}

func (a *accounting) join() *accountant {
	n := &accountant{faults: &faults{Driver: a.driver, rand: rand.New(rand.NewPCG(a.rand.Uint64(), 2))}}
	s := store.New(n.faults, nil)
	var err error
	n.guard, err = rbac.NewGuard(s, nil)
	require.NoError(a.t, err)
	n.ledger = billing.NewLedger(s, n.guard, &billing.Options{Silence: 5 * time.Second})
	n.metering = billing.NewMetering(s, &billing.MeteringOptions{Alerts: n.ledger})
	return n
}

// living is a process that lives.
func (a *accounting) living() *accountant {
	for {
		if n := a.nodes[a.rand.IntN(len(a.nodes))]; !n.dead {
			return n
		}
	}
}

func (a *accounting) event(cost decimal.Decimal) billing.UsageEvent {
	a.made++
	e := callAt(fmt.Sprintf("evt_%06d", a.made), time.Now().UTC().Truncate(time.Microsecond))
	e.TeamID, e.Model, e.UserID = fmt.Sprint("team_", a.rand.IntN(3)), fmt.Sprint("model_", a.rand.IntN(3)), fmt.Sprint("usr_", a.rand.IntN(9))
	e.Cost = cost
	if a.rand.IntN(10) == 0 { // it comes late
		e.Time = e.Time.Add(-time.Duration(a.rand.Int64N(int64(40 * 24 * time.Hour)))).Truncate(time.Microsecond)
	}
	return e
}

func (a *accounting) cost() decimal.Decimal {
	return decimal.New(1+a.rand.Int64N(20_000_000_000_000), -12)
}

// step is one thing that happens.
func (a *accounting) step() {
	n := a.living()
	switch of := a.rand.IntN(100); {
	case of < 60:
		a.call(n)
	case of < 66:
		a.keep(n)
	case of < 72:
		a.refund(n)
	case of < 76:
		a.repeat(n)
	case of < 80:
		h := a.cost()
		r, err := n.ledger.Reserve(a.t.Context(), path, &h)
		require.NoError(a.t, err)
		n.held = append(n.held, r)
	case of < 97:
		time.Sleep(time.Duration(a.rand.Int64N(int64(300 * time.Millisecond))))
	case a.deaths < 6:
		a.die(n)
	}
}

// call is one that is settled and told of.
func (a *accounting) call(n *accountant) {
	held := a.cost()
	r, err := n.ledger.Reserve(a.t.Context(), path, &held)
	require.NoError(a.t, err)
	e := a.event(held)
	if a.rand.IntN(3) > 0 {
		e.Cost = held.Mul(decimal.New(a.rand.Int64N(100), -2)).RoundFloor(12)
	}
	require.NoError(a.t, r.Settle(a.t.Context(), e.Cost))
	require.NoError(a.t, n.metering.Record(a.t.Context(), &e))
	a.calls = append(a.calls, &accounted{event: e, by: n})
}

// keep is a call that outlives its process.
func (a *accounting) keep(n *accountant) {
	held := a.cost()
	r, err := n.ledger.Hold(a.t.Context(), path, &held)
	require.NoError(a.t, err)
	e := a.event(held)
	require.NoError(a.t, a.living().ledger.Settle(a.t.Context(), r.ID, e.Cost))
	a.ingest(n, e)
	a.calls = append(a.calls, &accounted{event: e, by: n, kept: r.ID, sure: true})
}

// refund gives a part of such a call back, in both books.
func (a *accounting) refund(n *accountant) {
	for _, c := range a.calls {
		if c.kept == "" || a.rand.IntN(3) > 0 {
			continue
		}
		back := c.event.Cost.Mul(decimal.New(-50, -2)).RoundCeil(12)
		a.made++
		e := callAt(fmt.Sprintf("evt_%06d", a.made), time.Now().UTC().Truncate(time.Microsecond))
		e.Corrects, e.Cost, e.InputTokens, e.CachedTokens, e.OutputTokens = c.event.ID, back, -10, 0, 0
		_, err := n.ledger.Correct(audit.WithActor(a.t.Context(), audit.PlatformAdmin()), billing.Correction{OrgID: "org_1", ReservationID: c.kept, Amount: back, Reason: "wrong price", Reference: e.ID})
		require.NoError(a.t, err)
		a.ingest(n, e)
		a.calls = append(a.calls, &accounted{event: e, by: n, sure: true})
		c.kept = ""
		return
	}
}

// repeat tells again of a call of which it is known that it was kept.
func (a *accounting) repeat(n *accountant) {
	for _, c := range a.calls {
		if c.sure && c.event.Corrects == "" && a.rand.IntN(4) == 0 {
			done, err := n.metering.Ingest(a.t.Context(), []billing.UsageEvent{c.event})
			require.NoError(a.t, err)
			require.Equal(a.t, 1, done.Duplicates)
			return
		}
	}
}

func (a *accounting) ingest(n *accountant, e billing.UsageEvent) {
	done, err := n.metering.Ingest(a.t.Context(), []billing.UsageEvent{e})
	require.NoError(a.t, err)
	require.Equal(a.t, 1, done.Accepted)
}

// die ends a process as kill -9 does, and has another one begin.
func (a *accounting) die(n *accountant) {
	if a.orderly {
		require.NoError(a.t, n.metering.Flush(a.t.Context()))
		require.NoError(a.t, n.ledger.Flush(a.t.Context()))
		for _, c := range a.calls {
			c.sure = c.sure || c.by == n
		}
		h := a.cost() // of which nobody hears any more
		_, err := n.ledger.Reserve(a.t.Context(), path, &h)
		require.NoError(a.t, err)
	}
	n.faults.set(store.ErrClosed, 0)
	n.dead = true
	a.deaths++
	a.nodes = append(a.nodes, a.join())
}

// finish ends everything and compares.
func (a *accounting) finish() {
	t := a.t
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		a.call(a.living()) // whoever lives finds out who does not
	}
	for _, n := range a.nodes {
		if n.dead {
			continue
		}
		for _, r := range n.held {
			require.NoError(t, r.Release(t.Context()))
		}
		require.NoError(t, n.metering.Close())
		require.NoError(t, n.ledger.Close())
		for _, c := range a.calls {
			c.sure = c.sure || c.by == n
		}
	}
	m := billing.NewMetering(a.database, nil)
	defer m.Close()
	kept := map[string]bool{}
	raw, plain, settled, lost := decimal.Zero, decimal.Zero, decimal.Zero, decimal.Zero
	list := events(t, a.database, m, "org_1")
	for _, e := range list {
		require.False(t, kept[e.ID], "once")
		kept[e.ID], raw = true, raw.Add(e.Cost)
	}
	for _, c := range a.calls {
		settled = settled.Add(c.event.Cost)
		if kept[c.event.ID] {
			plain = plain.Add(c.event.Cost)
			continue
		}
		require.False(t, c.sure, "%s was kept", c.event.ID)
		lost = lost.Add(c.event.Cost)
	}
	require.Equal(t, plain.String(), raw.String(), "the events are those of the calls")

	first := slices.MinFunc(list, func(x, y billing.UsageEvent) int { return x.Time.Compare(y.Time) }).Time
	span := billing.Span{From: first, Below: time.Now().Add(time.Minute)}
	wrong, err := m.Check(t.Context(), "org_1", span.From, span.Below)
	require.NoError(t, err)
	require.Empty(t, wrong, "the sums are those of the events")
	var got billing.Analytics
	var books []billing.Reconciliation
	require.NoError(t, a.database.View(t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
		if got, err = m.Analytics(ctx, tx, "org_1", billing.AnalyticsQuery{Span: span, Zone: time.UTC}); err != nil {
			return err
		}
		books, err = m.Unaccounted(ctx, tx, "org_1")
		return err
	}))
	require.Equal(t, raw.String(), got.Cost.String(), "analytics are the events")
	require.Len(t, books, 1)
	b := books[0]
	require.Equal(t, raw.String(), b.Events.String())
	if a.orderly {
		require.True(t, lost.IsZero())
		require.Equal(t, a.deaths > 0, b.Forfeited.IsPositive())
		require.Equal(t, raw.String(), b.Spent.Sub(b.Forfeited).String(), "the ledger less what it names as forfeited")
		return
	}
	require.True(t, b.Spent.GreaterThanOrEqual(settled), "a crash makes no money: %s are spent, %s were settled", b.Spent, settled)
	require.True(t, b.Spent.Sub(b.Forfeited).LessThanOrEqual(settled), "and all that it wastes is named: %s less %s, of %s", b.Spent, b.Forfeited, settled)
	require.Equal(t, settled.Sub(lost).String(), b.Events.String())
	require.True(t, b.Unaccounted.Equal(b.Spent.Sub(raw)))
}
