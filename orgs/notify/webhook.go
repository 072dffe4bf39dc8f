package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

// waits are those between the attempts of a call, as Standard Webhooks has them: 75 hours and 35 minutes in all, before
// jitter.
var waits = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

// event is the body of a call.
type event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      eventData `json:"data"`
}

// eventData says where, and what it is about.
type eventData struct {
	OrgID  string `json:"organization_id"`
	TeamID string `json:"team_id"` // or project, "" for the organization
	About  any    `json:"object"`
}

// reference stands for an object that is too large for a job.
type reference struct {
	ID string `json:"id"`
}

// maxBody leaves room in a job for what is beside the body.
const maxBody = jobs.MaxPayload - 1<<10

// bodyOf is the body of the calls about a notification.
func bodyOf(of orgs.Notification, at time.Time) ([]byte, error) {
	data := eventData{of.OrgID, of.TeamID, of.About}
	body, err := json.Marshal(event{of.Kind, at, data})
	if rec, is := of.About.(audit.Record); is && len(body) > maxBody {
		data.About = reference{rec.AuditResource().ID}
		return json.Marshal(event{of.Kind, at, data})
	}
	return body, err
}

func (n *Notifier) enqueueCalls(ctx context.Context, tx *store.Tx, of orgs.Notification) error {
	var ids []string
	if test, is := of.About.(orgs.WebhookTest); is {
		ids = []string{test.WebhookID}
	} else {
		var err error
		if ids, err = orgs.Listening(ctx, tx, of.OrgID, of.Kind); err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		return nil
	}
	body, err := bodyOf(of, tx.Now())
	if err != nil {
		return err
	}
	for _, id := range ids {
		call := orgs.WebhookDelivery{WebhookID: id, Type: of.Kind, Body: body}
		if _, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: orgs.WebhookJob, OrgID: of.OrgID, Payload: call}); err != nil {
			return err
		}
	}
	return nil
}

// calling makes the call of a job.
func (n *Notifier) calling(m *orgs.Manager) jobs.Handler {
	return func(ctx context.Context, j jobs.Job) error {
		var call orgs.WebhookDelivery
		if err := j.Decode(&call); err != nil {
			return jobs.Permanent(errors.New("the payload is none of a webhook"))
		}
		var target orgs.WebhookTarget
		err := m.Store().View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			target, err = m.WebhookTarget(ctx, tx, j.OrgID, call.WebhookID)
			return err
		})
		if errors.Is(err, store.ErrNotFound) { // nobody is called any more
			return nil
		} else if err != nil {
			return err
		}
		out, err := n.call(ctx, m.Store().Now(), j.ID, target, call.Body)
		if err != nil {
			return err
		}
		return n.after(ctx, m, j, call, out)
	}
}

// call makes one call.
func (n *Notifier) call(ctx context.Context, now time.Time, id string, target orgs.WebhookTarget, body []byte) (outbound.Outcome, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.URL, bytes.NewReader(body))
	if err != nil {
		return outbound.Outcome{}, jobs.Permanent(errors.New("the URL of the webhook is none"))
	}
	signature, err := sign(target.Secrets, id, now, body)
	if err != nil {
		return outbound.Outcome{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Webhook-Signature", signature)
	res, err := n.client.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be kept; what it says does not count
		res.Body.Close()
	}
	return outbound.Judge(res, err, now), nil
}

// after does what follows a call.
func (n *Notifier) after(ctx context.Context, m *orgs.Manager, j jobs.Job, call orgs.WebhookDelivery, out outbound.Outcome) error {
	reason := out.Reason
	if out.Verdict == outbound.Done {
		reason = ""
	}
	err := m.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		return orgs.NoteWebhookCall(ctx, tx, j.OrgID, call.WebhookID, reason)
	})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return err
	}
	switch {
	case out.Verdict == outbound.Done:
		return nil
	case out.Verdict == outbound.Gone:
		return m.DisableWebhook(audit.WithActor(ctx, audit.System("webhooks")), j.OrgID, call.WebhookID, "the receiver answered 410 Gone")
	case out.Reason == "blocked":
		return jobs.Permanent(fmt.Errorf("the webhook was not called: %s", reason))
	}
	// Also what passes only once somebody changes something, such as 404: there are days for that.
	return jobs.RetryAfter(wait(j.Attempt, out.After), fmt.Errorf("the call of the webhook failed: %s", reason))
}

// wait is how long to wait behind an attempt: what the schedule says and up to a tenth more, so that what failed together
// does not come back together, or what the receiver asks for, if that is longer.
func wait(attempt int, asked time.Duration) time.Duration {
	d := waits[min(attempt, len(waits))-1]
	return max(d+rand.N(d/10+1), asked)
}

// sign signs a call with every secret (Standard Webhooks, symmetric v1).
func sign(secrets []seal.Secret, id string, at time.Time, body []byte) (string, error) {
	var list []string
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), "whsec_"))
		if err != nil {
			return "", errors.New("the secret of the webhook is none") // that of base64 would quote it
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(list, " "), nil
}
