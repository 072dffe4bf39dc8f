package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAPatchHasThreeStates(t *testing.T) { // F331
	c, org, team, _ := world(t)
	path := "/v1/teams/" + team
	c.call(200, "PATCH", path, `{"description": "all of it", "settings": {"budget": {"monthly_limit": 5000.00, "hard_limit": true}, "models": {"allowed": ["gpt-*"], "blocked": ["gpt-3*"]}}}`)
	now := c.call(200, "PATCH", path, `{"settings": {"budget": {"hard_limit": null}, "models": {"allowed": []}}}`)
	require.Equal(t, "all of it", now["description"])
	require.Equal(t, object{"budget": object{"monthly_limit": 5000.0}, "models": object{"allowed": []any{}, "blocked": []any{"gpt-3*"}}}, now["settings"])
	require.Equal(t, false, now["effective"].(object)["budget"].(object)["hard_limit"])
	now = c.call(200, "PATCH", path, `{"settings": null, "description": null}`)
	require.Equal(t, object{}, now["settings"])
	require.Empty(t, now["description"])
	require.Equal(t, "body.name", c.call(400, "PATCH", path, `{"name": null}`)["errors"].([]any)[0].(object)["location"])

	path = "/v1/organizations/" + org
	c.call(200, "PATCH", path, `{"metadata": {"a": 1, "b": {"c": 2}}, "tags": ["x"]}`)
	require.Equal(t, object{"b": object{"c": 2.0, "d": 3.0}}, c.call(200, "PATCH", path, `{"metadata": {"a": null, "b": {"d": 3}}}`)["metadata"])
	require.Equal(t, []any{"y"}, c.call(200, "PATCH", path, `{"tags": ["y"]}`)["tags"])
	require.Equal(t, []any{}, c.call(200, "PATCH", path, `{"tags": null}`)["tags"])
}

// objects is one of every kind of object that PATCH changes, by its path.
func objects(c *client, org, team string) []string {
	orgPath, teamPath := "/v1/organizations/"+org, "/v1/teams/"+team
	user, _ := c.person(org, "patched@acme.com", "developer")
	c.post(teamPath+"/members", `{"user_id": "`+user+`", "role": "developer", "permissions": {"add": ["models.read"]}}`)
	project := c.post(orgPath+"/projects", `{"name": "Apollo", "settings": {"budget": {"monthly_limit": 10}}, "tags": ["moon"]}`)["id"].(string)
	policy := c.post(teamPath+"/policies", `{"name": "p", "statements": [{"effect": "deny", "actions": ["models.use"], "resources": ["*"], "conditions": {"mfa": {"type": "required"}}}]}`)["id"].(string)
	key := c.post("/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "user_id": "`+user+`", "additional_restrictions": {"allowed_ips": ["10.0.0.0/8"]}, "default_tags": {"a": "b"}, "expires_at": "2999-01-01T00:00:00Z"}`)["id"].(string)
	return []string{orgPath, orgPath + "/roles/developer", teamPath, orgPath + "/projects/" + project, teamPath + "/members/" + user,
		orgPath + "/members/" + user, teamPath + "/policies/" + policy, "/v1/api-keys/" + key, "/v1/users/" + user}
}

func TestWhatWasReadCanBeSentBack(t *testing.T) {
	c, org, team, _ := world(t)
	for _, path := range objects(c, org, team) {
		before := c.call(200, "GET", path, "")
		text, err := json.Marshal(before)
		require.NoError(t, err)
		after := c.call(200, "PATCH", path, string(text))
		require.NotEqual(t, before["etag"], after["etag"], path)
		for _, moves := range []string{"etag", "updated_at"} {
			delete(before, moves)
			delete(after, moves)
		}
		require.Equal(t, before, after, path)

		for _, field := range []string{"id", "created_at"} {
			p := c.call(400, "PATCH", path, `{"`+field+`": "another"}`)
			require.Equal(t, "body."+field, p["errors"].([]any)[0].(object)["location"], path)
		}
		p := c.call(400, "PATCH", path, `{"nonsense": "`+canary+`"}`)
		require.Equal(t, "body.nonsense", p["errors"].([]any)[0].(object)["location"], path)
	}
}

func TestIfMatchIsKept(t *testing.T) {
	c, org, team, _ := world(t)
	for _, path := range objects(c, org, team) {
		w := c.do("GET", path, "")
		tag := w.Header().Get("ETag")
		require.Equal(t, tag, parse(t, w.Body.String())["etag"], path)
		body := `{}`
		require.Equal(t, "version_mismatch", c.with("If-Match", `"999"`).call(412, "PATCH", path, body)["code"], path)
		require.Equal(t, "version_mismatch", c.with("If-Match", "W/"+tag).call(412, "PATCH", path, body)["code"], "weak tags match nothing")
		require.Equal(t, "version_mismatch", c.with("If-Match", `nonsense`).call(412, "PATCH", path, body)["code"], path)
		require.Equal(t, tag, c.do("GET", path, "").Header().Get("ETag"), "nothing was changed")
		c.with("If-Match", `"999", `+tag).call(200, "PATCH", path, body)
		c.with("If-Match", tag).call(412, "PATCH", path, body)
		c.with("If-Match", "*").call(200, "PATCH", path, body)
	}
	teamPath := "/v1/teams/" + team
	tag := c.do("GET", teamPath, "").Header().Get("ETag")
	c.with("If-Match", `"1"`).call(412, "DELETE", teamPath+"?cascade=true", "")
	c.with("If-Match", `"1"`).call(412, "POST", teamPath+"/archive", "")
	c.with("If-Match", tag).call(200, "POST", teamPath+"/archive", "")
	c.with("If-Match", "*").call(412, "POST", "/v1/organizations/"+org+"/teams", `{"name": "New"}`)
}

func TestPatchesAtTheSameTimeAllCount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		path := "/v1/organizations/" + c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		const n = 6
		var wg sync.WaitGroup
		answers := make([]*httptest.ResponseRecorder, n)
		for i := range n {
			wg.Go(func() { answers[i] = c.do("PATCH", path, fmt.Sprintf(`{"metadata": {"writer%d": %d}}`, i, i)) })
		}
		wg.Wait()
		for _, w := range answers {
			require.Equal(t, 200, w.Code, w.Body)
		}
		require.Len(t, c.call(200, "GET", path, "")["metadata"], n)
	})
}

func TestAChangeAnswersARevisionThatAReadMayDemand(t *testing.T) {
	c := newClient(t, memory.New(nil))
	w := c.do("POST", "/v1/organizations", `{"name": "Acme"}`)
	org := parse(t, w.Body.String())["id"].(string)
	first := w.Header().Get("Orgkit-Revision")
	require.Equal(t, org+":0", first)
	path := "/v1/organizations/" + org
	second := c.do("POST", path+"/teams", `{"name": "One"}`).Header().Get("Orgkit-Revision")
	require.Equal(t, org+":1", second)
	require.Empty(t, c.do("GET", path, "").Header().Get("Orgkit-Revision"))
	require.Empty(t, c.do("POST", path+"/teams", `{"name": ""}`).Header().Get("Orgkit-Revision"), "nothing has changed")

	c.with("Orgkit-Revision", second).call(200, "GET", path, "")
	c.with("Orgkit-Revision", first+","+second).call(200, "GET", path+"/teams", "")
	require.Equal(t, "service_unavailable", c.with("Orgkit-Revision", org+":9").call(503, "GET", path+"/teams", "")["code"])
	p := c.with("Orgkit-Revision", "soon").call(400, "GET", path, "")
	require.Equal(t, "header.Orgkit-Revision", p["errors"].([]any)[0].(object)["location"])
	require.NotContains(t, strings.ToLower(fmt.Sprint(p)), "soon")
}
