package billing_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

var errDown = errors.New("the database is down")

// down is a driver that fails to begin or, what is worse, says that it failed to commit what it has committed, or the
// other way round.
type down struct {
	store.Driver
	begin, commit, lose *atomic.Bool
	commits             *atomic.Int64
}

func (d down) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if d.begin.Load() {
		return nil, errDown
	}
	tx, err := d.Driver.Begin(ctx, writable)
	if err == nil && writable {
		tx = lies{tx, d}
	}
	return tx, err
}

type lies struct {
	store.DriverTx
	d down
}

func (l lies) Commit(ctx context.Context) error {
	if l.d.lose.Load() {
		return l.Rollback()
	}
	err := l.DriverTx.Commit(ctx)
	l.d.commits.Add(1)
	if err == nil && l.d.commit.Load() {
		return errDown
	}
	return err
}

func newDown(t *testing.T, name string, clock *storetest.Clock) (*store.Store, down) {
	d := down{begin: &atomic.Bool{}, commit: &atomic.Bool{}, lose: &atomic.Bool{}, commits: &atomic.Int64{}}
	s := storetest.Open(t, name, store.Options{Now: clock.Now, Wrap: func(inner store.Driver) store.Driver {
		w := d
		w.Driver = inner
		return w
	}})
	t.Cleanup(func() { d.begin.Store(false) })
	return s, d
}

func TestWithoutADatabaseWhatIsClaimedIsUsedAndThenThePolicyCounts(t *testing.T) { // billing edge 29
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		for _, open := range []bool{false, true} {
			t.Run(name+map[bool]string{false: "/closed", true: "/open"}[open], func(t *testing.T) {
				clock := storetest.NewClock()
				s, d := newDown(t, name, clock)
				l := newRates(t, s, nil)
				l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(100), FailOpen: open})
				limits := l.on(path1)
				_, err := limits.Take(t.Context(), billing.Ask{})
				require.NoError(t, err)
				l.Settled()
				d.begin.Store(true)
				passed := 1
				for ; passed < 200; passed++ {
					if _, err = limits.Take(t.Context(), billing.Ask{}); err != nil {
						break
					}
				}
				if open {
					require.ErrorIs(t, err, billing.ErrLimited)
					require.Equal(t, 100, passed, "what this process alone may admit")
				} else {
					require.ErrorIs(t, err, errDown)
					require.False(t, isLimited(err))
					require.Greater(t, passed, 4)
					require.Less(t, passed, 60)
				}
				d.begin.Store(false)
				for range 200 { // and as soon as it is back everything is booked
					if _, err = limits.Take(t.Context(), billing.Ask{}); err != nil {
						break
					}
					passed++
				}
				require.ErrorIs(t, err, billing.ErrLimited)
				require.Equal(t, 100, passed)
				l.Sweep()
				l.Settled()
				require.Zero(t, newRates(t, s, nil).remaining(t))
			})
		}
	}
}

func TestAClaimWhoseCommitIsUnknownIsNotHad(t *testing.T) { // billing edge 30
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			clock := storetest.NewClock()
			s, d := newDown(t, name, clock)
			nodes, _ := several(t, s, 2)
			l := nodes[0]
			l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(20), MaxParallelRequests: n(2)})
			limits := l.on(path1)
			d.commit.Store(true)
			_, err := limits.Take(t.Context(), billing.Ask{})
			require.ErrorIs(t, err, errDown)
			d.commit.Store(false)
			clock.Advance(time.Second)
			passed := 0
			for range 40 {
				h, err := limits.Take(t.Context(), billing.Ask{})
				if err == nil {
					passed++
					h.Settle(0)
				}
			}
			require.Less(t, passed, 20, "what nobody knows of is lost")
			require.Greater(t, passed, 10)
			for range 2 { // but not the slots: their row says whose they are
				clock.Advance(24 * time.Hour)
				defer l.passes(path1, 0).Settle(0)
			}
		})
	}
}

// TestManyCallsCostFewTransactions: neither of a process that is alone, nor of one among several, does each call cost a
// transaction.
func TestManyCallsCostFewTransactions(t *testing.T) {
	for name, nodes := range map[string]billing.Nodes{"several": nil, "alone": billing.Alone(time.Time{})} {
		t.Run(name, func(t *testing.T) {
			clock := storetest.NewClock()
			s, d := newDown(t, "memory", clock)
			l := newRates(t, s, &billing.LimiterOptions{Nodes: nodes})
			l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerMinute: n(1_000_000), RequestsPerDay: n(10_000_000), TokensPerHour: n(1_000_000_000)})
			l.limit(billing.RateLimit{Scope: billing.ScopeOrg, ScopeID: "org_1", RequestsPerHour: n(10_000_000), MaxParallelRequests: n(1000)})
			limits := l.on(path1)
			before := d.commits.Load()
			const calls = 100_000
			for range calls {
				h, err := limits.Take(t.Context(), billing.Ask{Tokens: 1000})
				require.NoError(t, err)
				h.Settle(500)
			}
			l.Settled()
			require.Less(t, d.commits.Load()-before, int64(calls/1000))
			require.Positive(t, d.commits.Load()-before)
			before = d.commits.Load()
			l.Settled()
			require.Equal(t, before, d.commits.Load(), "who does nothing costs nothing")
		})
	}
}

func TestWindowsThatAreOverAreForgotten(t *testing.T) {
	eachRates(t, func(t *testing.T, l rates, clock *storetest.Clock) {
		l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerMinute: n(100), RequestsPerDay: n(100)})
		limits := l.on(path1)
		for range 10 {
			_, err := limits.Take(t.Context(), billing.Ask{})
			require.NoError(t, err)
			l.Settled()
			clock.Advance(time.Minute)
		}
		pruned, err := l.PruneRateWindows(t.Context())
		require.NoError(t, err)
		require.Zero(t, pruned)
		clock.Advance(26 * time.Hour)
		pruned, err = l.PruneRateWindows(t.Context())
		require.NoError(t, err)
		require.Equal(t, 10, pruned, "the day ends in New York")
	})
}
