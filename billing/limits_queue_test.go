package billing_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// queued runs a test in a bubble of time, with so many slots of the team.
func queued(t *testing.T, slots int64, o *billing.LimiterOptions, fn func(t *testing.T, l rates)) {
	synctest.Test(t, func(t *testing.T) {
		if o == nil {
			o = &billing.LimiterOptions{}
		}
		l := newRates(t, storetest.Open(t, "memory", store.Options{}), o)
		l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", MaxParallelRequests: &slots})
		fn(t, l)
	})
}

// order notes in which order calls get their slots; each has it for a second.
type order struct {
	mu    sync.Mutex
	names []string
}

func (o *order) call(t *testing.T, limits *billing.Limits, name string, ask billing.Ask) {
	h, err := limits.Take(t.Context(), ask)
	if err != nil {
		name = "no " + name
	}
	o.mu.Lock()
	o.names = append(o.names, name)
	o.mu.Unlock()
	if err == nil {
		time.Sleep(time.Second)
		h.Settle(0)
	}
}

// of is the order after a minute.
func (o *order) of() []string {
	time.Sleep(time.Minute)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.names
}

func TestWhoWaitsIsServedByPriorityAndThenInOrder(t *testing.T) { // F107
	queued(t, 1, nil, func(t *testing.T, l rates) {
		limits, served := l.on(path1), order{}
		for _, c := range []struct {
			name     string
			priority int
		}{{"running", 0}, {"a", 0}, {"b", 0}, {"urgent", 5}, {"c", 0}, {"high", 1}, {"higher", 1}, {"low", -1}} {
			go served.call(t, limits, c.name, billing.Ask{MaxWait: time.Minute, Priority: c.priority})
			synctest.Wait()
		}
		go served.call(t, limits, "impatient", billing.Ask{Priority: 9})
		synctest.Wait()
		require.Equal(t, []string{"running", "no impatient", "urgent", "high", "higher", "a", "b", "c", "low"}, served.of())
	})
}

// All who wait look for a slot at the very moment at which one comes free.
func TestNobodyLosesHisPlaceWhileAllLook(t *testing.T) {
	queued(t, 1, nil, func(t *testing.T, l rates) {
		limits, served := l.on(path1), order{}
		var want []string
		for i := range 200 {
			name := fmt.Sprint(i)
			want = append(want, name)
			go served.call(t, limits, name, billing.Ask{MaxWait: time.Hour})
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		require.Equal(t, want, served.of())
	})
}

func TestAFreedSlotGoesToTheFirstAndNobodyOvertakes(t *testing.T) {
	queued(t, 2, nil, func(t *testing.T, l rates) {
		first, second := l.passes(path1, 0), l.passes(path1, 0)
		got := make(chan time.Duration, 1)
		began := time.Now()
		go func() {
			h, err := l.on(path1).Take(t.Context(), billing.Ask{MaxWait: time.Minute})
			if err == nil {
				got <- time.Since(began)
				defer h.Settle(0)
				time.Sleep(time.Second)
			}
		}()
		synctest.Wait()
		time.Sleep(10 * time.Second)
		first.Settle(0)
		require.True(t, l.refuses(path1, 0).Parallel(), "the slot is somebody else's already")
		require.Equal(t, 10*time.Second, <-got, "who had it the moment it was free")
		second.Settle(0)
		second.Settle(0) // frees nothing more
		l.passes(path1, 0).Settle(0)
		time.Sleep(time.Minute)
	})
}

func TestWhoGivesUpLeavesTheQueueAtOnce(t *testing.T) {
	queued(t, 1, nil, func(t *testing.T, l rates) {
		running := l.passes(path1, 0)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		wait := func(ctx context.Context, most time.Duration) {
			_, err := l.on(path1).Take(ctx, billing.Ask{MaxWait: most})
			ended <- err
		}
		began := time.Now()
		go wait(ctx, time.Hour)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.Zero(t, time.Since(began))

		wait(t.Context(), 3*time.Second)
		require.True(t, isLimited(<-ended))
		require.Equal(t, 3*time.Second, time.Since(began))
		running.Settle(0)
		l.passes(path1, 0).Settle(0) // nobody waits any more, and nothing is lost
	})
}

func TestAFullQueueRefusesTheLastInOrder(t *testing.T) {
	queued(t, 1, &billing.LimiterOptions{MaxWaiting: 2}, func(t *testing.T, l rates) {
		limits, served := l.on(path1), order{}
		for _, c := range []struct {
			name     string
			priority int
		}{{"running", 0}, {"a", 0}, {"b", 0}, {"c", 0}, {"urgent", 1}} {
			go served.call(t, limits, c.name, billing.Ask{MaxWait: time.Minute, Priority: c.priority})
			synctest.Wait()
		}
		require.Equal(t, []string{"running", "no c", "no b", "urgent", "a"}, served.of())
	})
}

func TestWaitingTakesNothingOfOtherLimits(t *testing.T) {
	queued(t, 1, nil, func(t *testing.T, l rates) {
		l.limit(billing.RateLimit{Scope: billing.ScopeOrg, ScopeID: "org_1", RequestsPerMinute: n(2), MaxParallelRequests: n(2)})
		other := path1
		other.TeamID = "team_2"
		running := l.passes(path1, 0)
		ended := make(chan error, 1)
		go func() {
			_, err := l.on(path1).Take(t.Context(), billing.Ask{MaxWait: time.Hour})
			ended <- err
		}()
		synctest.Wait()
		taken := l.passes(other, 0) // the second request of the minute, and slot of the organization
		running.Settle(0)
		require.True(t, isLimited(<-ended), "the minute is used up, and waiting for a slot does not help")
		time.Sleep(time.Minute)
		l.passes(path1, 0)
		go func() {
			h, err := l.on(path1).Take(t.Context(), billing.Ask{MaxWait: time.Hour})
			h.Settle(0)
			ended <- err
		}()
		synctest.Wait()
		taken.Settle(0)
		synctest.Wait()
		require.Empty(t, ended, "it waits for the team's slot")
	})
}

func TestDedicatedCapacityAndTheSharedPoolLeaveEachOtherAlone(t *testing.T) { // F108
	queued(t, 2, nil, func(t *testing.T, l rates) {
		l.limit(billing.RateLimit{Scope: billing.ScopeOrg, ScopeID: "org_1", MaxParallelRequests: n(3)})
		var own *billing.Limits
		require.NoError(t, l.store.View(t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
			own, err = l.Limits(ctx, tx, path1, true)
			return err
		}))
		other := path1
		other.TeamID = "team_2"
		for range 3 {
			l.passes(other, 0)
		}
		require.Equal(t, billing.ScopeOrg, l.refuses(other, 0).Scope)
		for range 2 {
			_, err := own.Take(t.Context(), billing.Ask{})
			require.NoError(t, err)
		}
		_, err := own.Take(t.Context(), billing.Ask{})
		var full *billing.Limited
		require.ErrorAs(t, err, &full)
		require.Equal(t, billing.ScopeTeam, full.Scope)
	})
}

func TestWhoWaitsHearsOfSlotsThatAnotherProcessFrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open(t, "memory", store.Options{})
		nodes, _ := several(t, s, 2)
		nodes[0].limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", MaxParallelRequests: n(2)})
		theirs := []*billing.Permit{nodes[0].passes(path1, 0), nodes[0].passes(path1, 0)}
		got := make(chan time.Time, 1)
		go func() {
			h, err := nodes[1].on(path1).Take(t.Context(), billing.Ask{MaxWait: time.Minute})
			if err == nil {
				got <- time.Now()
				h.Settle(0)
			}
		}()
		time.Sleep(5 * time.Second)
		freed := time.Now()
		theirs[0].Settle(0)
		require.WithinDuration(t, freed, <-got, 3*time.Second, "once the other has given it back")
		theirs[1].Settle(0)
	})
}

// TestPriorityWaitsATenthAtTwiceTheLoadThatFits has twice as many calls come as the slots can do, a fifth of them
// with priority.
func TestPriorityWaitsATenthAtTwiceTheLoadThatFits(t *testing.T) { // F107
	queued(t, 10, nil, func(t *testing.T, l rates) {
		limits := l.on(path1)
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		var all sync.WaitGroup
		waits := map[int][]time.Duration{}
		for i := range 4000 { // a slot does ten a second: ten of them a hundred, and there come two hundred
			priority := 0
			if i%5 == 0 {
				priority = 1
			}
			busy := time.Duration(50+random.IntN(100)) * time.Millisecond
			all.Go(func() {
				began := time.Now()
				h, err := limits.Take(t.Context(), billing.Ask{MaxWait: 5 * time.Second, Priority: priority})
				mu.Lock()
				waits[priority] = append(waits[priority], time.Since(began))
				mu.Unlock()
				if err == nil {
					time.Sleep(busy)
					h.Settle(0)
				} else if priority == 1 {
					t.Error(err)
				}
			})
			time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
		}
		all.Wait()
		p99 := func(priority int) time.Duration {
			slices.Sort(waits[priority])
			return waits[priority][len(waits[priority])*99/100]
		}
		t.Logf("p99 of priority %s, of others %s", p99(1), p99(0))
		require.Less(t, 10*p99(1), p99(0))
	})
}
