package rest_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// entry is an entry of a list, by its field.
func entry(list any, i int) object { return list.([]any)[i].(object) }

// TestTheAccessLog: who came in and who was kept out, newest first, with paging and filters (F351 to F355).
func TestTheAccessLog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		at := "/v1/organizations/" + org
		_, owner := c.person(org, "owner@acme.com", "org_admin")
		team := c.post(at+"/teams", `{"name": "Lab", "settings": {"models": {"blocked": ["gpt-4-32k"]}}}`)["id"].(string)
		c.post(at+"/roles", `{"name": "Developer", "permissions": ["models.use", "api_keys.use"]}`)
		bob, bobs := c.person(org, "bob@acme.com", "developer")
		c.post("/v1/teams/"+team+"/members", `{"user_id": "`+bob+`", "role": "developer"}`)
		made := c.post("/v1/api-keys", `{"name": "deploy", "team_id": "`+team+`", "user_id": "`+bob+`", "inherit_team_permissions": true}`)
		key, secret := made["id"].(string), made["key"].(string)

		clock.Advance(time.Minute)
		use := gate.Call{Secret: secret, Model: "gpt-4-turbo-preview", IP: netip.MustParseAddr("203.0.113.9")}
		adm, err := c.gate.Admit(t.Context(), use)
		require.NoError(t, err)
		require.NoError(t, adm.Release(t.Context()))
		clock.Advance(time.Minute)
		use.Model = "gpt-4-32k"
		_, err = c.gate.Admit(t.Context(), use)
		require.ErrorIs(t, err, gate.ErrDenied)
		require.NoError(t, c.audit.Flush(t.Context()))
		clock.Advance(time.Minute)
		bobs.call(403, "GET", at+"/audit", "")
		clock.Advance(time.Minute)
		c.call(200, "DELETE", "/v1/api-keys/"+key, `{"reason": "leaked"}`)
		for range 5 {
			c.as(secret, "198.51.100.7").with("User-Agent", "curl").with("X-Request-Id", "req-of-a-thief").call(401, "GET", at, "")
		}
		require.NoError(t, c.audit.Flush(t.Context()))
		clock.Advance(time.Minute)
		// Whoever signs people in writes into the same log, as issue 8 will.
		user := audit.WithActor(t.Context(), audit.Actor{Type: audit.User, ID: bob, Label: "bob@acme.com"})
		for typ, outcome := range map[string]audit.Outcome{"authentication.login": audit.Failure, "authentication.logout": audit.Success} {
			require.NoError(t, c.audit.Record(user, org, "", audit.Change{Type: typ, Outcome: outcome, Resource: audit.Resource{Type: "user", ID: bob}}))
			clock.Advance(time.Minute)
		}

		list := owner.call(200, "GET", at+"/access_log", "")["data"].([]any)
		var lines []string
		for i := range list {
			e := entry(list, i)
			code, _ := e["code"].(string)
			lines = append(lines, strings.TrimSpace(strings.Join([]string{e["user"].(string), e["action"].(string), e["status"].(string), e["event_type"].(string), code}, " ")))
		}
		who := []string{"bob@acme.com LOGOUT SUCCESS authentication.logout", "bob@acme.com LOGIN FAILURE authentication.login"}
		require.ElementsMatch(t, who, lines[:2])
		require.Equal(t, []string{
			key + " API_ACCESS FAILURE api_key.denied revoked", // and the one that says how often more
			key + " API_ACCESS FAILURE api_key.denied revoked",
			"bob@acme.com API_ACCESS FAILURE authorization.denied permission_denied",
			key + " API_ACCESS FAILURE authorization.denied model_not_allowed",
			key + " API_ACCESS SUCCESS api_key.used",
		}, lines[2:])
		require.Equal(t, []any{4.0, "198.51.100.7", "curl", "req-of-a-thief"}, []any{entry(list, 2)["count"], entry(list, 2)["ip"], entry(list, 2)["user_agent"], entry(list, 2)["request_id"]})
		require.EqualValues(t, 1, entry(list, 3)["count"])
		require.Equal(t, "203.0.113.9", entry(list, 6)["ip"])

		// Reading it is an event of its own, and an entry.
		read := entry(owner.call(200, "GET", at+"/access_log?limit=1", "")["data"], 0)
		require.Equal(t, []any{"DATA_VIEW", "owner@acme.com", "audit.read"}, []any{read["action"], read["user"], read["event_type"]})

		one := func(query string) []any { return owner.call(200, "GET", at+"/access_log?"+query, "")["data"].([]any) }
		require.Len(t, one("event_types=api_key.denied"), 2)
		require.Len(t, one("event_types=api_key.*"), 3)
		require.Len(t, one("event_types=authentication.*"), 2)
		require.Len(t, one("event_types=session.*,authentication.login"), 1)
		require.Empty(t, one("event_types=team.created,role.*"), "no access")
		require.Len(t, one("event_types=audit.read&outcome=success&actors=user:bob@acme.com"), 0)
		require.Len(t, one("actors=api_key:"+key+"&outcome=denied"), 3)
		require.Equal(t, "api_key.used", entry(one("order=asc&limit=1"), 0)["event_type"])
		var paged []any
		for after := ""; ; {
			page := owner.call(200, "GET", at+"/access_log?limit=2&event_types=api_key.*,authorization.*"+after, "")
			paged = append(paged, page["data"].([]any)...)
			next, more := page["next_cursor"].(string)
			if !more {
				break
			}
			after = "&after=" + next
		}
		require.Len(t, paged, 5)
		owner.call(400, "GET", at+"/access_log?start_time=yesterday", "")
		owner.call(400, "GET", at+"/access_log?event_types=x;y", "")
		bobs.call(403, "GET", at+"/access_log", "")
	})
}

// TestCountsAndGapsOverHTTP: of a log of some hours (F304, F335).
func TestCountsAndGapsOverHTTP(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(time.Date(2024, 3, 5, 12, 10, 0, 0, time.UTC))
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		at := "/v1/organizations/" + org
		c.post(at+"/teams", `{"name": "A"}`)
		clock.Advance(time.Hour)
		c.post(at+"/teams", `{"name": "B"}`)
		c.call(200, "PATCH", at+"/audit", `{"events_to_log": ["team.*", "data_access.*"]}`)
		clock.Advance(time.Hour)
		c.post(at+"/roles", `{"name": "R", "permissions": []}`) // is logged whatever is asked for
		c.call(200, "PATCH", at+"/audit", `{"events_to_log": null}`)
		clock.Advance(time.Hour)

		counts := c.call(200, "GET", at+"/audit/counts?group=hour&start_time=2024-03-05T12:30:00Z&end_time=2024-03-05T13:00:00Z&event_types=team.*", "")
		require.Equal(t, object{"start_time": "2024-03-05T12:00:00.000Z", "end_time": "2024-03-05T14:00:00.000Z", "data": []any{
			object{"start": "2024-03-05T12:00:00.000Z", "type": "team.created", "outcome": "success", "events": 1.0},
			object{"start": "2024-03-05T13:00:00.000Z", "type": "team.created", "outcome": "success", "events": 1.0}}}, counts)
		day := c.call(200, "GET", at+"/audit/counts?group=day&event_types=team.*,audit.read", "")["data"].([]any)
		require.Equal(t, []any{object{"start": "2024-03-05T00:00:00.000Z", "type": "audit.read", "outcome": "success", "events": 1.0},
			object{"start": "2024-03-05T00:00:00.000Z", "type": "team.created", "outcome": "success", "events": 2.0}}, day, "counting is reading")
		c.call(400, "GET", at+"/audit/counts?group=week", "")

		child := c.post(at+"/children", `{"name": "Child"}`)["id"].(string)
		c.post("/v1/organizations/"+child+"/teams", `{"name": "C"}`)
		below := c.call(200, "GET", at+"/audit/descendants/counts?event_types=team.*", "")["data"].([]any)
		require.Equal(t, 1.0, entry(below, 0)["events"], "without its own")

		families := []any{}
		for _, f := range audit.Families() {
			if f != "team" && f != "data_access" {
				families = append(families, f)
			}
		}
		gap := object{"from": "2024-03-05T13:10:00.000000Z", "to": "2024-03-05T14:10:00.000000Z", "reason": "logging_off", "not_logged": families}
		gaps := c.call(200, "GET", at+"/audit/gaps", "")
		found := entry(gaps["gaps"], 0)
		for _, bound := range []string{"from", "to"} { // events of one moment have times of their own
			require.Equal(t, gap[bound].(string)[:23], found[bound].(string)[:23])
			found[bound] = gap[bound]
		}
		require.Equal(t, object{"complete": false, "gaps": []any{gap}}, gaps)
		whole := c.call(200, "GET", at+"/audit/gaps?start_time=2024-03-05T00:00:00Z&end_time=2024-03-05T13:00:00Z", "")
		require.Equal(t, []any{object{"from": "2024-03-05T00:00:00.000000Z", "to": "2024-03-05T12:10:00.000000Z", "reason": "before_creation"}}, whole["gaps"])
		require.Equal(t, object{"complete": true, "gaps": []any{}}, c.call(200, "GET", at+"/audit/gaps?end_time=2024-03-05T13:00:00Z", ""))
		c.call(400, "GET", at+"/audit/gaps?end_time=2024-03-06T00:00:00Z", "")
		c.call(400, "GET", at+"/audit/gaps?start_time=2024-03-05T15:00:00Z&end_time=2024-03-05T13:00:00Z", "")
	})
}
