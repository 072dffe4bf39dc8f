package orgs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
)

// node is one of three processes, whose names the test gives.
type node string

func (n node) Node() string                                 { return string(n) }
func (node) Live() int                                      { return 3 }
func (node) AloneSince() (time.Time, bool)                  { return time.Time{}, false }
func (node) Holds(context.Context, *store.Tx, string) error { return nil }

// taker takes from the limits of a team.
type taker struct {
	m *orgs.Manager
	*billing.Limiter
}

func newTaker(m *orgs.Manager, name string) taker {
	return taker{m, billing.NewLimiter(m.Store(), m.Guard, &billing.LimiterOptions{Nodes: node(name)})}
}

func (k taker) on(ctx context.Context, org, team string) (limits *billing.Limits, err error) {
	err = k.m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		limits, err = k.Limits(ctx, tx, billing.Path{OrgID: org, TeamID: team, Model: "m"}, false)
		return err
	})
	return limits, err
}

// drain takes with several goroutines until each was refused some times, with pauses, in which others may give something
// back. It calls took for each call that passes.
func drain(ctx context.Context, limits *billing.Limits, refusals int, took func()) error {
	var all sync.WaitGroup
	failed := make(chan error, 4)
	for range cap(failed) {
		all.Go(func() {
			for refused := 0; refused < refusals; {
				h, err := limits.Take(ctx, billing.Ask{Tokens: 10})
				switch {
				case err == nil:
					took()
					h.Settle(5)
				case errors.Is(err, billing.ErrLimited):
					refused++
					time.Sleep(100 * time.Millisecond)
				default:
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// childSilence is when a child is taken for dead.
const childSilence = 3 * time.Second

// ratesProgram is another process that takes from limits, as a node of that name, or, with -, as its manager does:
//
//	drain NODE ORG TEAM    takes until it is refused; answers "took" for each call, and at the end "drained"
//	hold NODE ORG TEAM N   takes so many slots, and keeps them; answers "holds"
func ratesProgram(ctx context.Context, m *orgs.Manager, input *bufio.Scanner) error {
	say("ready")
	for input.Scan() {
		var verb, name, org, team string
		var n int
		fmt.Sscan(input.Text(), &verb, &name, &org, &team, &n)
		k := taker{m, m.Limiter}
		if name != "-" {
			k = newTaker(m, name)
		}
		limits, err := k.on(ctx, org, team)
		if err != nil {
			return err
		}
		switch verb {
		case "drain":
			if err := drain(ctx, limits, 10, func() { say("took") }); err != nil {
				return err
			}
			say("drained")
		case "hold":
			for range n {
				if _, err := limits.Take(ctx, billing.Ask{}); err != nil {
					return err
				}
			}
			say("holds")
		}
	}
	return nil
}

// limitedTeam is a team with a limit, and a taker of this process.
func limitedTeam(t *testing.T, database string, r billing.RateLimit) (me taker, org, team string) {
	s, err := openDatabase(t.Context(), database, nil)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	w := orgstest.New(t, s, nil)
	o, _ := w.Org("acme")
	lab := w.Team(o, "lab", orgs.TeamSettings{})
	r.OrgID, r.Scope, r.ScopeID = o.ID, billing.ScopeTeam, lab.ID
	_, err = w.SetRateLimit(w.Platform(), r)
	require.NoError(t, err)
	me = newTaker(w.Manager, "node_me")
	t.Cleanup(me.Close)
	return me, o.ID, lab.ID
}

func TestThreeProcessesShareOneLimitExactly(t *testing.T) { // F096, S10.1
	shared(t, func(t *testing.T, fresh func() string) {
		database := fresh()
		const most = 1000
		me, org, team := limitedTeam(t, database, billing.RateLimit{RequestsPerDay: ptr(int64(most)), TokensPerDay: ptr(int64(1_000_000))})
		children := []*child{startChild(t, "rates", database), startChild(t, "rates", database)}
		for i, c := range children {
			_, err := fmt.Fprintf(c.input, "drain node_%d %s %s\n", i, org, team)
			require.NoError(t, err)
		}
		var mu sync.Mutex
		mine := 0
		limits, err := me.on(t.Context(), org, team)
		require.NoError(t, err)
		require.NoError(t, drain(t.Context(), limits, 10, func() { mu.Lock(); mine++; mu.Unlock() }))
		theirs := 0
		for _, c := range children {
			for line := c.hear(); line != "drained"; line = c.hear() {
				require.Equal(t, "took", line)
				theirs++
			}
		}
		require.Equal(t, most, mine+theirs)
		t.Logf("this process took %d of them", mine)
	})
}

func TestAKilledProcessTakesOnlyItsShareWithIt(t *testing.T) {
	shared(t, func(t *testing.T, fresh func() string) {
		database := fresh()
		const most = 2000
		me, org, team := limitedTeam(t, database, billing.RateLimit{RequestsPerDay: ptr(int64(most)), MaxParallelRequests: ptr(int64(8))})
		c := startChild(t, "rates", database)
		_, err := fmt.Fprintf(c.input, "drain node_0 %s %s\n", org, team)
		require.NoError(t, err)
		theirs := 0
		for ; theirs < 200; theirs++ {
			require.Equal(t, "took", c.hear())
		}
		require.NoError(t, c.cmd.Process.Kill())
		for line := range c.lines {
			if line == "took" {
				theirs++
			}
		}
		c.cmd.Wait()
		require.NoError(t, me.m.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return me.FreeNode(ctx, tx, "node_0") }))
		mine := 0
		limits, err := me.on(t.Context(), org, team)
		require.NoError(t, err)
		var mu sync.Mutex
		require.NoError(t, drain(t.Context(), limits, 3, func() { mu.Lock(); mine++; mu.Unlock() }))
		require.LessOrEqual(t, mine+theirs, most)
		require.Positive(t, mine)
		t.Logf("%d and %d of %d; the rest was claimed by the dead one", theirs, mine, most)
	})
}

// TestSlotsOfAKilledProcessAreFreedByItsFence: nobody has told the managers that they are several, nor that one is dead.
func TestSlotsOfAKilledProcessAreFreedByItsFence(t *testing.T) { // F106
	shared(t, func(t *testing.T, fresh func() string) {
		database := fresh()
		named, org, team := limitedTeam(t, database, billing.RateLimit{MaxParallelRequests: ptr(int64(3))})
		m, err := orgs.New(named.m.Store(), &orgs.Options{Billing: billing.Options{Silence: childSilence}})
		require.NoError(t, err)
		defer func() { require.NoError(t, m.Close()) }()
		limits, err := taker{m, m.Limiter}.on(t.Context(), org, team)
		require.NoError(t, err)
		c := startChild(t, "rates", database)
		require.Equal(t, "holds", c.ask("hold - %s %s 3", org, team))
		_, err = limits.Take(t.Context(), billing.Ask{MaxWait: 200 * time.Millisecond})
		require.ErrorIs(t, err, billing.ErrLimited)
		require.Equal(t, 2, m.Nodes().Live())
		time.AfterFunc(100*time.Millisecond, func() { c.cmd.Process.Kill() }) // while one waits already
		for range 3 {
			_, err := limits.Take(t.Context(), billing.Ask{MaxWait: 20 * time.Second})
			require.NoError(t, err)
		}
		_, err = limits.Take(t.Context(), billing.Ask{})
		require.ErrorIs(t, err, billing.ErrLimited)
	})
}
