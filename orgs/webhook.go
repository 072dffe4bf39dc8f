package orgs

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// WebhookStatus says whether a webhook is called.
type WebhookStatus string

// The statuses.
const (
	WebhookEnabled  WebhookStatus = "enabled"
	WebhookDisabled WebhookStatus = "disabled"
)

// Webhook is a URL of an organization that is called with its notifications, signed as Standard Webhooks says. Its
// secret is shown once, when it is made, and kept sealed.
type Webhook struct {
	store.Meta
	OrgID        string        `json:"organization_id"`
	URL          string        `json:"url"`
	Description  string        `json:"description"`
	Events       []string      `json:"events"` // kinds, globs of kinds and families; none is all
	Status       WebhookStatus `json:"status"`
	StatusReason string        `json:"status_reason"` // why it is disabled
	StatusAt     time.Time     `json:"status_at"`     // since when it is what it is
	Sealed       string        `json:"-"`             // the secret
	SecretAt     time.Time     `json:"secret_updated_at"`

	// The secret before the last rotation, for as long as both sign.
	PreviousSealed string     `json:"-"`
	PreviousEndsAt *time.Time `json:"previous_ends_at"`
}

var webhooks = store.Define[Webhook]("webhooks", "hook", store.Index("org_id", "created_at"))

// AuditResource is how the log names the webhook.
func (w Webhook) AuditResource() audit.Resource { return audit.Resource{Type: "webhook", ID: w.ID} }

// Wants says whether the webhook is called with notifications of the kind.
func (w Webhook) Wants(kind string) bool {
	return len(w.Events) == 0 || slices.ContainsFunc(w.Events, func(glob string) bool { return audit.MatchType(glob, kind) })
}

// Limits of webhooks.
const (
	MaxWebhooks      = 20 // of an organization
	MaxWebhookEvents = 50
)

func (w *Webhook) validate() error {
	w.Description = strings.TrimSpace(w.Description)
	if err := rbac.CheckText("description", w.Description, 0, rbac.MaxDescription); err != nil {
		return err
	}
	if len(w.Events) > MaxWebhookEvents {
		return store.Invalid("events", "range", "must have at most %d entries", MaxWebhookEvents)
	}
	for i, glob := range w.Events {
		if !slices.ContainsFunc(NotificationKinds(), func(kind string) bool { return audit.MatchType(glob, kind) }) {
			return store.Invalid(fmt.Sprintf("events[%d]", i), "unknown", "matches no kind of notification")
		}
	}
	return nil
}

// canCall refuses what the host could not call: nothing is kept that does not work.
func (m *Manager) canCall(w *Webhook) error {
	switch {
	case m.opt.Notifier == nil:
		return store.Invalid("url", "no_delivery", "needs a host that delivers notifications")
	case m.opt.URLs == nil:
		return store.Invalid("url", audit.URLCode, "the host has set up nothing that may call URLs")
	case !m.opt.Seal.Ready():
		return noSealingKey("url")
	}
	if err := m.opt.URLs.Check(w.URL); err != nil {
		return store.Invalid("url", audit.URLCode, "%v", err)
	}
	return nil
}

// NewWebhook is the input of [Manager.CreateWebhook].
type NewWebhook struct {
	URL         string
	Description string
	Events      []string // none is all
}

// CreateWebhook makes a webhook and returns its secret, whsec_ and base64 of 32 random bytes. It needs
// webhooks.create.
func (m *Manager) CreateWebhook(ctx context.Context, org string, in NewWebhook) (w Webhook, secret string, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return w, "", err
	}
	err = m.Change(ctx, rbac.Op{Action: "webhooks.create", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		w = Webhook{OrgID: orgID, URL: in.URL, Description: in.Description, Events: in.Events, Status: WebhookEnabled, StatusAt: tx.Now()}
		if err := m.canCall(&w); err != nil {
			return audit.Change{}, err
		}
		if err := w.validate(); err != nil {
			return audit.Change{}, err
		}
		n, err := webhooks.Count(ctx, tx, store.Eq("org_id", orgID))
		if err != nil {
			return audit.Change{}, err
		}
		if n >= MaxWebhooks {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: fmt.Sprintf("an organization has at most %d webhooks", MaxWebhooks)}
		}
		w.ID = tx.NewID(webhooks.Kind().Prefix)
		if secret, err = w.newSecret(m.opt.Seal, tx.Now()); err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&w), webhooks.Insert(ctx, tx, &w)
	})
	return w, secret, err
}

// place is where the secrets of the webhook are sealed for.
func (w *Webhook) place() seal.Place {
	return seal.Place{OrgID: w.OrgID, Record: w.ID, Field: "webhook.secret"}
}

// newSecret gives the webhook a new secret, sealed.
func (w *Webhook) newSecret(s *seal.Sealer, now time.Time) (string, error) {
	var raw [32]byte
	rand.Read(raw[:]) // never fails: it crashes the program instead
	secret := "whsec_" + base64.StdEncoding.EncodeToString(raw[:])
	sealed, err := s.Seal(seal.NewSecret(secret), w.place())
	w.Sealed, w.SecretAt = string(sealed), now
	return secret, err
}

// changeWebhook changes a webhook of the organization.
func (m *Manager) changeWebhook(ctx context.Context, org, id string, op rbac.Op, event string, fn func(ctx context.Context, tx *store.Tx, w *Webhook) error) (w Webhook, err error) {
	if op.OrgID, err = m.OrgID(ctx, org); err != nil {
		return w, err
	}
	op.Resource = "webhook:" + id
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if w, err = ownWebhook(ctx, tx, op.OrgID, id); err != nil {
			return audit.Change{}, err
		}
		before := w
		if err := fn(ctx, tx, &w); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &w).As(event), webhooks.Update(ctx, tx, &w)
	})
	return w, err
}

func ownWebhook(ctx context.Context, tx *store.Tx, orgID, id string) (Webhook, error) {
	w, err := webhooks.Get(ctx, tx, id)
	if err == nil && w.OrgID != orgID {
		return Webhook{}, store.ErrNotFound
	}
	return w, err
}

// WebhookUpdate changes a webhook; nil leaves as it is.
type WebhookUpdate struct {
	URL         *string
	Description *string
	Events      *[]string
	Status      *WebhookStatus
}

// UpdateWebhook changes a webhook, from its next call on. It needs webhooks.update.
func (m *Manager) UpdateWebhook(ctx context.Context, org, id string, in WebhookUpdate) (Webhook, error) {
	return m.changeWebhook(ctx, org, id, rbac.Op{Action: "webhooks.update"}, "", func(_ context.Context, tx *store.Tx, w *Webhook) error {
		set(&w.URL, in.URL)
		set(&w.Description, in.Description)
		set(&w.Events, in.Events)
		if in.Status != nil && *in.Status != w.Status {
			if err := oneOf("status", string(*in.Status), string(WebhookEnabled), string(WebhookDisabled)); err != nil {
				return err
			}
			w.Status, w.StatusAt, w.StatusReason = *in.Status, tx.Now(), ""
		}
		if in.URL != nil || w.Status == WebhookEnabled { // what a host can no longer call can be disabled
			if err := m.canCall(w); err != nil {
				return err
			}
		}
		return w.validate()
	})
}

// RotateWebhook gives a webhook a new secret, and returns it. Until the overlap is over calls are signed with the old
// one too; one from a rotation before ends now. It needs webhooks.update.
func (m *Manager) RotateWebhook(ctx context.Context, org, id string, overlap time.Duration) (w Webhook, secret string, err error) {
	w, err = m.changeWebhook(ctx, org, id, rbac.Op{Action: "webhooks.update"}, "webhook.rotated", func(_ context.Context, tx *store.Tx, w *Webhook) (err error) {
		if overlap < 0 || overlap > MaxOverlap {
			return store.Invalid("overlap_minutes", "range", "must be from 0 to %d", MaxOverlap/time.Minute)
		}
		if err := m.canCall(w); err != nil {
			return err
		}
		w.PreviousSealed, w.PreviousEndsAt = "", nil
		if overlap > 0 {
			ends := tx.Now().Add(overlap).Truncate(time.Microsecond)
			w.PreviousSealed, w.PreviousEndsAt = w.Sealed, &ends
		}
		secret, err = w.newSecret(m.opt.Seal, tx.Now())
		return err
	})
	return w, secret, err
}

// DeleteWebhook deletes a webhook; what was not delivered to it will not be. It needs webhooks.delete.
func (m *Manager) DeleteWebhook(ctx context.Context, org, id string) (w Webhook, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return w, err
	}
	op := rbac.Op{Action: "webhooks.delete", OrgID: orgID, Resource: "webhook:" + id}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if w, err = ownWebhook(ctx, tx, orgID, id); err != nil {
			return audit.Change{}, err
		}
		if err := forgetDeliveries(ctx, tx, id); err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(w), webhooks.Delete(ctx, tx, id)
	})
	return w, err
}

// Webhook returns a webhook; its secret is nowhere to be read. It needs webhooks.read.
func (m *Manager) Webhook(ctx context.Context, org, id string) (w Webhook, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return w, err
	}
	err = m.Read(ctx, rbac.Op{Action: "webhooks.read", OrgID: orgID, Resource: "webhook:" + id, Answer: id}, func(ctx context.Context, tx *store.Tx) error {
		w, err = ownWebhook(ctx, tx, orgID, id)
		return err
	})
	return w, err
}

// Webhooks lists the webhooks of an organization, the newest first. It needs webhooks.read.
func (m *Manager) Webhooks(ctx context.Context, org string, limit int, after string) (page store.Page[Webhook], err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return page, err
	}
	err = m.Read(ctx, rbac.Op{Action: "webhooks.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		page, err = webhooks.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)},
			Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after})
		return err
	})
	return page, err
}
