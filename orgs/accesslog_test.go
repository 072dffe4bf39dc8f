package orgs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// What was decided about a reading is in the log by the id that the refusal has, where it is asked for.
func TestReadingsThatAreAllowedAreLoggedWhereItIsWanted(t *testing.T) { // F277
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		team := w.Team(org, "crew", orgs.TeamSettings{})
		stranger := w.Join(team, "bob@acme.example", "member")
		list := func(typ string) []audit.Event {
			page, err := w.Audit().List(t.Context(), org.ID, audit.Filter{Types: []string{typ}})
			require.NoError(t, err)
			return page.Items
		}
		read := func() {
			_, err := w.Manager.Team(w.As(owner), team.ID)
			require.NoError(t, err)
			_, err = w.Teams(w.As(stranger), org.ID, orgs.PartFilter{}) // sees its own
			require.NoError(t, err)
		}
		read()
		require.Empty(t, list(audit.AllowedType), "by default it is not")
		_, _, err := w.SetAuditConfig(w.Platform(), org.ID, orgs.NewAuditConfig{Decisions: audit.Decisions{Record: audit.RecordFull}})
		require.NoError(t, err)
		read()
		actors := map[string]bool{}
		for _, e := range list(audit.AllowedType) {
			actors[e.ActorID+" "+e.Action] = true
			require.Contains(t, string(e.Data), `"decision_id":"dec_`)
		}
		require.Equal(t, map[string]bool{owner.ID + " teams.read": true, stranger.ID + " teams.read": true}, actors)
		_, err = w.AuditConfig(w.As(stranger), org.ID)
		d := refused(t, err, "permission_denied")
		require.Contains(t, string(list(audit.DeniedType)[0].Data), d.Decision.ID)
	})
}

// A token that may not be used is in the log of the platform, since it is of no organization.
func TestATokenThatMayNotBeUsed(t *testing.T) { // F278, F284
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		u := w.User("bob@acme.example")
		token, secret, err := w.CreateToken(w.Platform(), u.ID, orgs.NewToken{Name: "phone"})
		require.NoError(t, err)
		use := func(secret string) {
			_, err := w.Authenticate(t.Context(), secret)
			require.ErrorIs(t, err, orgs.ErrUnauthenticated)
			require.Equal(t, "the credential is not valid", err.Error())
		}
		denied := func() (list []string) {
			page, err := w.Audit().List(t.Context(), "", audit.Filter{Types: []string{orgs.TokenDeniedType, orgs.SuspendedType}, Ascending: true})
			require.NoError(t, err)
			for _, e := range page.Items {
				require.Equal(t, []any{token.ID, u.ID, "bob@acme.example"}, []any{e.ResourceID, e.ActorID, e.ActorLabel})
				list = append(list, e.Type)
			}
			return list
		}
		suspended := rbac.Suspended
		_, err = w.UpdateUser(w.Platform(), u.ID, orgs.UserUpdate{Status: &suspended})
		require.NoError(t, err)
		use(secret)
		use("ok_pat_unknown")
		require.Equal(t, []string{orgs.SuspendedType}, denied())
		_, err = w.RevokeToken(w.Platform(), u.ID, token.ID)
		require.NoError(t, err)
		use(secret)
		use(secret)
		require.Equal(t, []string{orgs.SuspendedType, orgs.TokenDeniedType}, denied())
	})
}

// Retention spares what an unfinished report needs, for as long as it does, and the gap that it leaves behind is said.
func TestRetentionSparesWhatIsHeld(t *testing.T) { // F274, F335
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, owner := w.Org("acme")
		clock.Advance(24 * time.Hour)
		hold := audit.Hold{OrgID: org.ID, From: clock.Now(), Reason: "report rep_1"}
		require.NoError(t, w.Store().Update(w.Platform(), func(ctx context.Context, tx *store.Tx) error { return audit.Holds.Insert(ctx, tx, &hold) }))
		w.Team(org, "held", orgs.TeamSettings{})
		clock.Advance(400 * 24 * time.Hour)
		w.Team(org, "young", orgs.TeamSettings{})
		gap := func(to time.Time) []audit.Gap {
			return []audit.Gap{{From: org.CreatedAt, To: to, Reason: audit.GapRetention}}
		}
		gaps := func() []audit.Gap {
			list, err := w.AuditGaps(w.As(owner), org.ID, time.Time{}, time.Time{})
			require.NoError(t, err)
			return list
		}
		require.Empty(t, gaps())
		_, err := w.EnforceAuditRetention(w.Platform())
		require.NoError(t, err)
		require.Equal(t, []string{"team.created", "team.created", audit.PrunedType}, loggedTypes(t, w, org.ID, 0))
		require.Equal(t, gap(hold.From), gaps())

		require.NoError(t, w.Store().Update(w.Platform(), func(ctx context.Context, tx *store.Tx) error { return audit.Holds.Delete(ctx, tx, hold.ID) }))
		_, err = w.EnforceAuditRetention(w.Platform())
		require.NoError(t, err)
		require.Equal(t, []string{"team.created", audit.PrunedType, audit.PrunedType}, loggedTypes(t, w, org.ID, 0))
		require.Equal(t, gap(clock.Now().AddDate(0, 0, -365)), gaps())
	})
}
