package rest_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// below are the places of bodies under the top level where an id may stand, as {id}: in objects, in lists, as the name of a field.
// what says of which kind of theirs it is. Whoever is let in with an id of ours is so to show that the place counts.
var below = []struct {
	op, body, what string
	platform       bool // which alone may call it
}{
	{"POST /v1/organizations/{org}/children", `{"name": "Child", "owner": {"user_id": "{id}"}}`, "user", false},
	{"POST /v1/organizations", `{"name": "Another", "parent_id": "{org}", "owner": {"user_id": "{id}"}}`, "user", false},
	{"PUT /v1/organizations/{org}/audit", `{"export_destinations": [{"type": "siem", "id": "{id}", "endpoint": "https://siem.acme.com/"}]}`, "destination", false},
	{"PATCH /v1/organizations/{org}/audit", `{"export_destinations": [{"type": "siem", "id": "{id}", "endpoint": "https://siem.acme.com/"}]}`, "destination", false},
	{"PUT /v1/organizations/{org}/billing", `{"payment_methods": [{"id": "{id}", "type": "invoice", "is_default": true, "details": {"net_terms": 30, "billing_address": {"line1": "1 Main St", "city": "Bern", "postal_code": "3000", "country": "CH"}}}]}`, "payment", false},
	{"PUT /v1/organizations/{org}/billing", billingOf(`"billing_alerts": [{"id": "{id}", "type": "threshold", "amount": 5, "notify": ["org_admin"]}]`), "alert", false},
	{"PUT /v1/organizations/{org}/billing", billingOf(`"billing_alerts": [{"type": "threshold", "amount": 5, "notify": ["{id}"]}]`), "role", false},
	{"PUT /v1/organizations/{org}/billing", billingOf(`"cost_allocation": {"strategy": "team_based", "cost_centers": {"{id}": "CC-1"}}`), "team", false},
	{"PUT /v1/organizations/{org}/provisioning", `{"scim_enabled": true, "role_mapping": {"Engineering": "{id}"}}`, "role", false},
	{"PUT /v1/organizations/{org}/sso", `{"provider": "okta", "enabled": false, "settings": {"role_mapping": {"Engineering": "{id}"}}}`, "role", false},
	{"PATCH /v1/teams/{team}", `{"settings": {"notifications": {"usage_alerts": ["{id}"]}}}`, "role", false},
	{"PATCH /v1/teams/{team}", `{"settings": {"billing": {"payment_method_id": "{id}"}}}`, "payment", false},
	{"PATCH /v1/organizations/{org}/projects/{project}", `{"settings": {"notifications": {"approval_requests": ["{id}"]}}}`, "role", false},
	{"POST /v1/teams/{team}/policies", approvedBy("{id}"), "role", false},
	{"POST /v1/teams/{team}/policies", approvedBy("user:{id}"), "user", false},
	{"POST /v1/organizations/{org}/policies", approvedBy("user:{id}"), "user", false},
	{"PUT /v1/teams/{team}/policies/{policy}", approvedBy("user:{id}"), "user", false},
	{"POST /v1/teams/{team}/invitations/bulk", `{"items": [{"email": "a@new.com", "role": "member"}, {"email": "b@new.com", "role": "{id}"}]}`, "role", false},
	{"POST /v1/organizations/{org}/usage", usageBy(`"team_id": "{id}"`), "team", true},
	{"POST /v1/organizations/{org}/usage", usageBy(`"project_id": "{id}"`), "project", true},
	{"POST /v1/organizations/{org}/usage", usageBy(`"key_id": "{id}"`), "key", true},
	{"POST /v1/organizations/{org}/usage", usageBy(`"user_id": "{id}"`), "user", true},
}

func billingOf(more string) string {
	return `{"payment_methods": [{"type": "credit_card", "is_default": true, "details": {"stripe_payment_method_id": "pm_1234567890"}}], ` + more + `}`
}

func approvedBy(who string) string {
	return `{"name": "asked for", "statements": [{"effect": "allow", "actions": ["models.use"], "resources": ["model:x"], "conditions": {"approval": {"type": "required", "approvers": ["` + who + `"]}}}]}`
}

func usageBy(who string) string {
	return `[{"specversion": "1.0", "id": "e1", "source": "test", "type": "usage", "data": {"model": "m", "input_tokens": 1, ` + who + `}}]`
}

// payments has a world have a method of payment and an alert.
func (w *settled) payments() {
	o := w.call(200, "PUT", w.fill("/v1/organizations/{org}/billing"), billingOf(`"billing_alerts": [{"type": "threshold", "amount": 9, "notify": ["org_admin"]}]`))
	w.ids["payment"] = o["payment_methods"].([]any)[0].(object)["id"].(string)
	w.ids["alert"] = o["billing_alerts"].([]any)[0].(object)["id"].(string)
}

// unlike is what differs between two worlds.
var unlike = regexp.MustCompile(`"(created_at|updated_at|expires_at|request_id|decision_id)":"[^"]*"|ok_[a-z]+_[0-9a-z]+|\b[a-z]+_[0-9a-z]{20,}\b`)

// TestTheTenantMatrixBelowTheTop gives ids of theirs where they stand deep in a body: they are answered like ids that nobody has,
// and nothing is left in their log (S1).
func TestTheTenantMatrixBelowTheTop(t *testing.T) {
	refused := 0
	for _, b := range below {
		t.Run(b.op+" "+b.what, func(t *testing.T) {
			method, path, _ := strings.Cut(b.op, " ")
			ask := func(of func(id string) string) (int, string) { // in a world of its own: what is taken changes it
				w := newTenants(t)
				w.ours.payments()
				w.theirs.payments()
				require.NotEmpty(t, w.theirs.ids[b.what])
				who := w.ours.owner
				if b.platform {
					who = w.ours.client
				}
				var answer *httptest.ResponseRecorder
				left := w.ours.leaves(func() {
					answer = who.do(method, w.ours.fill(path), w.ours.fill(strings.ReplaceAll(b.body, "{id}", of(w.theirs.ids[b.what]))))
				})
				for _, e := range left {
					require.NotEqual(t, w.theirs.ids["org"], e.OrgID)
				}
				return answer.Code, unlike.ReplaceAllString(answer.Body.String(), "")
			}
			status, nobodys := ask(unknown)
			statusTheirs, theirs := ask(func(id string) string { return id })
			require.Equal(t, status, statusTheirs, theirs)
			require.Equal(t, nobodys, theirs)
			require.Less(t, statusTheirs, 500)
			if statusTheirs >= 400 || strings.Contains(theirs, `"status":4`) || strings.Contains(theirs, `"conflicts":[{`) {
				refused++
			} else {
				t.Logf("taken as it is: %d %s", statusTheirs, theirs)
			}
		})
	}
	require.GreaterOrEqual(t, refused, len(below)-6, "what is taken as it is names who may decide, or a cost centre, and gives nobody anything")
}
