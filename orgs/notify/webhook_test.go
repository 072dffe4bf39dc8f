package notify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/notify"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestWebhooksAreCalledWithWhatAnOrganizationIsTold(t *testing.T) {
	receiver := newReceiver(t)
	each(t, nil, func(t *testing.T, w *world) {
		_, secret := w.hook(t, receiver)
		w.hook(t, receiver, "budget.*")
		inv, token, err := w.Invite(w.As(w.owner), orgs.Place{OrgID: w.org.ID}, orgs.NewInvitation{Email: "new@acme.example", Role: "member"})
		require.NoError(t, err)
		require.NoError(t, w.run(t))
		c := receiver.one(t)
		require.Equal(t, "POST /in", c.path)
		require.Equal(t, "application/json", c.header.Get("Content-Type"))
		require.Regexp(t, `^job_[0-9a-z]+$`, c.header.Get("Webhook-Id"))
		require.Equal(t, strconv.FormatInt(w.clock.Now().Unix(), 10), c.header.Get("Webhook-Timestamp"))
		require.True(t, c.verified(t, secret))
		require.NotContains(t, string(c.body), token)
		o := c.object(t)
		require.Equal(t, []string{"member.invited", "2024-03-05T12:00:00Z", w.org.ID, ""}, []string{o.Type, o.Timestamp, o.Data.OrganizationID, o.Data.TeamID})
		require.Equal(t, []any{inv.ID, "new@acme.example", "pending"}, []any{o.Data.Object["id"], o.Data.Object["email"], o.Data.Object["status"]})

		// Signed by nobody who does not know the secret, and for this body, id and time alone.
		_, other := w.hook(t, newReceiver(t), "invoice.*")
		require.False(t, c.verified(t, other))
		for _, change := range []func(c *call){
			func(c *call) { c.body = append([]byte(" "), c.body...) },
			func(c *call) { c.header.Set("Webhook-Id", "job_1") },
			func(c *call) {
				c.header.Set("Webhook-Timestamp", strconv.FormatInt(w.clock.Now().Unix()+1, 10))
			},
		} {
			forged := c
			forged.header = c.header.Clone()
			change(&forged)
			require.False(t, forged.verified(t, secret))
		}

		// Both want this one.
		w.tell(t, orgs.Notification{Kind: orgs.KindBudgetAlert, About: orgs.BudgetAlert{Spent: usd("12.50"), PeriodStart: march, PeriodEnd: april}})
		require.NoError(t, w.run(t))
		calls := receiver.take()
		require.Len(t, calls, 2)
		require.NotEqual(t, calls[0].header.Get("Webhook-Id"), calls[1].header.Get("Webhook-Id"))
		require.EqualValues(t, 12.5, calls[0].object(t).Data.Object["spent"])
	})
}

// TestWhatIsTooLargeIsToldByItsID: nothing that somebody has written keeps a step from being made.
func TestWhatIsTooLargeIsToldByItsID(t *testing.T) {
	receiver, box := newReceiver(t), &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		w.hook(t, receiver)
		a := rbac.Approval{Meta: store.Meta{ID: "apr_1"}, OrgID: w.org.ID, Requester: w.owner.ID, Resource: "model:o3", Status: rbac.ApprovalApproved, EndsAt: april}
		for range 50 {
			a.Decisions = append(a.Decisions, rbac.Vote{By: w.owner.ID, Reason: strings.Repeat("<", rbac.MaxDescription)})
		}
		w.tell(t, orgs.Notification{Kind: "approval.approved", To: []string{"x@acme.example"}, About: orgs.ApprovalStep{Approval: a}})
		require.NoError(t, w.run(t))
		require.Equal(t, map[string]any{"id": "apr_1"}, receiver.one(t).object(t).Data.Object)
		require.Len(t, box.take(), 1)
	})
}

// TestReceiversMayLookAtTheTime: with a clock that is right, the library of Standard Webhooks takes the call whole.
func TestReceiversMayLookAtTheTime(t *testing.T) {
	receiver, clock := newReceiver(t), storetest.NewClock()
	clock.Set(time.Now())
	w := newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now}), clock, options(t, nil))
	h, secret := w.hook(t, receiver)
	receiver.answers(status(500))
	_, err := w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
	require.NoError(t, err)
	require.Error(t, w.run(t))
	clock.Advance(6 * time.Second)
	receiver.answers(nil)
	require.NoError(t, w.run(t))
	calls := receiver.take()
	require.Len(t, calls, 2)
	wh, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	for _, c := range calls {
		require.NoError(t, wh.Verify(c.body, c.header))
	}
	require.Equal(t, calls[0].header.Get("Webhook-Id"), calls[1].header.Get("Webhook-Id"))
	require.NotEqual(t, calls[0].header.Get("Webhook-Timestamp"), calls[1].header.Get("Webhook-Timestamp"), "that of the attempt")
	require.Equal(t, "webhook.test", calls[0].object(t).Type)
	require.Equal(t, map[string]any{"webhook_id": h.ID}, calls[0].object(t).Data.Object)
}

func TestBothSecretsSignUntilTheOldOneEnds(t *testing.T) {
	receiver := newReceiver(t)
	each(t, nil, func(t *testing.T, w *world) {
		h, first := w.hook(t, receiver)
		h, second, err := w.RotateWebhook(w.As(w.owner), w.org.ID, h.ID, time.Hour)
		require.NoError(t, err)
		require.NotEqual(t, first, second)
		signs := func() (by []bool) {
			_, err := w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
			require.NoError(t, err)
			require.NoError(t, w.run(t))
			c := receiver.one(t)
			return []bool{c.verified(t, first), c.verified(t, second)}
		}
		require.Equal(t, []bool{true, true}, signs())
		w.clock.Advance(time.Hour - time.Microsecond)
		require.Equal(t, []bool{true, true}, signs())
		w.clock.Advance(time.Microsecond)
		require.Equal(t, []bool{false, true}, signs())
		_, third, err := w.RotateWebhook(w.As(w.owner), w.org.ID, h.ID, 0)
		require.NoError(t, err)
		require.Equal(t, []bool{false, false}, signs())
		first = third
		require.Equal(t, []bool{true, false}, signs())
	})
}

// TestCallsAreTriedAgainForThreeDays: at the times of Standard Webhooks, and no more often.
func TestCallsAreTriedAgainForThreeDays(t *testing.T) {
	var total time.Duration
	for _, d := range notify.Waits {
		total += d
	}
	require.Len(t, notify.Waits, 9, "ten attempts")
	require.Equal(t, 75*time.Hour+35*time.Minute+5*time.Second, total)
	for attempt := 1; attempt <= 12; attempt++ {
		d := notify.Waits[min(attempt, 9)-1]
		for range 100 {
			got := notify.Wait(attempt, 0)
			require.GreaterOrEqual(t, got, d)
			require.LessOrEqual(t, got, d+d/10)
		}
		require.Equal(t, 1000*time.Hour, notify.Wait(attempt, 1000*time.Hour))
	}
	receiver := newReceiver(t)
	each(t, nil, func(t *testing.T, w *world) {
		h, _ := w.hook(t, receiver)
		ids := map[string]bool{}
		for i, code := range []int{500, 404, 302, 429, 503, 401, 408, 400, 502, 504} {
			receiver.answers(status(code, "Location", "https://elsewhere.example/"))
			if i == 0 {
				_, err := w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
				require.NoError(t, err)
			} else {
				w.clock.Advance(notify.Waits[i-1] - time.Millisecond)
				require.NoError(t, w.run(t))
				require.Empty(t, receiver.take(), "it is not time yet")
				w.clock.Advance(notify.Waits[i-1]/10 + 2*time.Millisecond)
			}
			require.ErrorContains(t, w.run(t), fmt.Sprint("status ", code))
			ids[receiver.one(t).header.Get("Webhook-Id")] = true
		}
		require.Len(t, ids, 1)
		failures, err := w.WebhookFailures(w.As(w.owner), w.org.ID, h.ID, 0, "")
		require.NoError(t, err)
		require.Len(t, failures.Items, 1)
		f := failures.Items[0]
		require.Equal(t, []any{true, "webhook.test", 10, "the call of the webhook failed: status 504"}, []any{ids[f.ID], f.Type, f.Attempts, f.Reason})
		calls, err := w.WebhookCalls(w.As(w.owner), w.org.ID, h.ID)
		require.NoError(t, err)
		require.Nil(t, calls[h.ID].SucceededAt)
		require.Equal(t, "status 504", calls[h.ID].FailedReason)

		// The way back.
		receiver.answers(nil)
		_, err = w.RetryWebhook(w.As(w.owner), w.org.ID, h.ID, f.ID)
		require.NoError(t, err)
		require.NoError(t, w.run(t))
		require.True(t, ids[receiver.one(t).header.Get("Webhook-Id")])
		calls, err = w.WebhookCalls(w.As(w.owner), w.org.ID, h.ID)
		require.NoError(t, err)
		require.Equal(t, w.clock.Now(), *calls[h.ID].SucceededAt)
		_, err = w.RetryWebhook(w.As(w.owner), w.org.ID, h.ID, f.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.Equal(t, h.Version, w.now(t, h).Version, "calls change no webhook")
	})
}

func TestAReceiverMayAskForMoreTime(t *testing.T) {
	receiver := newReceiver(t)
	each(t, nil, func(t *testing.T, w *world) {
		h, _ := w.hook(t, receiver)
		receiver.answers(status(429, "Retry-After", "120"))
		_, err := w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
		require.NoError(t, err)
		require.Error(t, w.run(t))
		receiver.answers(nil)
		receiver.take()
		w.clock.Advance(2*time.Minute - time.Second)
		require.NoError(t, w.run(t))
		require.Empty(t, receiver.take())
		w.clock.Advance(time.Second)
		require.NoError(t, w.run(t))
		receiver.one(t)
	})
}

func TestGoneDisablesTheWebhook(t *testing.T) {
	receiver := newReceiver(t)
	each(t, nil, func(t *testing.T, w *world) {
		h, _ := w.hook(t, receiver)
		receiver.answers(status(410))
		invite := func(email string) {
			_, _, err := w.Invite(w.Platform(), orgs.Place{OrgID: w.org.ID}, orgs.NewInvitation{Email: email, Role: "member"})
			require.NoError(t, err)
		}
		invite("a@acme.example")
		invite("b@acme.example") // enqueued before anybody knows
		require.NoError(t, w.run(t))
		receiver.one(t)
		h = w.now(t, h)
		require.Equal(t, []any{orgs.WebhookDisabled, "the receiver answered 410 Gone", w.clock.Now()}, []any{h.Status, h.StatusReason, h.StatusAt})
		page, err := w.AuditLog(w.Platform(), w.org.ID, audit.Filter{Resources: []string{"webhook:" + h.ID}})
		require.NoError(t, err)
		require.Equal(t, []string{"webhook.disabled", "system:webhooks"}, []string{page.Items[0].Type, string(page.Items[0].ActorType) + ":" + page.Items[0].ActorID})
		require.Len(t, page.Items, 2, "once")
		invite("c@acme.example")
		require.NoError(t, w.run(t))
		require.Empty(t, receiver.take())
		require.Empty(t, w.dead(t))
		_, err = w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
		require.ErrorIs(t, err, store.ErrConflict)

		receiver.answers(nil)
		on := orgs.WebhookEnabled
		h, err = w.UpdateWebhook(w.As(w.owner), w.org.ID, h.ID, orgs.WebhookUpdate{Status: &on})
		require.NoError(t, err)
		require.Empty(t, h.StatusReason)
		_, err = w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
		require.NoError(t, err)
		require.NoError(t, w.run(t))
		receiver.one(t)
	})
}

func TestNothingIsCalledForWhatIsGone(t *testing.T) {
	receiver := newReceiver(t)
	each(t, nil, func(t *testing.T, w *world) {
		h, _ := w.hook(t, receiver)
		_, err := w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
		require.NoError(t, err)
		_, err = w.DeleteWebhook(w.As(w.owner), w.org.ID, h.ID)
		require.NoError(t, err)
		require.NoError(t, w.run(t))
		require.Empty(t, receiver.take())

		h, _ = w.hook(t, receiver)
		_, err = w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
		require.NoError(t, err)
		_, err = w.DeleteOrganization(w.Platform(), w.org.ID, true, "")
		require.NoError(t, err)
		require.NoError(t, w.run(t))
		require.Empty(t, receiver.take())
	})
}

// resolver answers with an address that changes.
type resolver struct{ to string }

func (r *resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(r.to)}, nil
}

// TestWebhooksReachNothingInside: neither by an address, nor by a name that leads there later, nor by a redirect (F337).
func TestWebhooksReachNothingInside(t *testing.T) {
	inside, outside := newReceiver(t), newReceiver(t)
	outside.answers(status(307, "Location", inside.URL+"/secret"))
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		names := &resolver{"203.0.113.1"}
		strict, err := outbound.New(&outbound.Options{Resolver: names})
		require.NoError(t, err)
		o := options(t, nil)
		o.Guard = strict
		w := newWorld(t, s, clock, o) // which takes these URLs, as if they had been allowed once
		names.to = "10.0.0.5"
		for _, url := range []string{inside.URL, "https://hooks.acme.com/canary-path"} {
			h, _, err := w.CreateWebhook(w.As(w.owner), w.org.ID, orgs.NewWebhook{URL: url})
			require.NoError(t, err)
			_, err = w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
			require.NoError(t, err)
			err = w.run(t)
			require.ErrorContains(t, err, "was not called: blocked")
			require.NotContains(t, err.Error(), "10.0.0.5")
			require.NotContains(t, err.Error(), "canary")
		}
		require.Len(t, w.dead(t), 2, "nothing is tried again")
		require.Empty(t, inside.take())

		w = newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now}), clock, options(t, nil))
		h, _ := w.hook(t, outside)
		_, err = w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
		require.NoError(t, err)
		require.ErrorContains(t, w.run(t), "status 307")
		outside.one(t)
		require.Empty(t, inside.take())
	})
}

func TestAReceiverThatStallsOrBreaksIsTriedAgain(t *testing.T) {
	receiver := newReceiver(t)
	release := make(chan struct{})
	defer close(release)
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		o := options(t, nil)
		o.CallTimeout = 200 * time.Millisecond
		w := newWorld(t, s, clock, o)
		h, _ := w.hook(t, receiver)
		_, err := w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
		require.NoError(t, err)
		receiver.answers(func(http.ResponseWriter, *http.Request) { <-release })
		require.ErrorContains(t, w.run(t), "failed: timeout")
		w.clock.Advance(6 * time.Second)
		receiver.answers(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
		require.ErrorContains(t, w.run(t), "failed: network")
		w.clock.Advance(6 * time.Minute)
		receiver.answers(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 4<<20)) }) // which nobody reads
		require.NoError(t, w.run(t))
		require.Len(t, receiver.take(), 3)
	})
}

// TestACallOfAProcessThatDiedComesAgainAsTheSame: between the call and the note that it was taken.
func TestACallOfAProcessThatDiedComesAgainAsTheSame(t *testing.T) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			receiver, clock, broken := newReceiver(t), storetest.NewClock(), &outage{}
			s := storetest.Open(t, name, store.Options{Now: clock.Now, Wrap: func(d store.Driver) store.Driver { broken.Driver = d; return broken }})
			w := newWorld(t, s, clock, options(t, nil))
			h, secret := w.hook(t, receiver)
			_, err := w.TestWebhook(w.As(w.owner), w.org.ID, h.ID)
			require.NoError(t, err)
			receiver.answers(func(http.ResponseWriter, *http.Request) { broken.set(true) })
			require.True(t, errors.Is(w.run(t), errDown))
			broken.set(false)
			receiver.answers(nil)
			require.NoError(t, w.run(t))
			clock.Advance(2 * time.Minute)
			require.NoError(t, w.run(t))
			calls := receiver.take()
			require.Len(t, calls, 2)
			require.Equal(t, calls[0].body, calls[1].body)
			require.Equal(t, calls[0].header.Get("Webhook-Id"), calls[1].header.Get("Webhook-Id"))
			require.True(t, calls[1].verified(t, secret))
		})
	}
}
