package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

type webhookView struct {
	Base
	OrganizationID string             `json:"organization_id"`
	URL            string             `json:"url"`
	Description    string             `json:"description"`
	Events         []string           `json:"events"`
	Status         orgs.WebhookStatus `json:"status"`
	StatusReason   *string            `json:"status_reason"`
	StatusAt       string             `json:"status_updated_at"`
	SecretAt       string             `json:"secret_updated_at"`
	PreviousEndsAt *string            `json:"previous_secret_expires_at"`
	SucceededAt    *string            `json:"last_success_at"`
	FailedAt       *string            `json:"last_failure_at"`
	FailedReason   *string            `json:"last_failure_reason"`
	Secret         *shownOnce         `json:"secret,omitempty"`
}

func (a *api) renderWebhook(w orgs.Webhook, c orgs.WebhookCalls) webhookView {
	v := webhookView{Base: baseOf(w.Meta), OrganizationID: w.OrgID, URL: w.URL, Description: w.Description, Events: filled(w.Events), Status: w.Status,
		StatusReason: optional(w.StatusReason), StatusAt: httpapi.Stamp(w.StatusAt), SecretAt: httpapi.Stamp(w.SecretAt),
		SucceededAt: httpapi.StampOf(c.SucceededAt), FailedAt: httpapi.StampOf(c.FailedAt), FailedReason: optional(c.FailedReason)}
	if w.PreviousEndsAt != nil && a.Store().Now().Before(*w.PreviousEndsAt) {
		v.PreviousEndsAt = httpapi.StampOf(w.PreviousEndsAt)
	}
	return v
}

// webhook is the answer with one webhook, found or failed.
func (a *api) webhook(ctx context.Context, w orgs.Webhook, err error) (*answer[webhookView], error) {
	if err != nil {
		return nil, err
	}
	calls, err := a.WebhookCalls(ctx, w.OrgID, w.ID)
	return one(w.Version, a.renderWebhook(w, calls[w.ID]), err)
}

type webhookBody struct {
	URL         string             `json:"url"`
	Description string             `json:"description,omitempty"`
	Events      []string           `json:"events,omitempty" doc:"kinds of notifications, such as approval.requested, and globs; absent: all"`
	Status      orgs.WebhookStatus `json:"status,omitempty" enum:"enabled,disabled"`
}

type newWebhook struct {
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Events      []string `json:"events,omitempty" doc:"kinds of notifications, such as approval.requested, and globs; absent: all"`
}

func (a *api) webhooks() {
	const path = "/v1/organizations/{org}/webhooks"
	create[newWebhook](a, path, "Create a webhook", func(ctx context.Context, _ *none) (*answer[webhookView], error) {
		at, in, err := placed[newWebhook](ctx, a)
		if err != nil {
			return nil, err
		}
		w, secret, err := a.CreateWebhook(ctx, at.OrgID, orgs.NewWebhook{URL: in.URL, Description: in.Description, Events: in.Events})
		view := a.renderWebhook(w, orgs.WebhookCalls{})
		view.Secret = once(secret)
		return made(a, pathOf(at)+"/webhooks/"+w.ID, w.Version, view, err)
	})
	add[paging, none](a, http.MethodGet, path, "List webhooks", func(ctx context.Context, q *paging) (*answer[list[webhookView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.Webhooks(ctx, at.OrgID, q.Limit, q.After)
		if err != nil {
			return nil, err
		}
		ids := make([]string, len(page.Items))
		for i, w := range page.Items {
			ids[i] = w.ID
		}
		calls := map[string]orgs.WebhookCalls{}
		if len(ids) > 0 {
			calls, err = a.WebhookCalls(ctx, at.OrgID, ids...)
		}
		return listOf(page, err, always(func(w orgs.Webhook) webhookView { return a.renderWebhook(w, calls[w.ID]) }))
	})
	a.oneWebhook(path + "/{webhook}")
	a.webhookCalls(path + "/{webhook}")
}

func (a *api) oneWebhook(path string) {
	get := func(ctx context.Context) (orgs.Webhook, error) {
		return a.Webhook(ctx, param(ctx, "org"), param(ctx, "webhook"))
	}
	add[none, none](a, http.MethodGet, path, "Get a webhook", func(ctx context.Context, _ *none) (*answer[webhookView], error) {
		w, err := get(ctx)
		return a.webhook(ctx, w, err)
	})
	add[none, webhookBody](a, http.MethodPatch, path, "Change a webhook", func(ctx context.Context, _ *none) (*answer[webhookView], error) {
		w, err := patch(ctx, a, editing[orgs.Webhook, webhookBody]{
			get:     get,
			version: func(w orgs.Webhook) int64 { return w.Version },
			view: func(ctx context.Context, w orgs.Webhook) (any, error) {
				calls, err := a.WebhookCalls(ctx, w.OrgID, w.ID)
				return a.renderWebhook(w, calls[w.ID]), err
			},
			body: func(w orgs.Webhook) webhookBody { return webhookBody{w.URL, w.Description, w.Events, w.Status} },
			put: func(ctx context.Context, w orgs.Webhook, b webhookBody, has fields) (orgs.Webhook, error) {
				if b.Status == "" {
					b.Status = orgs.WebhookEnabled
				}
				return a.UpdateWebhook(ctx, w.OrgID, w.ID, orgs.WebhookUpdate{URL: given(has, "url", b.URL), Description: given(has, "description", b.Description),
					Events: given(has, "events", b.Events), Status: given(has, "status", b.Status)})
			}})
		return a.webhook(ctx, w, err)
	})
	add[none, none](a, http.MethodDelete, path, "Delete a webhook", func(ctx context.Context, _ *none) (*answer[deletedView], error) {
		w, err := a.DeleteWebhook(ctx, param(ctx, "org"), param(ctx, "webhook"))
		return deleted(w.ID, err)
	})
	add[none, rotateBody](a, http.MethodPost, path+"/rotate", "Give a webhook a new secret", func(ctx context.Context, _ *none) (*answer[webhookView], error) {
		at, in, err := placed[rotateBody](ctx, a)
		if err != nil {
			return nil, err
		}
		w, secret, err := a.RotateWebhook(ctx, at.OrgID, param(ctx, "webhook"), time.Duration(in.OverlapMinutes)*time.Minute)
		out, err := a.webhook(ctx, w, err)
		if err == nil {
			out.Body.Secret = once(secret)
		}
		return out, err
	})
}

type failureView struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	CreatedAt string `json:"created_at"`
	FailedAt  string `json:"failed_at"`
	Attempts  int    `json:"attempts"`
	Reason    string `json:"reason"`
}

func renderFailure(f orgs.WebhookFailure) failureView {
	return failureView{f.ID, f.Type, httpapi.Stamp(f.EnqueuedAt), httpapi.Stamp(f.FailedAt), f.Attempts, f.Reason}
}

// webhookCalls serves what is done about single messages.
func (a *api) webhookCalls(path string) {
	add[none, none](a, http.MethodPost, path+"/test", "Have a test sent to a webhook", func(ctx context.Context, _ *none) (*answer[webhookView], error) {
		w, err := a.TestWebhook(ctx, param(ctx, "org"), param(ctx, "webhook"))
		return a.webhook(ctx, w, err)
	})
	add[paging, none](a, http.MethodGet, path+"/failures", "List what could not be delivered to a webhook", func(ctx context.Context, q *paging) (*answer[list[failureView]], error) {
		page, err := a.WebhookFailures(ctx, param(ctx, "org"), param(ctx, "webhook"), q.Limit, q.After)
		return listOf(page, err, always(renderFailure))
	})
	add[none, none](a, http.MethodPost, path+"/failures/{failure}/retry", "Have a message sent again", func(ctx context.Context, _ *none) (*answer[webhookView], error) {
		w, err := a.RetryWebhook(ctx, param(ctx, "org"), param(ctx, "webhook"), param(ctx, "failure"))
		return a.webhook(ctx, w, err)
	})
}
