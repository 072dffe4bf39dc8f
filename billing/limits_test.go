package billing_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// rates is a limiter over limits of organization org_1, whose zone is New York.
type rates struct {
	*billing.Limiter
	t     *testing.T
	store *store.Store
	guard *rbac.Guard
}

// newRates returns a limiter of the nodes; the organization is there once.
func newRates(t *testing.T, s *store.Store, o *billing.LimiterOptions) rates {
	g, err := rbac.NewGuard(s, &rbac.Options{Audit: audit.Options{NoBackground: true}})
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
		scope := rbac.Scope{Zone: "America/New_York", State: rbac.Active}
		scope.ID = "org_1"
		_, err := rbac.Scopes.InsertNew(ctx, tx, &scope)
		for _, id := range []string{"team_1", "proj_1"} {
			part := rbac.Restriction{OrgID: "org_1", State: rbac.Active}
			part.ID = id
			if _, err := rbac.Restrictions.InsertNew(ctx, tx, &part); err != nil {
				return err
			}
		}
		return err
	}))
	l := billing.NewLimiter(s, g, o)
	t.Cleanup(l.Close)
	return rates{l, t, s, g}
}

// eachRates runs a test on every store, for a process that knows of no other and for one that is alone.
func eachRates(t *testing.T, fn func(t *testing.T, l rates, clock *storetest.Clock)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		t.Run("several", func(t *testing.T) { fn(t, newRates(t, s, nil), clock) })
	})
	for _, name := range []string{"memory", "sqlite"} {
		t.Run(name+"/alone", func(t *testing.T) {
			clock := storetest.NewClock()
			s := storetest.Open(t, name, store.Options{Now: clock.Now})
			fn(t, newRates(t, s, &billing.LimiterOptions{Nodes: billing.Alone(clock.Now().Add(-48 * time.Hour))}), clock)
		})
	}
}

func platform(t testing.TB) context.Context {
	return audit.WithActor(t.Context(), audit.PlatformAdmin())
}

func n(n int64) *int64 { return &n }

func (l rates) limit(r billing.RateLimit) billing.RateLimit {
	l.t.Helper()
	if r.Scope != billing.ScopeUser {
		r.OrgID = "org_1"
	}
	r, err := l.SetRateLimit(platform(l.t), r)
	require.NoError(l.t, err)
	return r
}

var path1 = billing.Path{OrgID: "org_1", TeamID: "team_1", ProjectID: "proj_1", UserID: "usr_1", KeyID: "key_1", Model: "gpt-4"}

func (l rates) on(p billing.Path) *billing.Limits {
	l.t.Helper()
	var limits *billing.Limits
	require.NoError(l.t, l.store.View(l.t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
		limits, err = l.Limits(ctx, tx, p, false)
		return err
	}))
	return limits
}

func (l rates) passes(p billing.Path, tokens int64) *billing.Permit {
	l.t.Helper()
	h, err := l.on(p).Take(l.t.Context(), billing.Ask{Tokens: tokens})
	require.NoError(l.t, err)
	return &h
}

func (l rates) refuses(p billing.Path, tokens int64) *billing.Limited {
	l.t.Helper()
	_, err := l.on(p).Take(l.t.Context(), billing.Ask{Tokens: tokens})
	var limited *billing.Limited
	require.ErrorAs(l.t, err, &limited)
	require.ErrorIs(l.t, err, billing.ErrLimited)
	return limited
}

func TestOneMoreThanTheLimitIsRefusedUntilItsWindowEnds(t *testing.T) { // F095, F096
	eachRates(t, func(t *testing.T, l rates, clock *storetest.Clock) {
		clock.Set(time.Date(2024, 3, 5, 22, 30, 20, 0, time.UTC)) // 17:30 in New York
		l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", Model: "gpt-4*", RequestsPerDay: n(100), RequestsPerHour: n(60)})
		for range 60 {
			l.passes(path1, 0).Settle(10)
		}
		full := l.refuses(path1, 0)
		require.Equal(t, billing.Measure("requests_per_hour"), full.Measure)
		require.Equal(t, 29*time.Minute+40*time.Second, full.RetryAfter)
		require.Equal(t, time.Date(2024, 3, 5, 23, 0, 0, 0, time.UTC), full.ResetAt)
		require.EqualValues(t, 60, full.Limit)
		require.Zero(t, full.Remaining)
		require.False(t, full.Parallel())

		clock.Advance(full.RetryAfter)
		for range 40 {
			l.passes(path1, 0)
		}
		full = l.refuses(path1, 0) // 20 of the hour are left
		require.Equal(t, billing.Measure("requests_per_day"), full.Measure)
		require.Equal(t, time.Date(2024, 3, 6, 5, 0, 0, 0, time.UTC), full.ResetAt, "midnight in New York")
		other := path1
		other.Model = "gpt-3"
		l.passes(other, 0)

		clock.Advance(full.RetryAfter - time.Microsecond)
		l.refuses(path1, 0)
		clock.Advance(time.Microsecond)
		l.passes(path1, 0)
	})
}

func TestEveryLimitOfAPathHolds(t *testing.T) {
	member := func(team string) billing.RateLimit {
		return billing.RateLimit{Scope: billing.ScopeMember, ScopeID: "usr_1", TeamID: team}
	}
	for name, r := range map[string]billing.RateLimit{
		"key": {Scope: billing.ScopeKey, ScopeID: "key_1"}, "user": {Scope: billing.ScopeUser, ScopeID: "usr_1"},
		"member of the team": member("team_1"), "member of the organization": member(""),
		"project": {Scope: billing.ScopeProject, ScopeID: "proj_1"}, "team": {Scope: billing.ScopeTeam, ScopeID: "team_1"},
		"organization": {Scope: billing.ScopeOrg, ScopeID: "org_1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newRates(t, storetest.Open(t, "memory", store.Options{}), nil)
			r.RequestsPerDay = n(0)
			r = l.limit(r)
			full := l.refuses(path1, 0)
			require.Equal(t, []any{r.ID, r.Scope, r.ScopeID}, []any{full.LimitID, full.Scope, full.ScopeID})
			elsewhere := billing.Path{OrgID: "org_2", TeamID: "team_2", ProjectID: "proj_2", UserID: "usr_2", KeyID: "key_2", Model: "gpt-4"}
			l.passes(elsewhere, 0)
			require.NoError(t, l.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
				return l.DropRateLimits(ctx, tx, r.OrgID, r.ScopeID)
			}))
			l.passes(path1, 0)
		})
	}
}

func TestTokensAreTakenAtTheirUpperBoundAndSettledToTheRealCount(t *testing.T) {
	eachRates(t, func(t *testing.T, l rates, clock *storetest.Clock) {
		l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", TokensPerMinute: n(1000), RequestsPerMinute: n(5)})
		first := l.passes(path1, 900)
		full := l.refuses(path1, 200)
		require.Equal(t, []any{billing.Measure("tokens_per_minute"), int64(100)}, []any{full.Measure, full.Remaining})
		first.Settle(300)
		first.Settle(0) // does nothing any more
		first.Cancel()
		second := l.passes(path1, 200)
		second.Cancel() // was never made: not even a request
		third := l.passes(path1, 600)
		third.Release()                 // made, without tokens
		l.passes(path1, 10).Settle(900) // more than it said: it counts all the same
		require.Zero(t, l.refuses(path1, 1).Remaining)
		l.passes(path1, 0)
		l.passes(path1, 0) // the fifth request
		require.Equal(t, billing.Measure("requests_per_minute"), l.refuses(path1, 0).Measure)

		clock.Advance(time.Minute)
		last := l.passes(path1, 1000)
		clock.Advance(time.Minute)
		next := l.passes(path1, 400)
		last.Settle(0) // of a window that is over
		require.EqualValues(t, 600, l.refuses(path1, 601).Remaining)
		next.Cancel()
		l.passes(path1, 1000)
	})
}

func TestWhatIsRefusedByOneLimitIsTakenFromNone(t *testing.T) {
	eachRates(t, func(t *testing.T, l rates, _ *storetest.Clock) {
		l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerMinute: n(3)})
		l.limit(billing.RateLimit{Scope: billing.ScopeOrg, ScopeID: "org_1", TokensPerDay: n(10)})
		for range 10 {
			l.refuses(path1, 11)
		}
		for range 3 {
			l.passes(path1, 1)
		}
		l.refuses(path1, 1)
	})
}

func TestConcurrentCallsGetExactlyTheLimit(t *testing.T) {
	eachRates(t, func(t *testing.T, l rates, _ *storetest.Clock) {
		l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(100)})
		l.limit(billing.RateLimit{Scope: billing.ScopeOrg, ScopeID: "org_1", RequestsPerDay: n(1000), TokensPerDay: n(1_000_000)})
		limits := l.on(path1)
		var passed atomic.Int64
		var all sync.WaitGroup
		for range 300 {
			all.Go(func() {
				if h, err := limits.Take(t.Context(), billing.Ask{Tokens: 7}); err == nil {
					h.Settle(5)
					passed.Add(1)
				} else if !isLimited(err) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 100, passed.Load())
	})
}

func isLimited(err error) bool { return err != nil && errors.Is(err, billing.ErrLimited) }

func TestAChangedLimitCountsFromTheNextCallOn(t *testing.T) { // billing edges 36, 37, 39
	eachRates(t, func(t *testing.T, l rates, clock *storetest.Clock) {
		r := billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(10)}
		r = l.limit(r)
		for range 10 {
			l.passes(path1, 0)
		}
		l.refuses(path1, 0)
		r.RequestsPerDay = n(12) // raised: those who were refused hear of it at once
		l.limit(r)
		l.passes(path1, 0)
		r.RequestsPerDay = n(5) // lowered below what was taken
		l.limit(r)
		require.Zero(t, l.refuses(path1, 0).Remaining)
		_, err := l.DeleteRateLimit(platform(t), "org_1", r.ID)
		require.NoError(t, err)
		l.passes(path1, 0)
		clock.Advance(time.Second)
		r.RequestsPerDay = n(12) // what was taken stays taken
		require.Equal(t, r.ID, l.limit(r).ID)
		l.passes(path1, 0)
		l.refuses(path1, 0)
	})
}

func TestARestartedProcessGoesOnInTheWindow(t *testing.T) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			clock := storetest.NewClock()
			s := storetest.Open(t, name, store.Options{Now: clock.Now})
			start := func() rates { return newRates(t, s, &billing.LimiterOptions{Nodes: billing.Alone(clock.Now())}) }
			first := start()
			first.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(100)})
			for range 60 {
				first.passes(path1, 0)
			}
			first.Settled()
			first.Close()
			first.Settled()
			clock.Advance(time.Minute)
			second := start()
			for range 40 {
				second.passes(path1, 0)
			}
			require.Zero(t, second.refuses(path1, 0).Remaining)
		})
	}
}

func TestPathsWithTheSameLimitsShareWhatIsFoundOfThem(t *testing.T) {
	eachRates(t, func(t *testing.T, l rates, clock *storetest.Clock) {
		team := l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(10)})
		other := path1
		other.KeyID, other.UserID = "key_2", "usr_2"
		require.Same(t, l.on(path1), l.on(other))

		l.limit(billing.RateLimit{Scope: billing.ScopeKey, ScopeID: "key_2", RequestsPerDay: n(1)})
		require.NotSame(t, l.on(path1), l.on(other))
		l.passes(other, 0)
		l.refuses(other, 0)
		for range 9 {
			l.passes(path1, 0)
		}
		l.refuses(path1, 0)

		// What a unit finds that has not committed it is its own, even where another one commits the same version later.
		before := l.on(path1)
		undone := errors.New("undone")
		require.ErrorIs(t, l.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
			r := team
			r.RequestsPerDay = n(1000)
			if _, err := l.SetRateLimit(audit.WithActor(ctx, audit.PlatformAdmin()), r); err != nil {
				return err
			}
			inside, err := l.Limits(ctx, tx, path1, false)
			require.NotSame(t, before, inside)
			return errors.Join(err, undone)
		}), undone)
		require.Same(t, before, l.on(path1))
		team.RequestsPerDay = n(11)
		l.limit(team)
		l.passes(path1, 0)
		l.refuses(path1, 0)
	})
}

func TestOnlyWhatIsCommittedLimits(t *testing.T) {
	l := newRates(t, storetest.Open(t, "memory", store.Options{}), nil)
	r := l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: n(10)})
	l.passes(path1, 0)
	limits := l.on(path1)
	undone := errors.New("undone")
	err := l.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
		r.RequestsPerDay = n(0)
		if _, err := l.SetRateLimit(audit.WithActor(ctx, audit.PlatformAdmin()), r); err != nil {
			return err
		}
		if _, err := l.Limits(ctx, tx, path1, false); err != nil {
			return err
		}
		return undone
	})
	require.ErrorIs(t, err, undone)
	_, err = limits.Take(t.Context(), billing.Ask{})
	require.NoError(t, err)

	// Who reads an older state than others have read does not bring it back.
	require.NoError(t, l.store.View(t.Context(), func(ctx ctx, tx *store.Tx) error {
		if _, err := l.Limits(ctx, tx, path1, false); err != nil { // which fixes what is seen
			return err
		}
		r.RequestsPerDay = n(0)
		l.limit(r)
		l.refuses(path1, 0)
		_, err := l.Limits(ctx, tx, path1, false)
		return err
	}))
	_, err = limits.Take(t.Context(), billing.Ask{})
	require.True(t, isLimited(err))
}

func TestInputIsCountedByItself(t *testing.T) { // F412
	eachRates(t, func(t *testing.T, l rates, clock *storetest.Clock) {
		l.limit(billing.RateLimit{Scope: billing.ScopeTeam, ScopeID: "team_1", InputTokensPerMinute: n(100), InputTokensPerDay: n(150)})
		take := func(tokens, input int64) (*billing.Permit, error) {
			h, err := l.on(path1).Take(t.Context(), billing.Ask{Tokens: tokens, Input: input})
			return &h, err
		}
		first, err := take(5000, 80)
		require.NoError(t, err, "what comes out is not limited")
		var full *billing.Limited
		_, err = take(21, 21)
		require.ErrorAs(t, err, &full)
		require.Equal(t, []any{billing.Measure("input_tokens_per_minute"), int64(100), int64(20)}, []any{full.Measure, full.Limit, full.Remaining})
		first.SettleInput(9000, 50)
		second, err := take(21, 50)
		require.NoError(t, err, "thirty have come back")
		second.SettleInput(50, 50)
		_, err = take(1, 1)
		require.ErrorAs(t, err, &full)
		clock.Advance(time.Minute)
		_, err = take(51, 51)
		require.ErrorAs(t, err, &full)
		require.Equal(t, billing.Measure("input_tokens_per_day"), full.Measure)
		_, err = take(50, 50)
		require.NoError(t, err)
	})
}
