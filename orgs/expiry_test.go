package orgs_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestNoCredentialOutlivesItsPerson(t *testing.T) { // F391
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		o, _ := w.Org("acme")
		team := w.Team(o, "team", orgs.TeamSettings{})
		u := w.User("ann@acme.example")
		w.Add(orgs.Place{OrgID: o.ID}, u, "member")
		w.Add(orgs.Place{OrgID: o.ID, TeamID: team.ID}, u, "member")
		key := w.Key(team, u)
		_, token, err := w.CreateToken(w.Platform(), u.ID, orgs.NewToken{Name: "t"})
		require.NoError(t, err)
		var session string
		require.NoError(t, w.Store().Update(audit.WithActor(t.Context(), audit.System("test")), func(ctx context.Context, tx *store.Tx) error {
			_, session, err = orgs.StartSession(ctx, tx, orgs.NewSession{UserID: u.ID, Methods: []string{"password"}, Lifetime: 24 * time.Hour})
			return err
		}))
		g := gate.New(w.Manager)
		works := func(want bool) {
			t.Helper()
			for _, secret := range []string{key, token, session} {
				_, err := w.Authenticate(t.Context(), secret)
				require.Equal(t, want, err == nil, "%v", err)
			}
			adm, err := g.Admit(t.Context(), gate.Call{Secret: key, Action: "teams.read"})
			if err == nil {
				adm.Release(t.Context())
			}
			var auth *orgs.AuthError
			require.Equal(t, want, !errors.As(err, &auth), "%v", err)
		}
		works(true)
		ends := clock.Now().Add(time.Hour)
		_, err = w.UpdateUser(w.As(u), u.ID, orgs.UserUpdate{ExpiresAt: &time.Time{}})
		require.ErrorIs(t, err, rbac.ErrDenied, "nobody prolongs themselves")
		past := clock.Now()
		_, err = w.UpdateUser(w.Platform(), u.ID, orgs.UserUpdate{ExpiresAt: &past})
		require.ErrorIs(t, err, store.ErrInvalid)
		got, err := w.UpdateUser(w.Platform(), u.ID, orgs.UserUpdate{ExpiresAt: &ends})
		require.NoError(t, err)
		require.True(t, got.ExpiresAt.Equal(ends))
		clock.Advance(time.Hour - time.Second)
		works(true)
		clock.Advance(time.Second)
		works(false)
		require.ErrorIs(t, w.Store().Update(audit.WithActor(t.Context(), audit.System("test")), func(ctx context.Context, tx *store.Tx) error {
			_, _, err := orgs.StartSession(ctx, tx, orgs.NewSession{UserID: u.ID, Methods: []string{"password"}, Lifetime: time.Hour})
			return err
		}), store.ErrNotFound)
		_, err = w.UpdateUser(w.Platform(), u.ID, orgs.UserUpdate{ExpiresAt: &time.Time{}})
		require.NoError(t, err)
		works(true)
	})
}
