package billing_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// fleet are nodes of a test.
type fleet struct {
	name atomic.Pointer[string]
	live *atomic.Int64
}

func newFleet(name string, live *atomic.Int64) *fleet {
	f := &fleet{live: live}
	f.name.Store(&name)
	return f
}

func (f *fleet) Node() string                                   { return *f.name.Load() }
func (f *fleet) Live() int                                      { return int(f.live.Load()) }
func (f *fleet) AloneSince() (time.Time, bool)                  { return time.Time{}, f.live.Load() == 1 }
func (f *fleet) Holds(context.Context, *store.Tx, string) error { return nil }

// several are limiters of as many processes over one store.
func several(t *testing.T, s *store.Store, count int) (nodes []rates, live *atomic.Int64) {
	live = &atomic.Int64{}
	live.Store(int64(count))
	for i := range count {
		nodes = append(nodes, newRates(t, s, &billing.LimiterOptions{Nodes: newFleet(fmt.Sprint("node_", i), live)}))
	}
	return nodes, live
}

// TestProcessesShareALimitExactly: whatever calls of several processes do at once, together they are admitted as often as
// the limit says, and neither more nor, in the end, less.
func TestProcessesShareALimitExactly(t *testing.T) { // F096, S10.1
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		nodes, _ := several(t, s, 3)
		nodes[0].limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(500)})
		nodes[0].limit(billing.RateLimit{Scope: billing.ScopeOrg, ScopeID: "org_1", RequestsPerHour: n(10_000), TokensPerDay: n(100_000)})
		var passed atomic.Int64
		var all sync.WaitGroup
		for _, node := range nodes {
			limits := node.on(path1)
			for range 4 {
				all.Go(func() {
					for refused := 0; refused < 3; {
						h, err := limits.Take(t.Context(), billing.Ask{Tokens: 10})
						switch {
						case err == nil:
							h.Settle(3)
							passed.Add(1)
						case isLimited(err):
							refused++
							clock.Advance(2 * time.Second) // until then nobody asks the database again
						default:
							t.Error(err)
							return
						}
					}
				})
			}
		}
		all.Wait()
		require.EqualValues(t, 500, passed.Load())
		for _, node := range nodes {
			states, err := node.RateLimits(platform(t), "org_1", 0, "")
			require.NoError(t, err)
			for _, state := range states.Items {
				if state.Scope == billing.ScopeTeam {
					require.Zero(t, state.Rates[0].Remaining)
				}
			}
		}
	})
}

// TestNobodyIsRefusedWhileThereIsEnough: what one claim has brought is taken while the next is under way already, which has counted
// on it. The database has more.
func TestNobodyIsRefusedWhileThereIsEnough(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		nodes, live := several(t, s, 1)
		live.Store(2)
		nodes[0].limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", TokensPerDay: n(1 << 40)})
		for round := range 300 { // little is claimed in the beginning
			node := newRates(t, s, &billing.LimiterOptions{Nodes: newFleet(fmt.Sprint("fresh_", round), live)})
			limits := node.on(path1)
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if _, err := limits.Take(t.Context(), billing.Ask{Tokens: 300}); err != nil {
						t.Error(round, err)
					}
				})
			}
			all.Wait()
			node.Close()
		}
	})
}

// TestNothingIsAdmittedBeyondALimit runs limiters of several processes through random steps, and holds what they admit
// in each window, and what they claim, against the limits.
func TestNothingIsAdmittedBeyondALimit(t *testing.T) { // billing edges 27, 33, 35
	rapid.Check(t, func(r *rapid.T) {
		clock := storetest.NewClock()
		s := storetest.Open(t, "memory", store.Options{Now: clock.Now})
		var elapsed atomic.Int64
		live := &atomic.Int64{}
		count := rapid.IntRange(1, 4).Draw(r, "nodes")
		live.Store(int64(max(2, count))) // one of which is silent
		requests, tokens := rapid.Int64Range(0, 30).Draw(r, "requests"), rapid.Int64Range(0, 300).Draw(r, "tokens")
		var nodes []*billing.Limits
		var limiters []*billing.Limiter
		for i := range count {
			node := newRates(t, s, &billing.LimiterOptions{Nodes: newFleet(fmt.Sprint("node_", i), live), Now: clock.Now,
				Elapsed: func() time.Duration { return time.Duration(elapsed.Load()) }})
			if i == 0 {
				node.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerMinute: &requests, TokensPerHour: &tokens})
			}
			nodes, limiters = append(nodes, node.on(path1)), append(limiters, node.Limiter)
		}
		type call struct {
			hold         *billing.Permit
			minute, hour time.Time
			tokens       int64
		}
		var running []call
		byMinute, byHour := map[time.Time]int64{}, map[time.Time]int64{}
		r.Repeat(map[string]func(*rapid.T){
			"take": func(r *rapid.T) {
				node := nodes[rapid.IntRange(0, count-1).Draw(r, "node")]
				c := call{minute: clock.Now().Truncate(time.Minute), hour: clock.Now().Truncate(time.Hour), tokens: rapid.Int64Range(0, 60).Draw(r, "tokens")}
				h, err := node.Take(context.Background(), billing.Ask{Tokens: c.tokens})
				if err != nil {
					if !isLimited(err) {
						r.Fatal(err)
					}
					return
				}
				c.hold = &h
				running = append(running, c)
				byMinute[c.minute]++
				byHour[c.hour] += c.tokens
			},
			"end": func(r *rapid.T) {
				if len(running) == 0 {
					return
				}
				i := rapid.IntRange(0, len(running)-1).Draw(r, "call")
				c := running[i]
				running = append(running[:i], running[i+1:]...)
				if rapid.Bool().Draw(r, "cancelled") {
					c.hold.Cancel()
					if c.minute.Equal(clock.Now().Truncate(time.Minute)) { // else nothing is given back
						byMinute[c.minute]--
					}
					if c.hour.Equal(clock.Now().Truncate(time.Hour)) {
						byHour[c.hour] -= c.tokens
					}
					return
				}
				used := rapid.Int64Range(0, c.tokens).Draw(r, "used")
				c.hold.Settle(used)
				if c.hour.Equal(clock.Now().Truncate(time.Hour)) {
					byHour[c.hour] += used - c.tokens
				}
			},
			"time": func(r *rapid.T) {
				d := time.Duration(rapid.IntRange(1, 40).Draw(r, "seconds")) * time.Second
				clock.Advance(d)
				elapsed.Add(int64(d))
			},
			"": func(r *rapid.T) {
				for minute, got := range byMinute {
					if got > requests {
						r.Fatalf("%d requests of %d in the minute of %s", got, requests, minute)
					}
				}
				for hour, got := range byHour {
					if got > tokens {
						r.Fatalf("%d tokens of %d in the hour of %s", got, tokens, hour)
					}
				}
			},
		})
		for _, l := range limiters {
			l.Close()
		}
		require.NoError(r, s.View(context.Background(), func(ctx ctx, tx *store.Tx) error {
			return billing.EachClaim(ctx, tx, func(counter string, claimed int64) {
				most := requests
				if counter[len(counter)-len("tokens_per_hour"):] == "tokens_per_hour" {
					most = tokens
				}
				if claimed < 0 || claimed > most {
					r.Fatalf("%d of %d are claimed of %s", claimed, most, counter)
				}
			})
		}))
	})
}

func TestAClockThatIsSetBackGivesNoWindowTwice(t *testing.T) { // billing edge 27
	clock := storetest.NewClock() // noon
	s := storetest.Open(t, "memory", store.Options{Now: clock.Now})
	var elapsed atomic.Int64
	l := newRates(t, s, &billing.LimiterOptions{Nodes: billing.Alone(clock.Now().Add(-48 * time.Hour)), Elapsed: func() time.Duration { return time.Duration(elapsed.Load()) }})
	pass := func(d time.Duration) {
		clock.Advance(d)
		elapsed.Add(int64(d))
	}
	l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerMinute: n(2), RequestsPerHour: n(5)})
	limits := l.on(path1)
	admits := func() (admitted int) {
		for range 10 {
			if _, err := limits.Take(t.Context(), billing.Ask{}); err == nil {
				admitted++
			} else {
				require.True(t, isLimited(err))
			}
		}
		return admitted
	}
	pass(30 * time.Minute)
	require.Equal(t, 2, admits())
	clock.Advance(-time.Hour) // the wall clock alone: it shows 11:30
	require.Zero(t, admits())
	pass(59 * time.Second)
	require.Zero(t, admits(), "the minute is as long as it was")
	pass(time.Second)
	require.Equal(t, 2, admits(), "and the next one comes after it")
	pass(time.Minute)
	require.Equal(t, 1, admits(), "five of the hour, which is the same")
	pass(28 * time.Minute)
	require.Zero(t, admits(), "an hour has passed, but what the wall clock shows is the same one")
	pass(time.Hour - time.Microsecond)
	require.Zero(t, admits())
	pass(time.Microsecond)
	require.Equal(t, 2, admits())
	// A clock that runs slowly lets the window go on until it shows the end.
	clock.Set(time.Date(2024, 3, 5, 14, 59, 59, 0, time.UTC))
	elapsed.Add(int64(3 * time.Hour))
	require.Equal(t, 2, admits())
	elapsed.Add(int64(time.Second))
	clock.Advance(900 * time.Millisecond)
	require.Zero(t, admits())
	pass(100 * time.Millisecond)
	require.Equal(t, 2, admits())
}

// TestWhatLiesIdleGoesBack: a process that claimed more than it uses gives it back after some seconds.
func TestWhatLiesIdleGoesBack(t *testing.T) { // billing edge 35
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open(t, "memory", store.Options{})
		nodes, _ := several(t, s, 2)
		nodes[0].limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(100), MaxParallelRequests: n(10)})
		first := nodes[0].passes(path1, 0)
		var more []*billing.Permit
		for range 4 {
			more = append(more, nodes[0].passes(path1, 0))
		}
		synctest.Wait()
		for _, h := range more {
			h.Settle(0)
		}
		require.Less(t, nodes[1].remaining(t), int64(95), "which the other presumes used")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 95, nodes[1].remaining(t))
		for i := range 9 {
			h := nodes[1].passes(path1, 0)
			if i > 0 {
				defer h.Settle(0)
			}
		}
		require.True(t, nodes[1].refuses(path1, 0).Parallel())
		first.Settle(0)
		admitted := 14
		for _, node := range []rates{nodes[0], nodes[1], nodes[0]} { // and nobody has it twice
			for range 100 {
				if h, err := node.on(path1).Take(t.Context(), billing.Ask{}); err == nil {
					h.Settle(0)
					admitted++
				}
			}
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, 100, admitted)
	})
}

// remaining is what the first measure of the first limit has left.
func (l rates) remaining(t *testing.T) int64 {
	states, err := l.RateLimits(platform(t), "org_1", 0, "")
	require.NoError(t, err)
	return states.Items[0].Rates[0].Remaining
}

func TestADeadProcessFreesItsSlotsByItsFence(t *testing.T) { // F106
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		nodes, _ := several(t, s, 2)
		dead, other := nodes[0], nodes[1]
		dead.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", MaxParallelRequests: n(3)})
		for range 3 {
			dead.passes(path1, 0)
		}
		require.Equal(t, time.Second, other.refuses(path1, 0).RetryAfter)
		fence := func() {
			require.NoError(t, s.Update(t.Context(), func(ctx ctx, tx *store.Tx) error { return other.FreeNode(ctx, tx, "node_0") }))
		}
		fence()
		fence() // and for the second time there is nothing
		clock.Advance(time.Minute)
		for range 3 {
			defer other.passes(path1, 0).Settle(0)
		}
		require.True(t, other.refuses(path1, 0).Parallel())
	})
}

func TestAFencedProcessClaimsAnew(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		live := &atomic.Int64{}
		live.Store(2)
		me := newFleet("node_0", live)
		l := newRates(t, s, &billing.LimiterOptions{Nodes: me})
		l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", MaxParallelRequests: n(3), RequestsPerDay: n(40)})
		zombie := l.passes(path1, 0)
		require.NoError(t, s.Update(t.Context(), func(ctx ctx, tx *store.Tx) error { return l.FreeNode(ctx, tx, "node_0") }))
		name := "node_1"
		me.name.Store(&name)
		l.Fenced()
		for range 2 { // what runs still has its slot
			l.passes(path1, 0)
		}
		require.True(t, l.refuses(path1, 0).Parallel())
		zombie.Settle(0)
		l.passes(path1, 0).Settle(0)
	})
}

func TestWhoIsJoinedByAnotherClaimsBeforeItAdmits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		nodes, live := several(t, s, 2)
		live.Store(1)
		first, second := nodes[0], nodes[1]
		first.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(20), MaxParallelRequests: n(20)})
		for range 10 {
			first.passes(path1, 0)
		}
		live.Store(2)
		first.Recount()
		second.Recount()
		passed := 0
		for _, node := range []rates{first, second, first, second} {
			for range 20 {
				if _, err := node.on(path1).Take(t.Context(), billing.Ask{}); err == nil {
					passed++
				}
			}
		}
		require.Equal(t, 10, passed)
	})
}
