package rest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestWhoeverReadsTheLogCanProveIt: with nothing but what HTTP says and a checkpoint from before.
func TestWhoeverReadsTheLogCanProveIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		at := "/v1/organizations/" + org + "/audit"
		alice, owner := c.person(org, "alice@acme.com", "org_admin")
		c.post("/v1/organizations/"+org+"/roles", `{"name": "Auditor", "permissions": ["audit.read"]}`)
		for i := range 3 {
			owner.post("/v1/organizations/"+org+"/teams", fmt.Sprintf(`{"name": "Team %d <&>"}`, i))
		}

		point := owner.call(200, "GET", at+"/checkpoint", "")
		verifiers, err := audit.Verifiers(point["keys"].([]any)[0].(string))
		require.NoError(t, err)
		before, err := audit.ReadCheckpoint(point["note"].(string), verifiers)
		require.NoError(t, err)
		require.Equal(t, "orgkit/"+org, before.Origin)
		require.EqualValues(t, before.Size, point["size"])

		page := owner.call(200, "GET", at+"/logs?limit=200&order=asc", "")["data"].([]any)
		require.Len(t, page, int(before.Size))
		for i, e := range page {
			require.EqualValues(t, i, e.(object)["sequence"])
			require.Equal(t, org, e.(object)["organization_id"])
			w := owner.do("GET", fmt.Sprintf("%s/logs/%d/proof", at, i), "")
			require.Equal(t, 200, w.Code, w.Body)
			var p audit.Proof
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
			after, err := p.Verify("orgkit/"+org, verifiers)
			require.NoError(t, err)
			require.Equal(t, e.(object)["id"], p.Entry.ID)
			require.Equal(t, e.(object)["actor"].(object)["label"], p.Entry.ActorLabel)

			var shown struct{ Hashes []tlog.Hash }
			w = owner.do("GET", fmt.Sprintf("%s/consistency?from=%d&to=%d", at, before.Size, after.Size), "")
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &shown))
			require.NoError(t, tlog.CheckTree(shown.Hashes, after.Size, after.Root, before.Size, before.Root))
		}
		reads := owner.call(200, "GET", at+"/logs?event_types=data_access.*&actors=user:"+alice, "")["data"].([]any)
		require.Len(t, reads, 1+len(page), "each reading of events has left one")

		// What is personal goes, by whoever may, and the proofs stay.
		proof := owner.do("GET", at+"/logs/0/proof", "").Body.String()
		require.Contains(t, owner.do("GET", at+"/logs?limit=200", "").Body.String(), "alice@acme.com")
		require.Contains(t, proof, `"erased":false`)
		_, reader := c.person(org, "reader@acme.com", "auditor")
		reader.call(403, "POST", at+"/erasures", `{"user_id": "`+alice+`"}`)
		c.call(404, "POST", at+"/erasures", `{"user_id": "usr_nobody"}`)
		c.call(400, "POST", at+"/erasures", `{}`)
		gone := c.call(200, "POST", at+"/erasures", `{"user_id": "`+alice+`"}`)
		require.Greater(t, gone["events"], 3.0)
		require.NotContains(t, c.do("GET", at+"/logs?limit=200", "").Body.String(), "alice@acme.com")
		var p audit.Proof
		require.NoError(t, json.Unmarshal(c.do("GET", at+"/logs/1/proof", "").Body.Bytes(), &p))
		_, err = p.Verify("orgkit/"+org, verifiers)
		require.NoError(t, err)
		require.True(t, p.Entry.Erased)

		for path, code := range map[string]string{"/logs/9999/proof": "not_found", "/logs/-1/proof": "not_found", "/logs/x/proof": "not_found", "/consistency?from=1&to=9999": "not_found"} {
			require.Equal(t, code, owner.call(404, "GET", at+path, "")["code"], path)
		}
		owner.call(400, "GET", at+"/consistency?from=0&to=1", "")
		owner.call(400, "GET", at+"/consistency", "")
		_, member := c.person(org, "mary@acme.com", "member")
		_, stranger := c.person(c.post("/v1/organizations", `{"name": "Rival"}`)["id"].(string), "eve@rival.com", "org_admin")
		for _, path := range []string{"/checkpoint", "/logs/0/proof", "/consistency?from=1&to=2", "/descendants/logs"} {
			member.call(403, "GET", at+path, "")
			stranger.call(404, "GET", at+path, "")
		}
	})
}

// TestLogsOfOrganizationsBelow: those of all descendants, none of siblings, the parent or its own (F356).
func TestLogsOfOrganizationsBelow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		root := c.post("/v1/organizations", `{"name": "Holding"}`)["id"].(string)
		make := func(name, parent string) string {
			return c.post("/v1/organizations", `{"name": "`+name+`", "parent_id": "`+parent+`"}`)["id"].(string)
		}
		own, sibling := make("Own", root), make("Sibling", root)
		below := []string{make("A", own), make("B", own)}
		below = append(below, make("C", below[0]))
		for i, org := range append([]string{own, sibling, root}, below...) {
			c.post("/v1/organizations/"+org+"/teams", fmt.Sprintf(`{"name": "Team %d"}`, i))
		}
		list := func(c *client, query string) (orgs map[string]int, all []string) {
			orgs = map[string]int{}
			path := "/v1/organizations/" + own + "/audit/descendants/logs?limit=2" + query
			for after := ""; ; {
				page := c.call(200, "GET", path+after, "")
				for _, e := range page["data"].([]any) {
					orgs[e.(object)["organization_id"].(string)]++
					all = append(all, e.(object)["time"].(string)+e.(object)["id"].(string))
				}
				next, more := page["next_cursor"].(string)
				if !more {
					return orgs, all
				}
				after = "&after=" + next
			}
		}
		orgs, all := list(c, "")
		require.Len(t, orgs, 3)
		for _, org := range below {
			require.Equal(t, 2, orgs[org]-orgs[org]%2, "its creation and its team")
		}
		require.IsNonIncreasing(t, times(all))
		_, up := list(c, "&order=asc")
		require.IsNonDecreasing(t, times(up))
		require.ElementsMatch(t, all, up)
		teams, _ := list(c, "&event_types=team.created")
		require.Equal(t, map[string]int{below[0]: 1, below[1]: 1, below[2]: 1}, teams)

		// Rights flow down with inherited roles only.
		c.post("/v1/organizations/"+own+"/roles", `{"name": "Auditor", "permissions": ["audit.read"]}`)
		_, auditor := c.person(own, "auditor@own.com", "auditor")
		orgs, _ = list(auditor, "")
		require.Empty(t, orgs)
		_, owner := c.person(own, "owner@own.com", "org_admin")
		orgs, _ = list(owner, "")
		require.Len(t, orgs, 3)
	})
}

func times(all []string) (out []string) {
	for _, s := range all {
		out = append(out, s[:strings.Index(s, "Z")])
	}
	return out
}
