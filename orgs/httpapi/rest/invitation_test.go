package rest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestInvitationsAreListedRevokedAndResent(t *testing.T) { // F123
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := "/v1/organizations/" + c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		c.post(org+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
		path := org + "/invitations"
		invite := func(email string) object { return c.post(path, `{"email": "`+email+`", "role": "developer"}`) }
		accept := func(status int, email string, token any) object {
			_, user := c.user(email, time.Time{})
			return c.as(user, "").call(status, "POST", "/v1/invitations/accept", fmt.Sprintf(`{"token": "%s", "accept": true}`, token))
		}
		a, b, d := invite("a@acme.com"), invite("b@acme.com"), invite("d@acme.com")
		require.Nil(t, a["team_id"])
		clock.Advance(time.Second)
		require.Equal(t, "revoked", c.call(200, "DELETE", path+"/"+a["id"].(string), "")["status"])
		require.Equal(t, "invitation_revoked", c.call(410, "DELETE", path+"/"+a["id"].(string), "")["code"])
		require.Equal(t, "invitation_revoked", accept(410, "a@acme.com", a["token"])["code"])

		again := c.call(200, "POST", path+"/"+b["id"].(string)+"/resend", "")
		require.NotEqual(t, b["token"], again["token"])
		accept(404, "b@acme.com", b["token"])
		b2 := c.call(200, "GET", path+"/"+b["id"].(string), "")
		require.NotContains(t, b2, "token")
		require.Equal(t, "2024-03-12T12:00:01.000Z", b2["expires_at"])

		require.Equal(t, []string{d["id"].(string), b["id"].(string)}, c.ids(path+"?status=pending"))
		require.Equal(t, []string{a["id"].(string)}, c.ids(path+"?status=revoked"))
		require.Equal(t, []string{d["id"].(string)}, c.ids(path+"?email=D@acme.com"))
		clock.Advance(7*24*time.Hour - time.Second)
		require.Equal(t, []string{d["id"].(string)}, c.ids(path+"?status=expired"))
		require.Equal(t, "invitation_expired", accept(410, "d@acme.com", d["token"])["code"])
		revived := c.call(200, "POST", path+"/"+d["id"].(string)+"/resend", "")
		require.Equal(t, "pending", revived["status"])
		require.Equal(t, "conflict", c.call(409, "POST", "/v1/users", `{"email": "d@acme.com"}`)["code"])
	})
}

func TestInvitationsForMany(t *testing.T) { // F118
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := "/v1/organizations/" + c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		c.post(org+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
		path := "/v1/teams/" + c.post(org+"/teams", `{"name": "Lab"}`)["id"].(string) + "/invitations"
		row := func(email, role string) string { return `{"email": "` + email + `", "role": "` + role + `"}` }
		items := `"items": [` + strings.Join([]string{row("a@acme.com", "developer"), row("nobody", "developer"), row("b@acme.com", canary),
			row("A@acme.com", "developer"), `{"role": "developer"}`, `{"email": "x@acme.com", "role": "developer", "` + canary + `": 1}`, row("c@acme.com", "developer")}, ", ") + `]`
		results := c.call(207, "POST", path+"/bulk", `{`+items+`}`)["results"].([]any)
		var statuses []float64
		for _, r := range results {
			statuses = append(statuses, r.(object)["status"].(float64))
		}
		require.Equal(t, []float64{201, 400, 400, 409, 400, 400, 201}, statuses)
		at := func(i int) object { return results[i].(object)["body"].(object) }
		require.NotEmpty(t, at(0)["token"])
		require.Equal(t, "body.email", at(1)["errors"].([]any)[0].(object)["location"])
		require.Equal(t, "body.role", at(2)["errors"].([]any)[0].(object)["location"])
		require.Equal(t, "invitation_pending", at(3)["code"])
		require.Equal(t, at(0)["id"], at(3)["existing_id"])
		require.Len(t, c.ids(path), 2)

		p := c.call(400, "POST", path+"/bulk", `{"atomic": true, `+strings.Replace(items, "a@acme.com", "new@acme.com", 1)+`}`)
		require.Contains(t, p["errors"].([]any)[0].(object)["location"], "body.items[")
		p = c.call(409, "POST", path+"/bulk", `{"atomic": true, "items": [`+row("new@acme.com", "developer")+`, `+row("c@acme.com", "developer")+`]}`)
		require.Equal(t, "body.items[1]", p["errors"].([]any)[0].(object)["location"])
		require.Equal(t, "invitation_pending", p["code"])
		require.Len(t, c.ids(path), 2, "all or none")
		c.call(207, "POST", path+"/bulk", `{"atomic": true, "items": [`+row("new@acme.com", "developer")+`]}`)
		require.Len(t, c.ids(path), 3)
		c.call(400, "POST", path+"/bulk", `{"items": []}`)
		c.call(400, "POST", path+"/bulk", `{"items": "`+canary+`"}`)
	})
}
