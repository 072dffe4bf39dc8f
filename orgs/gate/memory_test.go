package gate_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestEveryChangeCountsForTheNextCall changes what an admission rests on, of whatever owner, and looks at the call
// that follows, by the secret and by a key that was looked up before.
func TestEveryChangeCountsForTheNextCall(t *testing.T) {
	suspended, active := rbac.Suspended, rbac.Active
	none := int64(0)
	for name, step := range map[string]struct {
		change, back func(t *testing.T, a acme, k orgs.APIKey)
		code         string
	}{
		"the person is suspended": {
			func(t *testing.T, a acme, _ orgs.APIKey) {
				_, err := a.UpdateUser(a.Platform(), a.dev.ID, orgs.UserUpdate{Status: &suspended})
				require.NoError(t, err)
			}, func(t *testing.T, a acme, _ orgs.APIKey) {
				_, err := a.UpdateUser(a.Platform(), a.dev.ID, orgs.UserUpdate{Status: &active})
				require.NoError(t, err)
			}, "invalid_api_key"},
		"the key is disabled": {
			func(t *testing.T, a acme, k orgs.APIKey) {
				_, err := a.DisableAPIKey(a.Platform(), k.ID, "")
				require.NoError(t, err)
			}, func(t *testing.T, a acme, k orgs.APIKey) {
				_, err := a.EnableAPIKey(a.Platform(), k.ID, "")
				require.NoError(t, err)
			}, "invalid_api_key"},
		"the organization is suspended": {
			func(t *testing.T, a acme, _ orgs.APIKey) {
				_, err := a.SuspendOrganization(a.Platform(), a.org.ID, "")
				require.NoError(t, err)
			}, func(t *testing.T, a acme, _ orgs.APIKey) {
				_, err := a.ResumeOrganization(a.Platform(), a.org.ID, "")
				require.NoError(t, err)
			}, "org_suspended"},
		"the team is archived": {
			func(t *testing.T, a acme, _ orgs.APIKey) {
				_, err := a.ArchiveTeam(a.Platform(), a.eng.ID)
				require.NoError(t, err)
			}, func(t *testing.T, a acme, _ orgs.APIKey) {
				_, err := a.UnarchiveTeam(a.Platform(), a.eng.ID)
				require.NoError(t, err)
			}, "team_archived"},
		"the team requires a project": {
			func(t *testing.T, a acme, _ orgs.APIKey) {
				_, err := a.UpdateTeam(a.Platform(), a.eng.ID, set(settings(t, `{"budget": {"require_project_tag": true}}`)))
				require.NoError(t, err)
			}, func(t *testing.T, a acme, _ orgs.APIKey) {
				_, err := a.UpdateTeam(a.Platform(), a.eng.ID, set(settings(t, engineering)))
				require.NoError(t, err)
			}, "missing_tags"},
		"the organization requires a tag": {
			func(t *testing.T, a acme, _ orgs.APIKey) { a.requires(t, "environment") },
			func(t *testing.T, a acme, _ orgs.APIKey) { a.requires(t) }, "missing_tags"},
		"the platform limits the person everywhere": {
			func(t *testing.T, a acme, _ orgs.APIKey) {
				_, err := a.SetRateLimit(a.Platform(), billing.RateLimit{Scope: billing.ScopeUser, ScopeID: a.dev.ID, MaxParallelRequests: &none})
				require.NoError(t, err)
			}, func(t *testing.T, a acme, _ orgs.APIKey) {
				plenty := int64(100)
				_, err := a.SetRateLimit(a.Platform(), billing.RateLimit{Scope: billing.ScopeUser, ScopeID: a.dev.ID, MaxParallelRequests: &plenty})
				require.NoError(t, err)
			}, "concurrency_limit"},
		"a limit of the key is set": {
			func(t *testing.T, a acme, k orgs.APIKey) {
				_, err := a.SetRateLimit(a.Platform(), billing.RateLimit{OrgID: a.org.ID, Scope: billing.ScopeKey, ScopeID: k.ID, RequestsPerHour: &none})
				require.NoError(t, err)
			}, func(t *testing.T, a acme, k orgs.APIKey) {
				limits, err := a.RateLimits(a.Platform(), a.org.ID, 0, "")
				require.NoError(t, err)
				_, err = a.DeleteRateLimit(a.Platform(), a.org.ID, limits.Items[0].ID)
				require.NoError(t, err)
			}, "rate_limit_exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *store.Store) {
				a := newAcme(t, s, engineering, nil)
				keys, err := a.APIKeys(a.Platform(), orgs.Place{OrgID: a.org.ID, TeamID: a.eng.ID}, orgs.KeyFilter{})
				require.NoError(t, err)
				known, err := a.gate.Key(t.Context(), a.key)
				require.NoError(t, err)
				byKey := a.call("gpt-3.5-turbo")
				byKey.Secret, byKey.Key = "", known
				for range 2 {
					for _, c := range []gate.Call{byKey, a.call("gpt-3.5-turbo")} {
						require.NoError(t, a.passes(t, c).Release(t.Context()))
					}
					step.change(t, a, keys.Items[0])
					a.refuses(t, byKey, step.code)
					a.refuses(t, a.call("gpt-3.5-turbo"), step.code)
					step.back(t, a, keys.Items[0])
				}
				require.NoError(t, a.passes(t, byKey).Release(t.Context()))
			})
		})
	}
}

func TestTimeAloneEndsAKeyInMemory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(tuesday)
		a := newAcme(t, s, engineering, nil)
		keys, err := a.APIKeys(a.Platform(), orgs.Place{OrgID: a.org.ID, TeamID: a.eng.ID}, orgs.KeyFilter{})
		require.NoError(t, err)
		old := a.call("gpt-3.5-turbo")
		_, secret, err := a.RotateAPIKey(a.Platform(), keys.Items[0].ID, time.Hour)
		require.NoError(t, err)
		ends := tuesday.Add(2 * time.Hour)
		_, err = a.UpdateAPIKey(a.Platform(), keys.Items[0].ID, orgs.KeyUpdate{ExpiresAt: &ends})
		require.NoError(t, err)
		renewed := old
		renewed.Secret = secret
		a.passes(t, old)
		a.passes(t, renewed)
		clock.Set(tuesday.Add(time.Hour))
		a.refuses(t, old, "invalid_api_key")
		a.passes(t, renewed)
		clock.Set(ends.Add(-time.Microsecond))
		a.passes(t, renewed)
		clock.Set(ends)
		a.refuses(t, renewed, "expired_api_key")
	})
}

// TestASecondFactorThatIsProvedCountsForTheNextCall: what a person proves is of no organization, and counts in all.
func TestASecondFactorThatIsProvedCountsForTheNextCall(t *testing.T) { // F455
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		hour := 60
		_, _, err := a.CreatePolicy(a.Platform(), a.org.ID, a.eng.ID, rbac.NewPolicy{Name: "mfa", Statements: []rbac.Statement{{Effect: rbac.EffectAllow,
			Actions: []string{"models.use"}, Resources: []string{"model:*"}, Conditions: rbac.Conditions{MFA: &rbac.MFACondition{Type: "required", MaxAgeMinutes: &hour}}}}})
		require.NoError(t, err)
		a.refuses(t, a.call("gpt-3.5-turbo"), "mfa_required")
		token, _, err := a.CreateToken(a.Platform(), a.dev.ID, orgs.NewToken{Name: "laptop", MFAVerifiedAt: &tuesday})
		require.NoError(t, err)
		a.passes(t, a.call("gpt-3.5-turbo"))
		_, err = a.RevokeToken(a.Platform(), a.dev.ID, token.ID)
		require.NoError(t, err)
		a.refuses(t, a.call("gpt-3.5-turbo"), "mfa_required")
	})
}

// TestAnotherProcessHearsOfARevokedKey has two managers that share nothing but the file.
func TestAnotherProcessHearsOfARevokedKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "orgs.db")
	open := func() *store.Store {
		s, err := sqlite.Open(t.Context(), file, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
	a := newAcme(t, open(), engineering, nil)
	m, err := orgs.New(open(), &orgs.Options{Catalogue: catalogue(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	there := gate.New(m)
	adm, err := there.Admit(t.Context(), a.call("gpt-3.5-turbo"))
	require.NoError(t, err)
	require.NoError(t, adm.Release(t.Context()))
	_, err = a.RevokeAPIKey(a.Platform(), adm.Caller.Key.ID, "lost")
	require.NoError(t, err)
	a.refuses(t, a.call("gpt-3.5-turbo"), "invalid_api_key")
	began := time.Now()
	require.Eventually(t, func() bool {
		adm, err := there.Admit(t.Context(), a.call("gpt-3.5-turbo"))
		if err == nil {
			_ = adm.Release(t.Context())
			return false
		}
		return true
	}, 30*time.Second, time.Millisecond)
	t.Logf("after %v", time.Since(began))
}

func TestAnAdmissionFromMemoryAllocatesNothing(t *testing.T) {
	a := newAcme(t, storetest.Open(t, "memory", store.Options{}), `{"models": {"rate_limits": {"*": {"requests_per_day": 1000000}}}}`,
		&orgs.Options{Metering: billing.MeteringOptions{Flush: time.Hour}}) // what writes in the background allocates
	c := a.call("gpt-3.5-turbo")
	c.Tags, c.Now = map[string]string{"project": "apollo"}, time.Time{}
	used := billing.Usage{InputTokens: 100, OutputTokens: 20}
	ctx := t.Context()
	call := func() {
		adm, err := a.gate.Admit(ctx, c)
		if err != nil {
			t.Error(err)
			return
		}
		if err := adm.Settle(ctx, used); err != nil {
			t.Error(err)
		}
	}
	call()
	require.NoError(t, a.Audit().Flush(ctx)) // by then the log knows what the organization wants to be told
	require.Less(t, testing.AllocsPerRun(20_000, call), 1.0)
}
