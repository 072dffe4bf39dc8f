package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// secrets are the fields that the answer which made them shows, and no other.
var secrets = []string{"key", "token", "secret"}

// withoutSecrets is an answer in which what is shown once is null.
func withoutSecrets(t *testing.T, body string) string {
	var o object
	require.NoError(t, json.Unmarshal([]byte(body), &o))
	var hide func(o object)
	hide = func(o object) {
		for _, name := range secrets {
			if _, is := o[name].(string); is {
				o[name] = nil
			}
		}
		rows, _ := o["results"].([]any)
		for _, r := range rows {
			hide(r.(object)["body"].(object))
		}
	}
	hide(o)
	text, err := json.Marshal(o)
	require.NoError(t, err)
	return string(text)
}

// same compares what was answered first with what was answered later.
func same(t *testing.T, first, later *httptest.ResponseRecorder) {
	t.Helper()
	require.Equal(t, first.Code, later.Code, later.Body)
	require.JSONEq(t, withoutSecrets(t, first.Body.String()), later.Body.String())
	for _, name := range []string{"Content-Type", "Location", "ETag", "Orgkit-Revision"} {
		require.Equal(t, first.Header().Get(name), later.Header().Get(name), name)
	}
	require.Equal(t, "true", later.Header().Get("Idempotency-Replayed"))
	require.Empty(t, first.Header().Get("Idempotency-Replayed"))
}

// TestEveryPostIsDoneOnce sends every POST of the description again under its key.
func TestEveryPostIsDoneOnce(t *testing.T) { // A8
	posts := 0
	for _, op := range operations(t, newClient(t, memory.New(nil))) {
		if op[0] != "POST" {
			continue
		}
		posts++
		name := op[0] + " " + op[1]
		t.Run(name, func(t *testing.T) {
			w, how := newSettled(t), doings[name]
			for _, call := range how.first {
				r := w.do(call[0], w.fill(call[1]), w.fill(call[2]))
				require.Less(t, r.Code, 300, r.Body)
			}
			target, body := w.fill(op[1])+how.query, w.fill(how.body)
			who := map[string]*client{"": w.client, "dev": w.dev, "owner": w.owner, "invitee": w.invitee}[how.as].with("Idempotency-Key", "k-1")
			var first, later *httptest.ResponseRecorder
			left := w.leaves(func() { first = who.do(op[0], target, body) })
			require.Less(t, first.Code, 300, first.Body)
			require.Len(t, left, max(1, how.events))
			require.Empty(t, w.leaves(func() { later = who.do(op[0], target, body) }), "nothing is done again")
			same(t, first, later)

			other := who.do(op[0], target, strings.Replace(body, "{", `{ `, 1)+" ")
			require.Equal(t, 422, other.Code, other.Body)
			require.Equal(t, "idempotency_mismatch", parse(t, other.Body.String())["code"])
		})
	}
	require.Greater(t, posts, 30)
}

func TestAKeyIsOfItsCallerAndItsRoute(t *testing.T) { // S15
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		_, ann := c.person(org, "ann@acme.com", "org_admin")
		_, bob := c.person(org, "bob@acme.com", "org_admin")
		path, body := "/v1/organizations/"+org+"/teams", `{"name": "Lab"}`
		lab := ann.with("Idempotency-Key", "same").post(path, body)["id"]
		require.NotEqual(t, lab, bob.with("Idempotency-Key", "same").post(path, `{"name": "Lab", "slug": "other"}`)["id"], "another caller gets no replay")
		ann.with("Idempotency-Key", "same").post("/v1/organizations/"+org+"/projects", body)
		require.Equal(t, lab, ann.with("Idempotency-Key", "same").post(path, body)["id"])
		ann.with("Idempotency-Key", "same").call(422, "POST", path+"?narrowing=true", body)

		for _, bad := range []string{"", strings.Repeat("x", 256), "with space", "ümlaut"} {
			o := ann.with("Idempotency-Key", bad).call(400, "POST", path, body)
			require.Equal(t, "header.Idempotency-Key", o["errors"].([]any)[0].(object)["location"], bad)
		}
		ann.with("Idempotency-Key", "a").with("Idempotency-Key", "b").call(400, "POST", path, body)
		ann.with("Idempotency-Key", strings.Repeat("x", 255)).post(path, `{"name": "Long"}`)

		clock.Advance(24*time.Hour - time.Microsecond)
		require.Equal(t, lab, ann.with("Idempotency-Key", "same").post(path, body)["id"])
		clock.Advance(time.Microsecond)
		ann.with("Idempotency-Key", "same").call(409, "POST", path, body) // the slug is taken: it was done again
		require.NotEqual(t, lab, ann.with("Idempotency-Key", "same").post(path, `{"name": "Lab", "slug": "third"}`)["id"], "a failure leaves the key free")
	})
}

// What has failed has changed nothing and is not kept: the next attempt is the first again. Its refusal is in the log.
func TestAFailureIsTriedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := newGuarded(t, s)
		denials := func() int {
			return len(w.call(200, "GET", w.at+"/audit/logs?event_types=authorization.denied", "")["data"].([]any))
		}
		n, dev := denials(), w.dev.with("Idempotency-Key", "k")
		dev.call(403, "POST", w.at+"/teams", `{"name": "x"}`)
		require.Equal(t, n+1, denials())
		dev.call(403, "POST", w.at+"/teams?narrowing=true", `{"name": "x"}`)
		require.Equal(t, n+2, denials(), "narrowing")
		dev.call(400, "POST", w.at+"/teams", `{"nome": "x"}`)
		dev.call(404, "POST", "/v1/teams/team_01hr00000000000000000000xx/invitations", `{}`)
		w.call(200, "PATCH", w.at+"/roles/developer", `{"permissions": ["teams.create"]}`)
		require.NotEmpty(t, dev.post(w.at+"/teams", `{"name": "x"}`)["id"])

		narrow, policy := w.with("Idempotency-Key", "n"), `{"name": "p", "statements": [{"effect": "deny", "actions": ["models.use"], "resources": ["*"]}]}`
		made := narrow.post(w.at+"/policies?narrowing=true", policy)
		require.Equal(t, made, narrow.post(w.at+"/policies?narrowing=true", policy))
		require.Len(t, w.ids(w.at+"/policies"), 1)

		// A rehearsal keeps nothing and is told nothing of what was done.
		plan := w.with("Idempotency-Key", "r")
		plan.call(200, "POST", w.at+"/teams?dry_run=true", `{"name": "y"}`)
		plan.post(w.at+"/teams", `{"name": "y"}`)
		plan.call(409, "POST", w.at+"/teams?dry_run=true", `{"name": "y"}`)
	})
}

// Who may make something and not read it hears what came of it with a key as well.
func TestAMakerHearsWhatCameOfItWithAKey(t *testing.T) {
	c, org, _, _ := world(t)
	path := "/v1/organizations/" + org
	c.post(path+"/roles", `{"name": "Maker", "permissions": ["teams.create"]}`)
	_, maker := c.person(org, "maker@acme.com", "maker")
	made := maker.with("Idempotency-Key", "k").post(path+"/teams", `{"name": "Made"}`)
	require.Equal(t, made, maker.with("Idempotency-Key", "k").post(path+"/teams", `{"name": "Made"}`))
	maker.call(403, "GET", "/v1/teams/"+made["id"].(string), "")
}

func TestRowsAreDoneOnceEach(t *testing.T) { // A12
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab"}`)["id"].(string)
		row := `{"name": "k", "team_id": "` + team + `"}`
		mixed := `{"items": [` + row + `, {"name": "lost", "team_id": "team_01hr00000000000000000000xx"}, {"nome": 1}, ` + row + `]}`
		keyed := c.with("Idempotency-Key", "k")
		first := keyed.do("POST", "/v1/api-keys/bulk", mixed)
		require.Equal(t, []any{201.0, 404.0, 400.0, 201.0}, statuses(t, first))
		same(t, first, keyed.do("POST", "/v1/api-keys/bulk", mixed))
		require.Len(t, c.ids("/v1/api-keys?team_id="+team), 2)

		atomic := c.with("Idempotency-Key", "all")
		atomic.call(404, "POST", "/v1/api-keys/bulk", `{"items": [`+row+`, {"name": "lost", "team_id": "team_01hr00000000000000000000xx"}], "atomic": true}`)
		require.Len(t, c.ids("/v1/api-keys?team_id="+team), 2)
		all := `{"items": [` + row + `, ` + row + `], "atomic": true}`
		first = atomic.do("POST", "/v1/api-keys/bulk", all)
		require.Equal(t, []any{201.0, 201.0}, statuses(t, first))
		same(t, first, atomic.do("POST", "/v1/api-keys/bulk", all))
		require.Len(t, c.ids("/v1/api-keys?team_id="+team), 4)
	})
}

func statuses(t *testing.T, r *httptest.ResponseRecorder) (list []any) {
	require.Equal(t, 207, r.Code, r.Body)
	for _, row := range parse(t, r.Body.String())["results"].([]any) {
		list = append(list, row.(object)["status"])
	}
	return list
}

// No secret is in the database, though an answer with one is kept.
func TestNoSecretIsKeptWithAnAnswer(t *testing.T) { // S15.3
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		id, _ := c.user("ann@acme.com", time.Time{})
		for path, call := range map[string][2]string{
			"/v1/api-keys":                                      {"key", `{"name": "k", "organization_id": "` + org + `", "user_id": null}`},
			"/v1/organizations/" + org + "/webhooks":            {"secret", `{"url": "https://hooks.acme.com/"}`},
			"/v1/organizations/" + org + "/provisioning/tokens": {"token", `{"name": "t"}`},
			"/v1/organizations/" + org + "/invitations":         {"token", `{"email": "x@acme.com", "role": "member"}`},
			"/v1/users/" + id + "/tokens":                       {"token", `{"name": "t"}`},
		} {
			keyed := c.with("Idempotency-Key", "k")
			first := keyed.post(path, call[1])
			require.IsType(t, "", first[call[0]], path)
			later := keyed.post(path, call[1])
			require.Contains(t, later, call[0])
			require.Nil(t, later[call[0]])
			require.Equal(t, first["id"], later["id"])
		}
	})
}

func TestSixtyFourAtOnceMakeOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		for _, call := range [][2]string{{"/v1/organizations", `{"name": "Acme"}`}, {"/v1/users", `{"email": "ann@acme.com"}`}} {
			var wg sync.WaitGroup
			answers := make([]*httptest.ResponseRecorder, 64)
			for i := range answers {
				wg.Go(func() { answers[i] = c.with("Idempotency-Key", "once").do("POST", call[0], call[1]) })
			}
			wg.Wait()
			replayed := 0
			for i, r := range answers {
				require.Equal(t, 201, r.Code, r.Body)
				require.Equal(t, answers[0].Body.String(), r.Body.String(), fmt.Sprint(i))
				if r.Header().Get("Idempotency-Replayed") == "true" {
					replayed++
				}
			}
			require.Equal(t, 63, replayed)
			require.Len(t, c.call(200, "GET", call[0], "")["data"], 1)
		}
	})
}
