package orgs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/seal"
)

// WebhookJob is the kind of the jobs that call webhooks. Their payload is a [WebhookDelivery].
const WebhookJob = "webhook.delivery"

// WebhookDelivery is one message for one webhook.
type WebhookDelivery struct {
	WebhookID string          `json:"webhook_id"`
	Type      string          `json:"type"` // kind of the notification
	Body      json.RawMessage `json:"body"` // as it is sent, byte for byte
}

// Listening returns the ids of the enabled webhooks that are called with notifications of the kind. It asks nobody.
func Listening(ctx context.Context, tx *store.Tx, orgID, kind string) (ids []string, err error) {
	for w, err := range webhooks.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}, Order: []store.Order{store.Asc("created_at")}}) {
		if err != nil {
			return nil, err
		}
		if w.Status == WebhookEnabled && w.Wants(kind) {
			ids = append(ids, w.ID)
		}
	}
	return ids, nil
}

// WebhookTarget is what is needed to call a webhook.
type WebhookTarget struct {
	URL     string
	Secrets []seal.Secret // that sign, the newest first
}

// WebhookTarget returns where and how an enabled webhook is called. One that is disabled or gone, or whose organization is
// deleted, is store.ErrNotFound. It asks nobody.
func (m *Manager) WebhookTarget(ctx context.Context, tx *store.Tx, orgID, id string) (t WebhookTarget, err error) {
	w, err := ownWebhook(ctx, tx, orgID, id)
	if err != nil {
		return t, err
	}
	chain, err := rbac.Lineage(ctx, tx, orgID)
	if err != nil {
		return t, err
	}
	if w.Status != WebhookEnabled || rbac.Effective(chain) == rbac.Gone {
		return t, store.ErrNotFound
	}
	t.URL = w.URL
	sealed := []string{w.Sealed}
	if w.PreviousEndsAt != nil && tx.Now().Before(*w.PreviousEndsAt) {
		sealed = append(sealed, w.PreviousSealed)
	}
	for _, text := range sealed {
		secret, err := m.opt.Seal.Open(seal.Sealed(text), w.place())
		if err != nil {
			return t, err
		}
		t.Secrets = append(t.Secrets, secret)
	}
	return t, nil
}

// TestWebhook has a message of the kind webhook.test sent to one webhook, whatever its events. A webhook that is disabled
// is a conflict. It needs webhooks.update.
func (m *Manager) TestWebhook(ctx context.Context, org, id string) (Webhook, error) {
	return m.aboutWebhook(ctx, org, id, "webhook.tested", func(ctx context.Context, tx *store.Tx, w Webhook) (any, error) {
		if err := m.canCall(&w); err != nil {
			return nil, err
		}
		if w.Status != WebhookEnabled {
			return nil, &store.ConflictError{Code: "conflict", Message: "the webhook is disabled"}
		}
		return nil, m.Tell(ctx, tx, Notification{Kind: KindWebhookTest, OrgID: w.OrgID, About: WebhookTest{w.ID}})
	})
}

// aboutWebhook does something about a webhook that does not change it. The event has the data.
func (m *Manager) aboutWebhook(ctx context.Context, org, id, event string, fn func(ctx context.Context, tx *store.Tx, w Webhook) (data any, err error)) (w Webhook, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return w, err
	}
	op := rbac.Op{Action: "webhooks.update", OrgID: orgID, Resource: "webhook:" + id}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if w, err = ownWebhook(ctx, tx, orgID, id); err != nil {
			return audit.Change{}, err
		}
		data, err := fn(ctx, tx, w)
		return audit.Change{Type: event, Resource: w.AuditResource(), Data: data}, err
	})
	return w, err
}

// errSettled ends a change that somebody else has made already.
var errSettled = errors.New("orgs: settled meanwhile")

// DisableWebhook stops a webhook whose receiver asked for that, with the reason for the event. It is the platform's; one
// that is disabled or gone stays as it is.
func (m *Manager) DisableWebhook(ctx context.Context, orgID, id, reason string) error {
	op := rbac.Op{Action: "webhooks.disable", OrgID: orgID, Platform: true}
	err := m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		w, err := ownWebhook(ctx, tx, orgID, id)
		if err != nil {
			return audit.Change{}, err
		}
		if w.Status != WebhookEnabled {
			return audit.Change{}, errSettled
		}
		before := w
		w.Status, w.StatusReason, w.StatusAt = WebhookDisabled, reason, tx.Now()
		return audit.Updated(before, &w).As("webhook.disabled").Because(reason), webhooks.Update(ctx, tx, &w)
	})
	if errors.Is(err, errSettled) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// WebhookCalls is what became of the last calls of a webhook. It is kept beside it, so that calls change no version.
type WebhookCalls struct {
	store.Meta   // the id is that of the webhook
	OrgID        string
	SucceededAt  *time.Time
	FailedAt     *time.Time
	FailedReason string // such as "status 503"
}

var webhookCalls = store.Define[WebhookCalls]("webhook_calls", "hook")

// NoteWebhookCall notes what became of a call; reason is why it failed, "" if it did not. Of two at the same moment one is
// noted. It asks nobody: it is for who calls.
func NoteWebhookCall(ctx context.Context, tx *store.Tx, orgID, id, reason string) error {
	c, err := webhookCalls.Get(ctx, tx, id)
	fresh := errors.Is(err, store.ErrNotFound)
	if err != nil && !fresh {
		return err
	}
	c.ID, c.OrgID = id, orgID
	if now := tx.Now(); reason == "" {
		c.SucceededAt = &now
	} else {
		c.FailedAt, c.FailedReason = &now, reason
	}
	if fresh {
		_, err = webhookCalls.InsertNew(ctx, tx, &c)
		return err
	}
	return webhookCalls.Update(ctx, tx, &c)
}

// forgetDeliveries forgets what became of the calls of a webhook that is deleted.
func forgetDeliveries(ctx context.Context, tx *store.Tx, id string) error {
	if _, err := webhookCalls.Get(ctx, tx, id); errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	return webhookCalls.Delete(ctx, tx, id)
}

// WebhookCalls says of webhooks of an organization what became of their last calls; those that were never called are not in
// it. It needs webhooks.read.
func (m *Manager) WebhookCalls(ctx context.Context, orgID string, ids ...string) (calls map[string]WebhookCalls, err error) {
	op := rbac.Op{Action: "webhooks.read", OrgID: orgID}
	if len(ids) == 1 {
		op.Answer = ids[0]
	}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		calls = map[string]WebhookCalls{}
		for c, err := range webhookCalls.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", ids), store.Eq("org_id", orgID)}}) {
			if err != nil {
				return err
			}
			calls[c.ID] = c
		}
		return nil
	})
	return calls, err
}

// WebhookFailure is a message that was given up after its last attempt.
type WebhookFailure struct {
	ID         string // that of the message, which its receiver knows too
	Type       string
	EnqueuedAt time.Time
	FailedAt   time.Time
	Attempts   int
	Reason     string
}

// WebhookFailures lists what could not be delivered to a webhook, the last to fail first. A page may hold fewer than it
// could, and yet not be the last one. It needs webhooks.read.
func (m *Manager) WebhookFailures(ctx context.Context, org, id string, limit int, after string) (page store.Page[WebhookFailure], err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return page, err
	}
	err = m.Read(ctx, rbac.Op{Action: "webhooks.read", OrgID: orgID, Resource: "webhook:" + id}, func(ctx context.Context, tx *store.Tx) error {
		if _, err := ownWebhook(ctx, tx, orgID, id); err != nil {
			return err
		}
		page, err = deadDeliveries(ctx, tx, orgID, id, limit, after)
		return err
	})
	return page, err
}

func deadDeliveries(ctx context.Context, tx *store.Tx, orgID, id string, limit int, after string) (page store.Page[WebhookFailure], err error) {
	dead, err := jobs.DeadLetters(ctx, tx, jobs.DeadQuery{OrgID: orgID, Kind: WebhookJob, Limit: limit, After: after})
	if err != nil {
		return page, err
	}
	page.Next = dead.Next
	for _, d := range dead.Items {
		var of WebhookDelivery
		if err := d.Decode(&of); err != nil {
			return page, err
		}
		if of.WebhookID == id {
			page.Items = append(page.Items, WebhookFailure{d.ID, of.Type, d.EnqueuedAt, d.DiedAt, d.Attempt, d.LastError})
		}
	}
	return page, nil
}

// RetryWebhook has a message that was given up sent again, with all of its attempts. What is none of the webhook's is
// store.ErrNotFound. It needs webhooks.update.
func (m *Manager) RetryWebhook(ctx context.Context, org, id, failure string) (Webhook, error) {
	return m.aboutWebhook(ctx, org, id, "webhook.retried", func(ctx context.Context, tx *store.Tx, w Webhook) (any, error) {
		for after := ""; ; {
			page, err := deadDeliveries(ctx, tx, w.OrgID, w.ID, 0, after)
			if err != nil {
				return nil, err
			}
			if _, is := find(page.Items, func(f WebhookFailure) bool { return f.ID == failure }); is {
				return map[string]string{"message": failure}, jobs.Retry(ctx, tx, w.OrgID, failure)
			}
			if after = page.Next; after == "" {
				return nil, store.ErrNotFound
			}
		}
	})
}
