package orgs_test

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
)

var webhookMethods = []method{
	{name: "CreateWebhook",
		call: func(ctx context.Context, f *fixture) (any, error) {
			w, _, err := f.CreateWebhook(ctx, f.id.Org, orgs.NewWebhook{URL: "https://hooks.acme.com/new"})
			return w, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			w, _, err := f.CreateWebhook(ctx, f.id.Org, orgs.NewWebhook{URL: "https://127.0.0.1/"})
			return w, err
		}},
	{name: "UpdateWebhook", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateWebhook(ctx, f.id.Org, f.id.Webhook, orgs.WebhookUpdate{Description: ptr("new")})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateWebhook(ctx, f.id.Org, f.id.Webhook, orgs.WebhookUpdate{Description: ptr(long)})
		}},
	{name: "RotateWebhook", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			w, _, err := f.RotateWebhook(ctx, f.id.Org, f.id.Webhook, time.Hour)
			return w, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			w, _, err := f.RotateWebhook(ctx, f.id.Org, f.id.Webhook, -time.Hour)
			return w, err
		}},
	{name: "DeleteWebhook", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteWebhook(ctx, f.id.Org, f.id.Webhook)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteWebhook(ctx, f.id.Org, f.id.Policy)
		}},
	{name: "TestWebhook", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.TestWebhook(ctx, f.id.Org, f.id.Webhook)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.TestWebhook(ctx, f.id.Org, f.id.Policy)
		}},
	{name: "RetryWebhook", nested: true, first: givenUp,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.RetryWebhook(ctx, f.id.Org, f.id.Webhook, f.id.Failure)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.RetryWebhook(ctx, f.id.Org, f.id.Webhook, "job_none")
		}},
	{name: "Webhook", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Manager.Webhook(ctx, f.id.Org, f.id.Webhook)
		}},
	{name: "Webhooks", reads: true,
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Webhooks(ctx, f.id.Org, 0, "") }},
	{name: "WebhookFailures", reads: true, nested: true, first: givenUp,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.WebhookFailures(ctx, f.id.Org, f.id.Webhook, 0, "")
		}},
	{name: "WebhookCalls", reads: true, nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.WebhookCalls(ctx, f.id.Org, f.id.Webhook)
		}},
}

// givenUp lets a message for the webhook fail for good.
func givenUp(ctx context.Context, f *fixture) error {
	err := f.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		f.id.Failure, _, err = jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: orgs.WebhookJob, OrgID: f.id.Org,
			Payload: orgs.WebhookDelivery{WebhookID: f.id.Webhook, Type: "member.invited", Body: []byte("{}")}})
		return err
	})
	if err != nil {
		return err
	}
	w := jobs.NewWorker(f.Store(), nil)
	w.Handle(orgs.WebhookJob, func(context.Context, jobs.Job) error { return jobs.Permanent(errors.New("no")) }, nil)
	if n, _ := w.RunDue(ctx); n != 1 {
		return errors.New("it did not run")
	}
	return nil
}
