package rest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAnApprovalFromRequestToEnd(t *testing.T) { // F093, F105, F150 to F152
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Developer", "permissions": ["models.use"]}`)
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Team Lead", "permissions": ["members.approve_requests"]}`)
		team := c.post("/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": {"models": {"require_approval": ["o3"]}}}`)["id"].(string)
		devID, dev := c.person(org, "dev@acme.com", "developer")
		_, lead := c.person(org, "lead@acme.com", "team-lead")
		_, other := c.person(org, "other@acme.com", "developer")
		path := "/v1/teams/" + team + "/approvals"

		permission := "/v1/users/me/permissions?team_id=" + team + "&action=use&resource=model:o3"
		is := dev.call(200, "GET", permission, "")
		require.Equal(t, []any{false, "approval_required"}, []any{is["allowed_now"], is["code"]})
		require.Contains(t, is["explanation"], "; allowed after one approval by team_lead or org_admin")

		c.call(200, "PATCH", "/v1/teams/"+team, `{"settings": {"models": {"require_approval": ["o3"]}, "notifications": {"approval_requests": ["cto@acme.com"]}}}`)
		require.Equal(t, "invalid_request", dev.call(400, "POST", path, `{"resource": "model:gpt-4o"}`)["code"])
		require.Equal(t, "invalid_request", dev.call(400, "POST", path, `{}`)["code"])
		asked := dev.post(path, `{"resource": "model:o3", "reason": "long contracts"}`)
		id := asked["id"].(string)
		require.Equal(t, []any{"pending", devID, team, "models.use", "model:o3", nil, []any{}},
			[]any{asked["status"], asked["requester"], asked["team_id"], asked["action"], asked["resource"], asked["grant"], asked["decisions"]})
		require.Equal(t, id, dev.call(200, "POST", path, `{"resource": "model:o3"}`)["id"], "it is open already")

		require.Equal(t, []string{id}, lead.ids(path+"?status=pending"))
		require.Equal(t, []string{id}, lead.ids("/v1/organizations/"+org+"/approvals?requester="+devID))
		require.Empty(t, other.ids(path))
		other.call(404, "GET", "/v1/approvals/"+id, "")
		other.call(404, "DELETE", "/v1/approvals/"+id, "")
		other.call(403, "POST", "/v1/approvals/"+id+"/decision", `{"decision": "approve"}`)
		dev.call(403, "POST", "/v1/approvals/"+id+"/decision", `{"decision": "approve"}`)
		for _, body := range []string{`{}`, `{"decision": "perhaps"}`, `{"decision": "approve", "expires_in_hours": 8761}`, `{"decision": "approve", "max_amount": "-1"}`} {
			lead.call(400, "POST", "/v1/approvals/"+id+"/decision", body)
		}
		granted := lead.call(200, "POST", "/v1/approvals/"+id+"/decision", `{"decision": "approve", "reason": "fine", "expires_in_hours": 2, "max_amount": "0.50"}`)
		ends := s.Now().Add(2 * time.Hour).Format(time.RFC3339)
		require.Equal(t, "approved", granted["status"])
		require.Equal(t, 0.5, granted["grant"].(object)["max_amount"])
		require.Equal(t, ends[:16], granted["grant"].(object)["expires_at"].(string)[:16])
		require.Len(t, granted["decisions"], 1)
		lead.call(409, "POST", "/v1/approvals/"+id+"/decision", `{"decision": "deny"}`)
		require.Equal(t, true, dev.call(200, "GET", permission+"&cost=0.50", "")["allowed_now"])
		require.Equal(t, false, dev.call(200, "GET", permission+"&cost=0.51", "")["allowed_now"])

		require.Equal(t, "withdrawn", dev.call(200, "DELETE", "/v1/approvals/"+id, `{"reason": "done"}`)["status"])
		dev.call(409, "DELETE", "/v1/approvals/"+id, "")
		require.Equal(t, false, dev.call(200, "GET", permission+"&cost=0.50", "")["allowed_now"])

		again := dev.post(path, `{"resource": "model:o3", "action": "models.use", "reason": "x"}`)
		require.Equal(t, "model:o3", again["resource"])
	})
}
