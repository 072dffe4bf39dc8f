package rest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestWebhooksAreKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		at := "/v1/organizations/" + org
		path := at + "/webhooks"
		_, owner := c.person(org, "owner@acme.com", "org_admin")

		made := owner.post(path, `{"url": "https://hooks.acme.com/in", "description": " Ours ", "events": ["approval.*", "member.invited"]}`)
		one := path + "/" + made["id"].(string)
		secret := made["secret"].(string)
		require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, secret)
		require.Equal(t, []any{"enabled", "Ours", nil, nil, nil}, []any{made["status"], made["description"], made["status_reason"], made["last_success_at"], made["previous_secret_expires_at"]})
		shown := owner.call(200, "GET", one, "")
		require.NotContains(t, shown, "secret")
		delete(made, "secret")
		require.Equal(t, made, shown)
		require.Equal(t, []string{made["id"].(string)}, owner.ids(path))

		clock.Advance(time.Second)
		changed := owner.with("If-Match", shown["etag"].(string)).call(200, "PATCH", one, `{"url": "https://hooks.acme.com/other", "events": null, "status": "disabled"}`)
		require.Equal(t, []any{"https://hooks.acme.com/other", []any{}, "disabled", "Ours", "2024-03-05T12:00:01.000Z"},
			[]any{changed["url"], changed["events"], changed["status"], changed["description"], changed["status_updated_at"]})
		owner.with("If-Match", shown["etag"].(string)).call(412, "PATCH", one, `{"description": "x"}`)
		require.Equal(t, "conflict", owner.call(409, "POST", one+"/test", "")["code"], "it is disabled")
		require.Equal(t, "enabled", owner.call(200, "PATCH", one, `{"status": null}`)["status"])
		owner.call(200, "POST", one+"/test", "")

		rotated := owner.call(200, "POST", one+"/rotate", `{"overlap_minutes": 60}`)
		require.NotEqual(t, secret, rotated["secret"])
		require.Equal(t, "2024-03-05T13:00:01.000Z", rotated["previous_secret_expires_at"])
		clock.Advance(time.Hour)
		require.Nil(t, owner.call(200, "GET", one, "")["previous_secret_expires_at"])

		log := owner.do("GET", at+"/audit/logs?resources=webhook:"+made["id"].(string), "").Body.String()
		for _, event := range []string{"webhook.created", "webhook.updated", "webhook.tested", "webhook.rotated"} {
			require.Contains(t, log, event)
		}
		for _, hidden := range []string{secret, rotated["secret"].(string), "seal1."} {
			require.NotContains(t, log, hidden)
		}
		require.Equal(t, object{"id": made["id"], "deleted": true}, owner.call(200, "DELETE", one, ""))
		owner.call(404, "GET", one, "")
		require.Empty(t, owner.ids(path))
	})
}

func TestWebhooksThatCannotBe(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		path := "/v1/organizations/" + org + "/webhooks"
		_, owner := c.person(org, "owner@acme.com", "org_admin")
		for body, field := range map[string]string{
			`{}`: "body.url",
			`{"url": "http://hooks.acme.com/` + canary + `"}`:                                            "body.url",
			`{"url": "https://10.0.0.1/` + canary + `"}`:                                                 "body.url",
			`{"url": "https://u:` + canary + `@hooks.acme.com/"}`:                                        "body.url",
			`{"url": "https://hooks.acme.com/", "events": ["` + canary + `"]}`:                           "body.events[0]",
			`{"url": "https://hooks.acme.com/", "events": ["member.invited", "policy.*"]}`:               "body.events[1]",
			`{"url": "https://hooks.acme.com/", "description": "` + strings.Repeat("x", 2001) + `"}`:     "body.description",
			`{"url": "https://hooks.acme.com/", "secret": "` + canary + `"}`:                             "body.secret",
			`{"url": "https://hooks.acme.com/", "events": ["a.b"` + strings.Repeat(`, "a.b"`, 50) + `]}`: "body.events",
		} {
			w := owner.do("POST", path, body)
			require.Equal(t, 400, w.Code, body)
			require.Equal(t, field, parse(t, w.Body.String())["errors"].([]any)[0].(object)["location"], body)
			require.NotContains(t, w.Body.String(), canary)
		}
		require.Empty(t, owner.ids(path))
		one := path + "/" + owner.post(path, `{"url": "https://hooks.acme.com/"}`)["id"].(string)
		for body, field := range map[string]string{`{"url": "https://localhost/"}`: "body.url", `{"status": "paused"}`: "body.status", `{"url": null}`: "body.url", `{"secret_updated_at": "x"}`: "body.secret_updated_at"} {
			require.Equal(t, field, owner.call(400, "PATCH", one, body)["errors"].([]any)[0].(object)["location"], body)
		}
		owner.call(400, "POST", one+"/rotate", `{"overlap_minutes": 43201}`)
		for range orgs.MaxWebhooks - 1 {
			owner.post(path, `{"url": "https://hooks.acme.com/"}`)
		}
		require.Equal(t, "conflict", owner.call(409, "POST", path, `{"url": "https://hooks.acme.com/"}`)["code"])
	})
}

func TestWebhooksAreOfTheirOrganization(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org, other := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string), c.post("/v1/organizations", `{"name": "Other"}`)["id"].(string)
		_, member := c.person(org, "member@acme.com", "member")
		_, stranger := c.person(other, "stranger@other.com", "org_admin")
		path := "/v1/organizations/" + org + "/webhooks"
		id := c.post(path, `{"url": "https://hooks.acme.com/"}`)["id"].(string)
		for _, r := range [][2]string{{"GET", path}, {"POST", path}, {"GET", path + "/" + id}, {"PATCH", path + "/" + id}, {"DELETE", path + "/" + id},
			{"POST", path + "/" + id + "/rotate"}, {"POST", path + "/" + id + "/test"}, {"GET", path + "/" + id + "/failures"}, {"POST", path + "/" + id + "/failures/job_1/retry"}} {
			body := ""
			if r[0] != "GET" {
				body = `{"url": "https://hooks.acme.com/"}`
			}
			if strings.HasSuffix(r[1], "/rotate") {
				body = ""
			}
			require.Equal(t, 403, member.do(r[0], r[1], body).Code, r)
			require.Equal(t, 404, stranger.do(r[0], r[1], "{").Code, r)
			if r[1] != path { // which is their own there
				require.Equal(t, 404, stranger.do(r[0], strings.Replace(r[1], org, other, 1), body).Code, r)
			}
		}
	})
}

// undelivered is a message that could not be delivered to a webhook, and the worker that could not.
func undelivered(t *testing.T, s *store.Store, org, webhook string) (id string, w *jobs.Worker) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
		id, _, err = jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: orgs.WebhookJob, OrgID: org,
			Payload: orgs.WebhookDelivery{WebhookID: webhook, Type: "member.invited", Body: []byte("{}")}})
		return err
	}))
	w = jobs.NewWorker(s, nil)
	w.Handle(orgs.WebhookJob, func(context.Context, jobs.Job) error { return jobs.Permanent(errors.New("status 503")) }, nil)
	_, err := w.RunDue(t.Context())
	require.Error(t, err)
	return id, w
}

func TestWhatCouldNotBeDeliveredIsSentAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
		path := "/v1/organizations/" + org + "/webhooks"
		one, two := path+"/"+c.post(path, `{"url": "https://hooks.acme.com/"}`)["id"].(string), path+"/"+c.post(path, `{"url": "https://hooks.acme.com/"}`)["id"].(string)
		id, w := undelivered(t, s, org, one[strings.LastIndex(one, "/")+1:])
		require.Equal(t, []any{object{"id": id, "type": "member.invited", "created_at": "2024-03-05T12:00:00.000Z", "failed_at": "2024-03-05T12:00:00.000Z", "attempts": 1.0, "reason": "status 503"}},
			c.call(200, "GET", one+"/failures", "")["data"])
		require.Empty(t, c.call(200, "GET", two+"/failures", "")["data"])
		c.call(404, "POST", two+"/failures/"+id+"/retry", "")
		c.call(200, "POST", one+"/failures/"+id+"/retry", "")
		require.Empty(t, c.call(200, "GET", one+"/failures", "")["data"])
		c.call(404, "POST", one+"/failures/"+id+"/retry", "")
		n, _ := w.RunDue(t.Context())
		require.Equal(t, 1, n)
	})
}
