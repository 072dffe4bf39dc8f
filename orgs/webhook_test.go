package orgs_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestWebhooksAreTakenByAHostThatCanCallThem: it delivers notifications, seals secrets and says which URLs it calls.
func TestWebhooksAreTakenByAHostThatCanCallThem(t *testing.T) {
	for name, lacks := range map[string]func(o *orgs.Options) string{
		"a notifier": func(o *orgs.Options) string { o.Notifier = nil; return "no_delivery" },
		"a key":      func(o *orgs.Options) string { o.Seal = nil; return "no_sealing_key" },
		"a guard":    func(o *orgs.Options) string { o.URLs = nil; return audit.URLCode },
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.Open(t, "memory", store.Options{})
			able := orgstest.New(t, s, inOrder())
			org, owner := able.Org("acme")
			h, _, err := able.CreateWebhook(able.As(owner), org.ID, orgs.NewWebhook{URL: "https://hooks.acme.com/canary"})
			require.NoError(t, err)
			o := inOrder()
			code := lacks(o)
			w := orgstest.New(t, s, o)
			_, _, err = w.CreateWebhook(w.As(owner), org.ID, orgs.NewWebhook{URL: "https://hooks.acme.com/canary"})
			wrongField(t, err, "url")
			var f *store.FieldError
			require.ErrorAs(t, err, &f)
			require.Equal(t, code, f.Code)
			require.NotContains(t, err.Error(), "canary")

			// What was taken before can still be disabled, and not be enabled again.
			off, on := orgs.WebhookDisabled, orgs.WebhookEnabled
			_, err = w.UpdateWebhook(w.As(owner), org.ID, h.ID, orgs.WebhookUpdate{Status: &off})
			require.NoError(t, err)
			_, err = w.UpdateWebhook(w.As(owner), org.ID, h.ID, orgs.WebhookUpdate{Status: &on})
			wrongField(t, err, "url")
		})
	}
}

func TestWebhooksWantKindsAndFamilies(t *testing.T) {
	for _, c := range []struct {
		events []string
		want   string
		is     bool
	}{
		{nil, "member.invited", true}, {[]string{"*"}, "budget.alert", true}, {[]string{"member.*"}, "member.invited", true},
		{[]string{"authorization.*"}, "approval.denied", true}, {[]string{"approval.denied"}, "approval.approved", false},
		{[]string{"billing.*"}, "budget.alert", true}, {[]string{"budget.*"}, "billing.alert", false},
	} {
		require.Equal(t, c.is, orgs.Webhook{Events: c.events}.Wants(c.want), "%v %s", c.events, c.want)
	}
}

// TestASecretIsNeitherKeptNorLogged: what a record, an event and an answer show of a webhook.
func TestASecretIsNeitherKeptNorLogged(t *testing.T) {
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, clock *storetest.Clock) {
		org, owner := w.Org("acme")
		h, first, err := w.CreateWebhook(w.As(owner), org.ID, orgs.NewWebhook{URL: "https://hooks.acme.com/"})
		require.NoError(t, err)
		clock.Advance(time.Minute)
		h, second, err := w.RotateWebhook(w.As(owner), org.ID, h.ID, time.Hour)
		require.NoError(t, err)
		shown, err := json.Marshal(h)
		require.NoError(t, err)
		for key, row := range rec.state(t).rows {
			for _, secret := range []string{first, second} {
				require.NotContains(t, row, secret[len("whsec_"):], key)
			}
		}
		require.NotContains(t, string(shown), "seal1.")
		page, err := w.AuditLog(w.As(owner), org.ID, audit.Filter{Resources: []string{"webhook:" + h.ID}})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		for _, e := range page.Items {
			require.Equal(t, "settings", e.Category)
			require.NotContains(t, string(e.Before)+string(e.After)+string(e.Data), "seal1.")
		}
		require.Contains(t, string(page.Items[0].After), "secret_updated_at")
	})
}

func TestASecretThatDoesNotOpenSignsNothing(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	w := orgstest.New(t, s, inOrder())
	org, owner := w.Org("acme")
	h, _, err := w.CreateWebhook(w.As(owner), org.ID, orgs.NewWebhook{URL: "https://hooks.acme.com/"})
	require.NoError(t, err)
	target := func(w *orgstest.World, orgID, id string) (t orgs.WebhookTarget, err error) {
		err = s.View(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			t, err = w.WebhookTarget(ctx, tx, orgID, id)
			return err
		})
		return t, err
	}
	got, err := target(w, org.ID, h.ID)
	require.NoError(t, err)
	require.Len(t, got.Secrets, 1)
	other, _ := w.Org("other")
	_, err = target(w, other.ID, h.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	got, err = target(orgstest.New(t, s, inOrder()), org.ID, h.ID) // with another key
	require.Error(t, err)
	require.False(t, errors.Is(err, store.ErrNotFound), "the key may be brought back")
	require.Empty(t, got.Secrets)
}

func TestOnlyThePlatformDisablesForAReceiver(t *testing.T) {
	each(t, func(t *testing.T, plain *orgstest.World, _ *storetest.Clock) {
		w := orgstest.New(t, plain.Store(), inOrder())
		org, owner := w.Org("acme")
		h, _, err := w.CreateWebhook(w.As(owner), org.ID, orgs.NewWebhook{URL: "https://hooks.acme.com/"})
		require.NoError(t, err)
		refused(t, w.DisableWebhook(w.As(owner), org.ID, h.ID, "no"), "permission_denied")
		require.NoError(t, w.DisableWebhook(w.Platform(), org.ID, h.ID, "gone"))
		require.NoError(t, w.DisableWebhook(w.Platform(), org.ID, h.ID, "again"), "it is")
		require.NoError(t, w.DisableWebhook(w.Platform(), org.ID, "hook_none", "gone"))
		h, err = w.Webhook(w.As(owner), org.ID, h.ID)
		require.NoError(t, err)
		require.Equal(t, "gone", h.StatusReason)
	})
}
