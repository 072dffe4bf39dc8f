package orgs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
)

// chore is what is done for all organizations from time to time.
type chore struct {
	kind string // of its jobs, and the name of its schedule
	cron string // in UTC
	do   func(m *Manager, ctx context.Context) error
}

var chores = []chore{
	{"orgs.sweep", "*/5 * * * *", func(m *Manager, ctx context.Context) error { _, err := m.Sweep(ctx); return err }},
	{"orgs.certificates", "41 4 * * *", func(m *Manager, ctx context.Context) error { _, err := m.WarnOfCertificates(ctx); return err }},
	{"orgs.retention", "17 3 * * *", func(m *Manager, ctx context.Context) error { _, err := m.EnforceAuditRetention(ctx); return err }},
	{"orgs.allowances", "53 3 * * *", func(m *Manager, ctx context.Context) error { _, err := m.PruneAllowances(ctx); return err }},
	{"orgs.invoices", "29 * * * *", func(m *Manager, ctx context.Context) error { _, err := m.MakeInvoices(ctx); return err }},
}

// choreTimeout is how long a chore may take. What it leaves undone is done at its next slot.
const choreTimeout = time.Hour

// Maintain lets a worker do what has to be done for all organizations from time to time: what is over is expired every five
// minutes ([Manager.Sweep]), events whose time is over are pruned every night ([Manager.EnforceAuditRetention]), and allowances
// that only organizations had which are gone ([Manager.PruneAllowances]), owners are
// warned of certificates every day ([Manager.WarnOfCertificates]), and invoices are made every hour ([Manager.MakeInvoices]). It is
// called before the worker runs, in every process, and lets it tell of alerts and have cards charged as well: the schedules, which belong to no organization, are made once, and each
// slot runs once. A schedule that is there stays as it is, so a host can pause it or have it at another time.
func (m *Manager) Maintain(ctx context.Context, w *jobs.Worker) error {
	m.handleAlerts(w)
	m.handleCharges(w)
	for _, c := range chores {
		w.Handle(c.kind, func(ctx context.Context, _ jobs.Job) error {
			return c.do(m, audit.WithActor(ctx, audit.System("maintenance")))
		}, &jobs.KindOptions{MaxAttempts: 3, Timeout: choreTimeout})
		err := m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := jobs.FindSchedule(ctx, tx, "", c.kind)
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return jobs.CreateSchedule(ctx, tx, &jobs.Schedule{Name: c.kind, Kind: c.kind, Cron: c.cron})
		})
		if err != nil && !errors.Is(err, store.ErrExists) { // another process was faster
			return err
		}
	}
	return nil
}

// Swept says what was expired.
type Swept struct{ Invitations, Approvals, RateWindows, Sessions, Budgets, Answers, ProviderAnswers int }

// Sweep notes on invitations, requests for approvals and grants that their time is over, each with one event; those who
// asked for an approval are told; and on budgets that alerts have suspended. Windows of rate limits that are over, sessions
// that ended long ago, answers to requests that can no longer be repeated, and what identity providers have answered, are
// forgotten, and alerts fired that nobody has ([Manager.FireAlerts]). Nothing depends on it: what has
// ended has ended, noted or not. What fails does not keep the rest waiting. It is the platform's, to be called now and then;
// see [Manager.Maintain].
func (m *Manager) Sweep(ctx context.Context) (swept Swept, err error) {
	var failed [8]error
	swept.Invitations, failed[0] = m.ExpireInvitations(ctx)
	swept.Approvals, failed[1] = m.ExpireApprovals(ctx)
	swept.RateWindows, failed[2] = m.PruneRateWindows(ctx)
	swept.Sessions, failed[3] = m.PruneSessions(ctx)
	swept.Budgets, failed[4] = m.ResumeDue(ctx)
	swept.Answers, failed[5] = m.PruneAnswers(ctx)
	swept.ProviderAnswers, failed[6] = m.pruneSeen(ctx)
	failed[7] = m.FireAlerts(ctx)
	return swept, errors.Join(failed[:]...)
}

// ExpireInvitations notes on pending invitations that their time is over, each with an event, and says on how many. It is
// the platform's; see [Manager.Sweep].
func (m *Manager) ExpireInvitations(ctx context.Context) (n int, err error) {
	var over []Invitation
	err = m.Read(ctx, rbac.Op{Action: "invitations.expire"}, func(ctx context.Context, tx *store.Tx) error {
		over = nil
		q := store.Query{Where: []store.Cond{store.Eq("status", InvitationPending), store.Below("expires_at", tx.Now().Add(time.Microsecond))}}
		for inv, err := range invitations.All(ctx, tx, q) {
			if err != nil {
				return err
			}
			over = append(over, inv)
		}
		return nil
	})
	failed := []error{err}
	for i := 0; i < len(over) && ctx.Err() == nil; i++ {
		switch err := m.expireInvitation(ctx, over[i]); {
		case err == nil:
			n++
		case !errors.Is(err, errSettled):
			failed = append(failed, fmt.Errorf("invitation %s: %w", over[i].ID, err))
		}
	}
	return n, errors.Join(append(failed, ctx.Err())...)
}

func (m *Manager) expireInvitation(ctx context.Context, inv Invitation) error {
	op := rbac.Op{Action: "invitations.expire", OrgID: inv.OrgID, TeamID: inv.TeamID, Platform: true, Gone: true, Past: true}
	return m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		now, err := ownInvitation(ctx, tx, Place{inv.OrgID, inv.TeamID}, inv.ID)
		if err != nil {
			return audit.Change{}, err
		}
		if now.Status != InvitationPending || now.StatusAt(tx.Now()) != InvitationExpired {
			return audit.Change{}, errSettled
		}
		before := now
		now.Status, now.Pending = InvitationExpired, nil
		return audit.Updated(before, &now).As("member.invitation_expired").In(now.TeamID), invitations.Update(ctx, tx, &now)
	})
}
