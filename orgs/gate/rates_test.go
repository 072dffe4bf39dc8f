package gate_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// eachClock is each, for tests in which time passes.
func eachClock(t *testing.T, fn func(t *testing.T, s *store.Store, clock *storetest.Clock)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(tuesday)
		fn(t, s, clock)
	})
}

// calls makes a number of calls that pass and end.
func (a acme) calls(t *testing.T, number int, c gate.Call) {
	t.Helper()
	for range number {
		require.NoError(t, a.passes(t, c).Settle(t.Context(), billing.Usage{InputTokens: 10, OutputTokens: 10}))
	}
}

const limitedModels = `{"models": {"rate_limits": {
	"gpt-4-turbo": {"requests_per_day": 100, "requests_per_hour": 20},
	"claude-*": {"tokens_per_minute": 5000}}}}`

func TestRateLimitsOfATeamHoldForTheModelsThatTheyName(t *testing.T) { // F094
	eachClock(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		a := newAcme(t, s, limitedModels, nil)
		opus := a.call("opus") // 2000 tokens at most
		first, second := a.passes(t, opus), a.passes(t, opus)
		require.Equal(t, billing.Measure("tokens_per_minute"), a.refuses(t, opus, "rate_limit_exceeded").Rate.Measure)
		require.NoError(t, first.Settle(t.Context(), billing.Usage{InputTokens: 900, OutputTokens: 50})) // 1050 come back
		a.passes(t, opus)
		require.NoError(t, second.Release(t.Context()))
		a.passes(t, opus)
		a.refuses(t, opus, "rate_limit_exceeded")
		a.calls(t, 30, a.call("gpt-3.5-turbo")) // nothing is said of it
		clock.Advance(time.Minute)
		a.passes(t, opus)
	})
}

func TestThe101stCallOfADayIsRefused(t *testing.T) { // F095
	eachClock(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		a := newAcme(t, s, limitedModels, nil)
		zone := orgs.OrgSettings{Defaults: &orgs.DefaultSettings{Timezone: "America/New_York"}}
		_, err := a.UpdateOrganization(a.Platform(), a.org.ID, orgs.OrganizationUpdate{Settings: &zone})
		require.NoError(t, err)
		turbo := a.call("gpt-4-turbo-preview") // the setting names its alias
		for range 5 {
			a.calls(t, 20, turbo)
			clock.Advance(time.Hour)
		}
		d := a.refuses(t, turbo, "rate_limit_exceeded")
		require.Equal(t, 9*time.Hour, d.RetryAfter) // 20:00 UTC is 15:00 in New York
		require.Equal(t, time.Date(2024, 3, 6, 5, 0, 0, 0, time.UTC), d.ResetAt)
		require.NotEmpty(t, d.LimitID)
		require.NotEmpty(t, d.DecisionID)
		require.NotEmpty(t, d.Remedy)
		require.EqualValues(t, 100, d.Rate.Limit)
		var limited *billing.Limited
		require.ErrorAs(t, d, &limited)
		clock.Advance(d.RetryAfter)
		adm := a.passes(t, turbo)
		require.EqualValues(t, 19, rateOf(t, adm).Remaining, "the hour is nearest to its end")
		require.Equal(t, billing.Measure("requests_per_hour"), rateOf(t, adm).Measure)
	})
}

func TestThe21stCallOfAnHourIsRefusedWhicheverProcessItReaches(t *testing.T) { // F096
	eachClock(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		a := newAcme(t, s, limitedModels, nil)
		other, err := orgs.New(s, &orgs.Options{Catalogue: catalogue(t)})
		require.NoError(t, err)
		gates := []*gate.Gate{a.gate, gate.New(other)}
		admitted := 0
		for range 100 { // until both have used what they have claimed
			for _, g := range gates {
				adm, err := g.Admit(t.Context(), a.call("gpt-4-turbo-preview"))
				if err == nil {
					require.NoError(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 10}))
					admitted++
				}
				clock.Advance(time.Second)
			}
		}
		require.Equal(t, 20, admitted)
		clock.Set(tuesday.Add(time.Hour))
		a.passes(t, a.call("gpt-4-turbo-preview"))
	})
}

func TestThe101stCallOfAMinuteByAKeyIsRefused(t *testing.T) { // F166
	eachClock(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		a := newAcme(t, s, engineering, nil)
		hundred := int64(100)
		k, secret, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "limited", Team: a.eng.ID, InheritTeam: true, User: new(string),
			Restrictions: orgs.KeyRestrictions{MaxRequestsPerMinute: &hundred}})
		require.NoError(t, err)
		c := a.call("gpt-3.5-turbo")
		c.Secret = secret
		clock.Advance(45 * time.Second)
		a.calls(t, 100, c)
		require.Equal(t, 15*time.Second, a.refuses(t, c, "rate_limit_exceeded").RetryAfter)
		a.calls(t, 1, a.call("gpt-3.5-turbo")) // another key
		hundred = 101
		_, err = a.UpdateAPIKey(a.Platform(), k.ID, orgs.KeyUpdate{Restrictions: &orgs.KeyRestrictions{MaxRequestsPerMinute: &hundred}})
		require.NoError(t, err)
		a.calls(t, 1, c)
		a.refuses(t, c, "rate_limit_exceeded")
		clock.Advance(15 * time.Second)
		a.calls(t, 1, c)
	})
}

func TestLimitsOfAnOrganizationHoldForAllBelow(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		two := int64(2)
		above := orgs.OrgSettings{Models: &orgs.ModelSettings{RateLimits: map[string]orgs.RateLimits{"gpt-*": {RequestsPerMinute: &two}}}}
		holding, err := a.CreateOrganization(a.Platform(), orgs.NewOrganization{Name: "Holding", Settings: above})
		require.NoError(t, err)
		_, err = a.MoveOrganization(a.Platform(), a.org.ID, holding.ID)
		require.NoError(t, err)
		a.calls(t, 2, a.call("gpt-3.5-turbo"))
		require.Equal(t, holding.ID, a.refuses(t, a.call("gpt-4-turbo"), "rate_limit_exceeded").Rate.ScopeID)
		a.calls(t, 1, a.call("opus"))
	})
}

func TestFreeModelsSkipMoneyAndNotRates(t *testing.T) { // billing edge 22
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"monthly_limit": 0, "hard_limit": true}, "models": {"rate_limits": {"dall-e-3": {"requests_per_day": 2}}}}`, nil)
		a.calls(t, 2, a.call("painter"))
		a.refuses(t, a.call("dall-e-3"), "rate_limit_exceeded")
	})
}

func TestWhatIsRefusedElsewhereIsNoRequest(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"monthly_limit": 0.01, "hard_limit": true}, "models": {"blocked": ["gpt-4-32k"], "rate_limits": {"*": {"requests_per_day": 2, "tokens_per_day": 8192}}},
			"resources": {"max_parallel_requests": 1}}`, nil)
		for range 5 {
			d := a.refuses(t, a.call("gpt-4-turbo"), "budget_exceeded") // 0.04: money comes after rates
			require.EqualValues(t, 2, d.Rate.Limit)
			a.refuses(t, a.call("gpt-4-32k"), "model_not_allowed")
			bad := a.call("gpt-3.5-turbo")
			bad.InputTokens = -1
			a.refuses(t, bad, "invalid_request")
		}
		a.calls(t, 2, a.call("gpt-3.5-turbo"))
		a.refuses(t, a.call("gpt-3.5-turbo"), "rate_limit_exceeded")
	})
}

const fifty = `{"resources": {"max_parallel_requests": 50}}`

func TestThe51stCallAtOnceIsRefused(t *testing.T) { // F106
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, fifty, nil)
		var running []*gate.Admission
		for range 50 {
			running = append(running, a.passes(t, a.call("gpt-3.5-turbo")))
		}
		d := a.refuses(t, a.call("gpt-3.5-turbo"), "concurrency_limit")
		require.Equal(t, time.Second, d.RetryAfter)
		require.True(t, d.ResetAt.IsZero())
		// Each way in which a call ends frees its slot, once.
		require.NoError(t, running[0].Settle(t.Context(), billing.Usage{InputTokens: 10}))
		require.NoError(t, running[0].Release(t.Context()))
		require.NoError(t, running[1].Release(t.Context()))
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, running[2].Settle(gone, billing.Usage{InputTokens: 10}))
		_, err := a.gate.Admit(gone, a.call("gpt-3.5-turbo"))
		require.Error(t, err)
		for range 3 {
			a.passes(t, a.call("gpt-3.5-turbo"))
		}
		a.refuses(t, a.call("gpt-3.5-turbo"), "concurrency_limit")
		require.ErrorIs(t, running[3].Settle(t.Context(), billing.Usage{InputTokens: -1}), store.ErrInvalid)
		a.refuses(t, a.call("gpt-3.5-turbo"), "concurrency_limit") // it runs still
	})
}

func scopeOf(t *testing.T, d *gate.Denied) string {
	var limited *billing.Limited
	require.ErrorAs(t, d, &limited)
	return limited.ScopeID
}

// waiting is how many calls wait for slots of the organization.
func (a acme) waiting(t *testing.T) (waiting int) {
	limits, err := a.RateLimits(a.Platform(), a.org.ID, 0, "")
	require.NoError(t, err)
	for _, l := range limits.Items {
		for _, r := range l.Rates {
			waiting += r.Waiting
		}
	}
	return waiting
}

// waits admits a call in the background, says when it is served, and is done when the call has ended.
func (a acme) waits(t *testing.T, ended *sync.WaitGroup, c gate.Call, name string, served chan<- string) {
	c.MaxWait = time.Minute
	ended.Go(func() {
		adm, err := a.gate.Admit(t.Context(), c)
		if err != nil {
			served <- err.Error()
			return
		}
		served <- name
		_ = adm.Settle(t.Context(), billing.Usage{InputTokens: 10})
	})
}

func TestCallsOfATeamWithPriorityAreServedFirst(t *testing.T) { // F107
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"resources": {"priority_queue": true}}`, nil)
		one := int64(1)
		_, err := a.SetRateLimit(a.Platform(), billing.RateLimit{OrgID: a.org.ID, Scope: billing.ScopeOrg, ScopeID: a.org.ID, MaxParallelRequests: &one})
		require.NoError(t, err)
		plain := a
		plain.eng = a.Team(a.org, "plain", orgs.TeamSettings{})
		plain.key = a.Key(plain.eng, a.Join(plain.eng, "carol@acme.com", "developer"))

		running := plain.passes(t, plain.call("gpt-3.5-turbo"))
		require.Zero(t, running.Priority)
		served := make(chan string, 4)
		var ended sync.WaitGroup
		urgent := plain.call("gpt-3.5-turbo")
		two := 2
		urgent.Priority = &two // the caller gives another
		for i, wait := range []func(){
			func() { plain.waits(t, &ended, plain.call("gpt-3.5-turbo"), "plain", served) },
			func() { plain.waits(t, &ended, plain.call("gpt-3.5-turbo"), "plain too", served) },
			func() { a.waits(t, &ended, a.call("gpt-3.5-turbo"), "priority", served) },
			func() { plain.waits(t, &ended, urgent, "urgent", served) },
		} {
			wait()
			require.Eventually(t, func() bool { return a.waiting(t) == i+1 }, 20*time.Second, time.Millisecond)
		}
		require.NoError(t, running.Settle(t.Context(), billing.Usage{InputTokens: 10}))
		for _, name := range []string{"urgent", "priority", "plain", "plain too"} {
			require.Equal(t, name, <-served)
		}
		ended.Wait()
		require.Equal(t, 1, a.passes(t, a.call("gpt-3.5-turbo")).Priority)
	})
}

func TestDedicatedCapacityTakesNothingOfWhatIsShared(t *testing.T) { // F108
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"resources": {"dedicated_capacity": true, "max_parallel_requests": 2}}`, nil)
		one := int64(1)
		_, err := a.SetRateLimit(a.Platform(), billing.RateLimit{OrgID: a.org.ID, Scope: billing.ScopeOrg, ScopeID: a.org.ID, MaxParallelRequests: &one})
		require.NoError(t, err)
		plain := a
		plain.eng = a.Team(a.org, "plain", orgs.TeamSettings{})
		plain.key = a.Key(plain.eng, a.Join(plain.eng, "carol@acme.com", "developer"))
		for range 2 {
			require.Equal(t, a.eng.ID, a.passes(t, a.call("gpt-3.5-turbo")).Pool)
		}
		require.Empty(t, plain.passes(t, plain.call("gpt-3.5-turbo")).Pool, "the shared slot is there")
		require.Equal(t, a.eng.ID, scopeOf(t, a.refuses(t, a.call("gpt-3.5-turbo"), "concurrency_limit")))
		require.Equal(t, a.org.ID, scopeOf(t, plain.refuses(t, plain.call("gpt-3.5-turbo"), "concurrency_limit")))
	})
}

func TestRefusalsByRatesAreTold(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"models": {"rate_limits": {"*": {"requests_per_minute": 0}}}}`, quiet())
		a.record(t, "denied")
		a.refuses(t, a.call("gpt-3.5-turbo"), "rate_limit_exceeded")
		require.NoError(t, a.Audit().Flush(t.Context()))
		log, err := a.AuditLog(a.Platform(), a.org.ID, audit.Filter{Types: []string{"authorization.denied"}})
		require.NoError(t, err)
		require.Len(t, log.Items, 1)
		require.Contains(t, string(log.Items[0].Data), "rate_limit_exceeded")
	})
}
