package orgs_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/storetest"
)

// eventsOf are the types of events about a resource, the newest first.
func eventsOf(t *testing.T, w *orgstest.World, orgID, resource string) (types []string) {
	t.Helper()
	page, err := w.AuditLog(w.Platform(), orgID, audit.Filter{Resources: []string{resource}})
	require.NoError(t, err)
	for _, e := range page.Items {
		types = append(types, e.Type)
	}
	return types
}

func TestWhatIsOverIsSweptOnce(t *testing.T) {
	eachWanting(t, func(t *testing.T, w wanting) {
		at := orgs.Place{OrgID: w.org.ID, TeamID: w.team.ID}
		invite := func(email string, days int) orgs.Invitation {
			inv, _, err := w.Invite(w.Platform(), at, orgs.NewInvitation{Email: email, Role: "developer", ExpiresInDays: days})
			require.NoError(t, err)
			return inv
		}
		short, long, revoked := invite("short@acme.example", 1), invite("long@acme.example", 30), invite("revoked@acme.example", 1)
		_, err := w.RevokeInvitation(w.Platform(), at, revoked.ID)
		require.NoError(t, err)
		a := w.ask(t, w.dev, "o3", "")
		sweep := func() orgs.Swept {
			swept, err := w.Sweep(w.Platform())
			require.NoError(t, err)
			return swept
		}
		w.clock.Advance(24*time.Hour - time.Microsecond)
		require.Zero(t, sweep(), "it has a microsecond left")
		w.clock.Advance(time.Microsecond)
		require.Equal(t, orgs.Swept{Invitations: 1}, sweep())
		w.told.Take()
		w.clock.Advance(6 * 24 * time.Hour)
		require.Equal(t, orgs.Swept{Approvals: 1}, sweep())
		require.Zero(t, sweep())

		require.Equal(t, []string{"member.invitation_expired", "member.invited"}, eventsOf(t, w.World, w.org.ID, "invitation:"+short.ID))
		require.Equal(t, []string{"member.invited"}, eventsOf(t, w.World, w.org.ID, "invitation:"+long.ID))
		require.Equal(t, []string{"member.invitation_revoked", "member.invited"}, eventsOf(t, w.World, w.org.ID, "invitation:"+revoked.ID))
		require.Equal(t, []string{"approval.expired", "approval.requested"}, eventsOf(t, w.World, w.org.ID, "approval:"+a.ID))
		told := w.told.Take()
		require.Len(t, told, 1)
		require.Equal(t, []string{w.dev.Email}, told[0].To)
		inv, err := w.Invitation(w.Platform(), at, short.ID)
		require.NoError(t, err)
		require.Equal(t, orgs.InvitationExpired, inv.Status, "as stored")

		// It can be made new, and makes room for another one.
		invite("short@acme.example", 1)
		_, _, err = w.ResendInvitation(w.Platform(), at, short.ID)
		inTheWay(t, err, "invitation_pending")

		_, err = w.Sweep(w.As(w.owner))
		refused(t, err, "permission_denied")
	})
}

// unwilling is a notifier that takes nothing of one organization.
type unwilling struct{ orgID string }

func (u *unwilling) Mails() bool { return false }
func (u *unwilling) Notify(_ context.Context, _ *store.Tx, n orgs.Notification) error {
	if n.OrgID == u.orgID {
		return errors.New("no")
	}
	return nil
}

func TestOneThatFailsKeepsNobodyWaiting(t *testing.T) {
	each(t, func(t *testing.T, plain *orgstest.World, clock *storetest.Clock) {
		u := &unwilling{}
		w := orgstest.New(t, plain.Store(), &orgs.Options{Notifier: u})
		var ids []string
		for _, slug := range []string{"first", "second", "third"} {
			org, _ := w.Org(slug)
			w.Roles(org)
			team := w.Team(org, "crew", orgs.TeamSettings{Models: &orgs.ModelSettings{RequireApproval: []string{"o3"}}})
			dev := w.Join(team, "dev@"+slug+".example", "developer")
			a, _, err := w.RequestApproval(w.As(dev), rbac.Request{OrgID: org.ID, TeamID: team.ID, Action: "models.use", Call: rbac.Call{Resource: "model:o3", At: clock.Now()}}, "")
			require.NoError(t, err)
			ids = append(ids, a.ID)
			if u.orgID == "" {
				u.orgID = org.ID
			}
		}
		clock.Advance(8 * 24 * time.Hour)
		swept, err := w.Sweep(w.Platform())
		require.ErrorContains(t, err, "approval "+ids[0]+": no")
		require.Equal(t, 2, swept.Approvals)
		u.orgID = ""
		swept, err = w.Sweep(w.Platform())
		require.NoError(t, err)
		require.Equal(t, 1, swept.Approvals)
	})
}

// TestEachSlotIsDoneOnce: by workers of several processes, whoever came first.
func TestEachSlotIsDoneOnce(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		org, _ := w.Org("acme")
		inv, _, err := w.Invite(w.Platform(), orgs.Place{OrgID: org.ID}, orgs.NewInvitation{Email: "a@acme.example", Role: "member", ExpiresInDays: 1})
		require.NoError(t, err)
		old, _, err := w.SetAuditConfig(w.Platform(), org.ID, orgs.NewAuditConfig{RetentionDays: ptr(1)})
		require.NoError(t, err)
		require.Equal(t, 1, old.RetentionDays)
		workers := make([]*jobs.Worker, 3)
		var wg sync.WaitGroup
		for i := range workers {
			workers[i] = jobs.NewWorker(w.Store(), nil)
			wg.Go(func() {
				m, err := orgs.New(w.Store(), nil)
				if err == nil {
					err = m.Maintain(t.Context(), workers[i])
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		run := func() (ran int) {
			for _, worker := range workers {
				n, err := worker.RunDue(t.Context())
				require.NoError(t, err)
				ran += n
			}
			return ran
		}
		require.Zero(t, run())
		clock.Advance(5 * time.Minute)
		require.Equal(t, 1, run())
		require.Zero(t, run())
		clock.Set(time.Date(2024, 3, 7, 3, 17, 0, 0, time.UTC))
		require.Equal(t, 5, run(), "one for all slots that were missed, the retention, the allowances, the warnings of certificates that end, and the invoices")
		require.Equal(t, []string{"member.invitation_expired"}, eventsOf(t, w, org.ID, "invitation:"+inv.ID), "the other one is pruned")
		page, err := w.AuditLog(w.Platform(), org.ID, audit.Filter{Types: []string{audit.PrunedType}})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
	})
}

// TestAScheduleStaysAsTheHostHasIt: after the next start too.
func TestAScheduleStaysAsTheHostHasIt(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		maintain := func() *jobs.Worker {
			worker := jobs.NewWorker(w.Store(), nil)
			require.NoError(t, w.Maintain(t.Context(), worker))
			return worker
		}
		maintain()
		require.NoError(t, w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			s, err := jobs.FindSchedule(ctx, tx, "", "orgs.sweep")
			if err != nil {
				return err
			}
			_, err = jobs.UpdateSchedule(ctx, tx, "", s.ID, func(s *jobs.Schedule) { s.Paused = true })
			return err
		}))
		worker := maintain()
		clock.Advance(20 * time.Minute)
		n, err := worker.RunDue(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
	})
}
