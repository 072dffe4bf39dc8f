package rest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestTheSeedsAuditConfiguration: the document's body as it stands there (F272 to F275, F285 to F296, F336, F459, F471).
func TestTheSeedsAuditConfiguration(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		path := "/v1/organizations/" + org + "/audit"
		_, owner := c.person(org, "owner@acme.com", "org_admin")

		fresh := owner.call(200, "GET", path, "") // F016
		require.Equal(t, []any{true, 365.0, nil, `"0"`}, []any{fresh["enabled"], fresh["retention_days"], fresh["hold_from"], fresh["etag"]})
		require.Empty(t, fresh["export_destinations"])

		clock.Advance(time.Hour)
		sent := parse(t, body(t, "audit"))
		answer := owner.with("If-Match", `"0"`).call(200, "PUT", path, body(t, "audit"))
		shown := owner.call(200, "GET", path, "")
		var codes []string
		for _, w := range answer["warnings"].([]any) {
			codes = append(codes, w.(object)["code"].(string)+" "+w.(object)["field"].(string))
		}
		require.Equal(t, []string{"retention_below_floor retention_days",
			"region_unknown export_destinations[0].region", "region_unknown export_destinations[1].region"}, codes)
		delete(answer, "warnings")
		require.Equal(t, shown, answer)
		require.Equal(t, org, shown["organization_id"])
		for _, field := range []string{"enabled", "retention_days", "events_to_log", "compliance"} {
			require.Equal(t, sent[field], shown[field], field)
		}
		list := shown["export_destinations"].([]any)
		bucket, sink := list[0].(object), list[1].(object)
		require.Regexp(t, "^dst_", bucket["id"])
		now := clock.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		require.Equal(t, object{"id": bucket["id"], "type": "s3", "bucket": "acme-audit-logs", "prefix": "parrotrouter/", "encryption": "AES256", "region": "unknown",
			"status": "unverified", "status_reason": nil, "checked_at": nil, "sent_at": nil, "retry_at": nil, "next_sequence": 0.0, "access_key_id_set": false, "secret_access_key_set": false}, bucket)
		require.Equal(t, object{"id": sink["id"], "type": "siem", "endpoint": "https://siem.acme.com/api/logs", "format": "json", "region": "unknown",
			"status": "unverified", "status_reason": nil, "checked_at": nil, "sent_at": nil, "retry_at": nil, "next_sequence": sink["next_sequence"], "api_key_set": true, "api_key_updated_at": now}, sink)

		retried := owner.call(200, "POST", path+"/destinations/"+sink["id"].(string)+"/retry", "")
		require.Equal(t, sink, retried)
		owner.call(404, "POST", path+"/destinations/dst_none/retry", "")

		clock.Advance(time.Hour)
		again := owner.call(200, "PUT", path, body(t, "audit"))
		require.Equal(t, shown["export_destinations"], again["export_destinations"], "sent again it is the same")
		require.Equal(t, "version_mismatch", owner.with("If-Match", shown["etag"].(string)).call(412, "PUT", path, `{}`)["code"])

		events := owner.do("GET", path+"/logs?limit=200", "").Body.String()
		require.Contains(t, events, "audit.config_changed")
		require.NotContains(t, events, "siem_key_123")
		require.NotContains(t, events, "seal1.")

		keep := strings.Replace(body(t, "audit"), `"api_key": "siem_key_123",`, "", 1)
		require.Equal(t, true, destination(owner.call(200, "PUT", path, keep), 1)["api_key_set"], "absent keeps")
		null := strings.Replace(body(t, "audit"), `"siem_key_123"`, "null", 1)
		require.Equal(t, false, destination(owner.call(200, "PUT", path, null), 1)["api_key_set"], "null removes")

		held := owner.call(200, "PUT", path, `{"hold_from": "2024-01-01T00:00:00Z"}`)
		require.Equal(t, "2024-01-01T00:00:00.000000Z", held["hold_from"])
		require.Equal(t, held["hold_from"], owner.call(200, "PUT", path, `{"retention_days": 1}`)["hold_from"])
		lifted := owner.call(200, "PUT", path, `{"hold_from": null}`)
		require.Nil(t, lifted["hold_from"])
		require.Equal(t, fresh["events_to_log"], lifted["events_to_log"], "what is absent has its default")
		require.Empty(t, lifted["export_destinations"])

		_, member := c.person(org, "mary@acme.com", "member")
		member.call(403, "GET", path, "")
		member.call(403, "PUT", path, `{}`)
		member.call(403, "POST", path+"/destinations/dst_none/retry", "")
	})
}

func destination(config object, i int) object {
	return config["export_destinations"].([]any)[i].(object)
}

func TestFaultyAuditConfigurationsAreRefusedByField(t *testing.T) {
	c, org, _, _ := world(t)
	path := "/v1/organizations/" + org + "/audit"
	before := c.call(200, "GET", path, "")
	s3 := func(more string) string {
		return `{"export_destinations": [{"type": "s3", "bucket": "acme-audit-logs"}, {"type": "s3", "bucket": "another-one"` + more + `}]}`
	}
	siem := func(more string) string {
		return `{"export_destinations": [{"type": "s3", "bucket": "acme-audit-logs"}, {"type": "siem"` + more + `}]}`
	}
	const at = "body.export_destinations[1]"
	url := `, "endpoint": "https://siem.acme.com"`
	for _, b := range []struct{ body, field string }{
		{`{"enabled": "` + canary + `"}`, "body.enabled"},
		{`{"retention_days": 0}`, "body.retention_days"},
		{`{"retention_days": 3651}`, "body.retention_days"},
		{`{"retention_days": 1.5}`, "body.retention_days"},
		{`{"retention": "` + canary + `"}`, "body.retention"},
		{`{"hold_from": "` + canary + `"}`, "body.hold_from"},
		{`{"hold_from": ""}`, "body.hold_from"},
		{`{"events_to_log": "*"}`, "body.events_to_log"},
		{`{"events_to_log": ["team.*", "` + canary + `"]}`, "body.events_to_log[1]"},
		{`{"events_to_log": ["teams.*"]}`, "body.events_to_log[0]"},
		{`{"compliance": {"standards": ["` + canary + `"]}}`, "body.compliance.standards[0]"},
		{`{"compliance": {"data_residency": "` + canary + `"}}`, "body.compliance.data_residency"},
		{`{"compliance": {"encryption": true}}`, "body.compliance.encryption"},
		{`{"export_destinations": {}}`, "body.export_destinations"},
		{`{"export_destinations": [null]}`, "body.export_destinations[0]"},
		{`{"export_destinations": [{"bucket": "acme-audit-logs"}]}`, "body.export_destinations[0].type"},
		{`{"export_destinations": [{"type": "` + canary + `"}]}`, "body.export_destinations[0].type"},
		{s3(`, "id": "` + canary + `"`), at + ".id"},
		{s3(`, "encryption": "` + canary + `"`), at + ".encryption"},
		{s3(`, "prefix": "/` + canary + `"`), at + ".prefix"},
		{s3(`, "endpoint": "https://127.0.0.1/` + canary + `"`), at + ".endpoint"},
		{s3(`, "api_key": "` + canary + `"`), at + ".api_key"},
		{s3(`, "access_key_id": "` + canary + `"`), at + ".secret_access_key"},
		{s3(`, "secret_access_key": "` + canary + ` \r\n", "access_key_id": "x"`), at + ".secret_access_key"},
		{siem(``), at + ".endpoint"},
		{siem(`, "endpoint": "http://siem.acme.com/` + canary + `"`), at + ".endpoint"},
		{siem(`, "endpoint": "https://` + canary + `:x@siem.acme.com/"`), at + ".endpoint"},
		{siem(`, "endpoint": "https://10.0.0.1/` + canary + `"`), at + ".endpoint"},
		{siem(url + `, "format": "` + canary + `"`), at + ".format"},
		{siem(url + `, "bucket": "` + canary + `"`), at + ".bucket"},
		{siem(url + `, "region": "` + canary + `"`), at + ".region"},
		{siem(url + `, "api_key": ""`), at + ".api_key"},
		{siem(url + `, "api_key": {"` + canary + `": 1}`), at + ".api_key"},
		{siem(url + `, "api_key": 17`), at + ".api_key"},
		{siem(url + `, "api_key": "[redacted]"`), ""},
		{`{"compliance": {"data_residency": "US"}, "export_destinations": [{"type": "siem", "region": "EU"` + url + `}]}`, "body.export_destinations[0].region"},
		{`{"export_destinations": [{"type": "siem"` + url + `}, {"type": "siem"` + url + `}]}`, at},
	} {
		w := c.do("PUT", path, b.body)
		require.Equal(t, 400, w.Code, "%s: %s", b.body, w.Body)
		var p struct {
			Errors []struct{ Location, Code, Message string }
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
		if b.field != "" {
			require.NotEmpty(t, p.Errors, w.Body)
			require.Equal(t, b.field, p.Errors[0].Location, "%s: %s", b.body, w.Body)
		}
		require.NotContains(t, w.Body.String(), canary)
	}
	require.Equal(t, before, c.call(200, "GET", path, ""), "nothing was stored")
}

// TestAConfigurationCanBeSentBack: what was read is what may be written, and a patch changes a part of it.
func TestAConfigurationCanBeSentBack(t *testing.T) { // F272
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		path := "/v1/organizations/" + org + "/audit"
		_, owner := c.person(org, "owner@acme.com", "org_admin")
		send := func(method string, o object) object {
			text, err := json.Marshal(o)
			require.NoError(t, err)
			return owner.call(200, method, path, string(text))
		}
		same := func(was, is object) {
			t.Helper()
			for _, o := range []object{was, is} {
				for _, field := range []string{"etag", "updated_at", "warnings"} {
					delete(o, field)
				}
			}
			require.Equal(t, was, is)
		}
		fresh := owner.call(200, "GET", path, "")
		require.Equal(t, object{"record": "denied", "sample_per_mille": 0.0}, fresh["decisions"])
		same(send("PUT", fresh), fresh)
		owner.call(200, "PUT", path, body(t, "audit"))
		send("PATCH", object{"hold_from": "2024-01-01T00:00:00Z", "decisions": object{"record": "sampled"}})
		full := owner.call(200, "GET", path, "")
		require.Equal(t, object{"record": "sampled", "sample_per_mille": 10.0}, full["decisions"])
		require.Equal(t, true, destination(full, 1)["api_key_set"], "a patch keeps what it does not name, secrets too")
		clock.Advance(time.Hour)
		answer := send("PUT", full)
		require.Len(t, answer["warnings"], 3)
		withWarnings := send("PUT", answer) // also what a change has answered
		same(full, withWarnings)
		same(send("PATCH", full), full)

		off := send("PATCH", object{"enabled": false})
		require.Equal(t, []any{false, full["retention_days"], full["hold_from"], full["events_to_log"], full["export_destinations"], full["compliance"]},
			[]any{off["enabled"], off["retention_days"], off["hold_from"], off["events_to_log"], off["export_destinations"], off["compliance"]})
		require.Nil(t, send("PATCH", object{"hold_from": nil})["hold_from"])
		require.Equal(t, 365.0, send("PATCH", object{"retention_days": nil})["retention_days"], "null is the default")
		require.Empty(t, send("PATCH", object{"export_destinations": []any{}})["export_destinations"])
		require.Equal(t, object{"record": "denied", "sample_per_mille": 0.0}, send("PATCH", object{"decisions": object{"record": "denied"}})["decisions"])

		for _, b := range []struct{ body, field string }{
			{`{"id": "org_other"}`, "body.id"}, {`{"organization_id": "org_other"}`, "body.organization_id"}, {`{"etag": "\"9\""}`, "body.etag"},
			{`{"statuses": 1}`, "body.statuses"}, {`{"decisions": {"record": "some"}}`, "body.decisions.record"},
			{`{"decisions": {"record": "sampled", "sample_per_mille": 1000}}`, "body.decisions.sample_per_mille"},
			{`{"retention_days": 0}`, "body.retention_days"}, {`{"export_destinations": [{"type": "siem", "endpoint": "https://siem.acme.com", "stats": 1}]}`, "body.export_destinations[0].stats"},
		} {
			answer := owner.call(400, "PATCH", path, b.body)
			require.Equal(t, b.field, entry(answer["errors"], 0)["location"], "%s: %v", b.body, answer)
		}
		require.Equal(t, "version_mismatch", owner.with("If-Match", `"1"`).call(412, "PATCH", path, `{"enabled": true}`)["code"])
		_, member := c.person(org, "mary@acme.com", "member")
		member.call(403, "PATCH", path, `{}`)
	})
}
