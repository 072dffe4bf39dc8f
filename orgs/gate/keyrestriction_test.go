package gate_test

import (
	"encoding/json"
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

func restrictions(t *testing.T, text string) (r orgs.KeyRestrictions) {
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	return r
}

// restricted is a call by a key of the team that is for less.
func (a acme) restricted(t *testing.T, text string) (id string, call func(model string, features ...string) error) {
	k, secret, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "restricted", Team: a.eng.ID, InheritTeam: true, User: new(string), Restrictions: restrictions(t, text)})
	require.NoError(t, err)
	return k.ID, func(model string, features ...string) error {
		c := a.call(model)
		c.Secret, c.Features = secret, features
		adm, err := a.gate.Admit(t.Context(), c)
		if err == nil {
			return adm.Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 1000})
		}
		return err
	}
}

func TestWhatAKeyIsNotForIsADecisionInTheLog(t *testing.T) { // F164, F277
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, quiet())
		a.record(t, audit.RecordFull)
		for _, c := range []struct{ text, code string }{
			{`{"models": {"allowed": []}}`, "model_not_allowed"}, {`{"features": []}`, "feature_disabled"}, {`{"operations": ["read"]}`, "permission_denied"},
		} {
			id, call := a.restricted(t, c.text)
			var d *gate.Denied
			require.ErrorAs(t, call("gpt-4-turbo-preview"), &d)
			require.Equal(t, c.code, d.Code)
			require.NotEmpty(t, d.DecisionID)
			denied := a.told(t, audit.DeniedType)
			last := denied[len(denied)-1]
			require.Equal(t, []any{d.DecisionID, c.code, id}, []any{last.DecisionID, last.Code, last.ActorID})
			require.Equal(t, id, last.Reasons[0].ID)
		}
	})
}

func TestRestrictionsOfAKeyNarrowAndNeverWiden(t *testing.T) { // F164
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		id, call := a.restricted(t, `{"models": {"allowed": ["gpt-*", "opus", "dall-e-3"], "blocked": ["*-turbo"]}}`)
		require.NoError(t, call("gpt-4-turbo-preview"))
		require.ErrorContains(t, call("gpt-4-turbo"), "model_not_allowed", "by an alias that is blocked")
		require.ErrorContains(t, call("gpt-3.5-turbo"), "model_not_allowed")
		require.NoError(t, call("opus"), "an alias that is allowed")
		require.ErrorContains(t, call("claude-3-opus-20240229"), "model_not_allowed")
		require.ErrorContains(t, call("dall-e-3"), "model_not_allowed", "the team blocks it whatever the key says")

		_, err := a.UpdateAPIKey(a.Platform(), id, orgs.KeyUpdate{Restrictions: &orgs.KeyRestrictions{Models: &orgs.KeyModels{Allowed: []string{}}}})
		require.NoError(t, err)
		require.ErrorContains(t, call("gpt-4-turbo-preview"), "model_not_allowed", "an empty list allows nothing, from the next call on")
		_, err = a.UpdateAPIKey(a.Platform(), id, orgs.KeyUpdate{Restrictions: &orgs.KeyRestrictions{}})
		require.NoError(t, err)
		require.NoError(t, call("gpt-3.5-turbo"))

		_, call = a.restricted(t, `{"features": ["chat_completion", "vision", "fine_tuning"]}`)
		require.NoError(t, call("gpt-4-turbo-preview"))
		require.NoError(t, call("gpt-4-turbo-preview", "vision"))
		require.ErrorContains(t, call("gpt-4-turbo-preview", "vision", "web_search"), "feature_disabled")
		require.ErrorContains(t, call("gpt-4-turbo-preview", "embeddings"), "feature_disabled")
		require.ErrorContains(t, call("gpt-4-turbo-preview", "fine_tuning"), "feature_disabled", "the team has it off")
		_, call = a.restricted(t, `{"features": ["embeddings"]}`)
		require.NoError(t, call("gpt-4-turbo-preview", "embeddings"))
		require.ErrorContains(t, call("gpt-4-turbo-preview"), "feature_disabled", "a chat is none")
	})
}

func TestAKeyIsForReadingOrForUse(t *testing.T) { // F164
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		for operations, may := range map[string][2]bool{`["read"]`: {true, false}, `["write"]`: {false, true}, `["read", "write"]`: {true, true}, `[]`: {}} {
			_, secret, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "k", Team: a.eng.ID, InheritTeam: true, User: new(string), Restrictions: restrictions(t, `{"operations": `+operations+`}`)})
			require.NoError(t, err)
			c := a.call("gpt-4-turbo-preview")
			c.Secret = secret
			_, err = a.gate.Models(t.Context(), c)
			require.Equal(t, may[0], err == nil, "%s: %v", operations, err)
			_, err = a.gate.Admit(t.Context(), c)
			require.Equal(t, may[1], err == nil, "%s: %v", operations, err)
		}
	})
}

func TestModelsAreListedAsTheKeyMayUseThem(t *testing.T) { // F164
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		_, secret, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "k", Team: a.eng.ID, InheritTeam: true, User: new(string), Restrictions: restrictions(t, `{"models": {"allowed": ["gpt-3*"]}}`)})
		require.NoError(t, err)
		c := a.call("")
		c.Secret = secret
		list, err := a.gate.Models(t.Context(), c)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "gpt-3.5-turbo", list[0].ID)
	})
}

func TestListingModelsTakesModelsRead(t *testing.T) { // F066
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		for permissions, listed := range map[string]bool{"models.read": true, "models:list": true, "teams.read": false} {
			_, secret, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "k", Team: a.eng.ID, User: new(string), Permissions: []string{"api_keys.use", "models.use", permissions}})
			require.NoError(t, err)
			c := a.call("gpt-4-turbo-preview")
			c.Secret = secret
			list, err := a.gate.Models(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, listed, len(list) > 0, permissions)
			a.passes(t, c)
		}
	})
}

func TestAKeySpendsSoMuchADay(t *testing.T) { // F164
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(tuesday)
		a := newAcme(t, s, engineering, nil)
		id, call := a.restricted(t, `{"max_cost_per_day": 0.06, "max_requests_per_day": 3}`) // a call is 0.04
		require.NoError(t, call("gpt-4-turbo-preview"))
		require.ErrorContains(t, call("gpt-4-turbo-preview"), "budget_exceeded")
		require.NoError(t, call("gpt-3.5-turbo"))
		clock.Advance(14 * time.Hour) // the next day
		require.NoError(t, call("gpt-4-turbo-preview"))
		r := restrictions(t, `{"max_requests_per_day": 2}`)
		_, err := a.UpdateAPIKey(a.Platform(), id, orgs.KeyUpdate{Restrictions: &r})
		require.NoError(t, err)
		require.NoError(t, call("gpt-4-turbo-preview"), "there is no budget any more")
		require.ErrorContains(t, call("gpt-3.5-turbo"), "rate_limit_exceeded")
	})
}
