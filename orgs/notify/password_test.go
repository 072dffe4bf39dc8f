package notify_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

var passwordLink = regexp.MustCompile(`https://ai\.example/console/password#token=(ok_rst_[0-9a-z]+)`)

// forget makes a link that sets the password of a user, mails it, and returns its token.
func forget(t *testing.T, w *world, u orgs.User) string {
	t.Helper()
	token := orgs.NewSecret("ok_rst_")
	require.NoError(t, w.Store().Update(w.Platform(), func(ctx context.Context, tx *store.Tx) error {
		a, err := orgs.LockAuthenticators(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		hash, ends := orgs.HashSecret(token), tx.Now().Add(time.Hour)
		a.ResetHash, a.ResetEnds = &hash, &ends
		if err := orgs.AuthenticatorsOf.Update(ctx, tx, &a); err != nil {
			return err
		}
		return w.MailReset(ctx, tx, u, orgs.PasswordReset{UserID: u.ID, ExpiresAt: ends, Token: seal.NewSecret(token)})
	}))
	return token
}

// TestALinkForAPasswordIsMailed to the person alone, in the language of their organization, or English.
func TestALinkForAPasswordIsMailed(t *testing.T) {
	for language, dates := range map[string]string{"en": "MM/DD/YYYY", "de": "D.M.YYYY"} {
		clock, box := storetest.NewClock(), &outbox{}
		w := newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), clock, options(t, box))
		w.speak(t, language, dates, "Europe/Berlin")
		token := forget(t, w, w.owner)
		require.NoError(t, w.run(t))
		all := box.take()
		require.Len(t, all, 1)
		require.Equal(t, w.owner.Email, all[0].To)
		require.Equal(t, token, passwordLink.FindStringSubmatch(all[0].Text)[1])
		all[0].Text, all[0].HTML = hidden(all[0].Text), hidden(all[0].HTML)
		golden(t, language, orgs.KindPasswordReset, all[0])

		forget(t, w, w.User("nobody@else.example"))
		require.NoError(t, w.run(t))
		require.Equal(t, "en", box.take()[0].Language)
	}
}

func hidden(text string) string {
	return regexp.MustCompile(`ok_rst_[0-9a-z]+`).ReplaceAllString(text, "TOKEN")
}

func TestALinkThatWasReplacedIsNotMailed(t *testing.T) {
	box := &outbox{}
	each(t, box, func(t *testing.T, w *world) {
		forget(t, w, w.owner)
		token := forget(t, w, w.owner)
		require.NoError(t, w.run(t))
		all := box.take()
		require.Len(t, all, 1)
		require.Equal(t, token, passwordLink.FindStringSubmatch(all[0].Text)[1])
		forget(t, w, w.owner)
		w.clock.Advance(time.Hour)
		require.NoError(t, w.run(t))
		require.Empty(t, box.take())
		require.Empty(t, w.dead(t))
	})
}
