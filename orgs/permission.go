package orgs

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// PermissionQuery asks what a user may do, with as much of a call's context as is known.
type PermissionQuery struct {
	User         string // id, e-mail address or "me"
	Team         string // id or slug; or
	Organization string // id or slug
	Action       string // models.use, models:use, or a bare verb that joins the resource's type
	Resource     string // "type:name"

	IP            netip.Addr
	At            time.Time // zero is now
	MFAAgeMinutes *int      // how long ago the user proved a second factor
	Cost          *decimal.Decimal
}

// PermissionAnswer is the decision that enforcement would make.
type PermissionAnswer struct {
	User     User
	Place    Place
	Action   string // dot form
	Resource string // as asked
	Decision rbac.Decision
}

// Permission answers by the code that enforces. It needs members.read in the place; everybody may
// ask about themselves.
func (m *Manager) Permission(ctx context.Context, q PermissionQuery) (a PermissionAnswer, err error) {
	if a.Action, err = q.action(); err != nil {
		return a, err
	}
	at, err := m.queryPlace(ctx, q)
	if err != nil {
		return a, err
	}
	a.Place, a.Resource = at, q.Resource
	err = m.Read(ctx, aboutUser(ctx, at, q.User), func(ctx context.Context, tx *store.Tx) error {
		if a.User, err = findUser(ctx, tx, q.User); err != nil {
			return err
		}
		r := rbac.Request{OrgID: at.OrgID, TeamID: at.TeamID, Action: a.Action, Person: a.User.ID,
			Call: rbac.Call{Resource: q.Resource, At: q.At, IP: q.IP, Cost: q.Cost}}
		if r.At.IsZero() {
			r.At = tx.Now()
		}
		if q.MFAAgeMinutes != nil {
			verified := r.At.Add(-time.Duration(*q.MFAAgeMinutes) * time.Minute)
			r.MFAAt = &verified
		} else if r.MFAAt, err = lastMFA(ctx, tx, a.User.ID); err != nil {
			return err
		}
		if name, ok := strings.CutPrefix(q.Resource, "model:"); ok {
			if id, known := m.opt.Resolve(name); known && id != name {
				r.Resource, r.Asked = rbac.ModelPattern(id), q.Resource
			}
		}
		a.Decision, err = m.Check(ctx, tx, a.User.ID, r)
		return err
	})
	return a, err
}

// ActionsAnswer is what somebody may do on a resource.
type ActionsAnswer struct {
	Subject string // the id of the user, or of an API key
	Place   Place
	Actions []rbac.Permitted
}

// Actions answers which actions a user may do, or an API key that is named by its id, by the code that
// enforces. Of the query only User, the place and Resource count. It needs members.read in the place;
// everybody may ask about themselves.
func (m *Manager) Actions(ctx context.Context, q PermissionQuery) (ActionsAnswer, error) {
	at, err := m.queryPlace(ctx, q)
	if err != nil {
		return ActionsAnswer{}, err
	}
	subject := q.User
	if !strings.HasPrefix(subject, apiKeys.Kind().Prefix+"_") {
		err := m.Read(ctx, aboutUser(ctx, at, q.User), func(ctx context.Context, tx *store.Tx) error {
			u, err := findUser(ctx, tx, q.User)
			subject = u.ID
			return err
		})
		if err != nil {
			return ActionsAnswer{}, err
		}
	}
	list, err := m.WhatCan(ctx, subject, rbac.AccessQuery{OrgID: at.OrgID, TeamID: at.TeamID, Resource: q.Resource})
	if err != nil {
		return ActionsAnswer{}, err
	}
	return ActionsAnswer{subject, at, list}, nil
}

// aboutUser is a question about a user; everybody may ask about themselves.
func aboutUser(ctx context.Context, at Place, ref string) rbac.Op {
	by := actor(ctx)
	self := ref == "me" || ref == by.ID || strings.Contains(ref, "@") && emailKey(ref) == emailKey(by.Label)
	return rbac.Op{Action: "members.read", OrgID: at.OrgID, TeamID: at.TeamID, Self: by.Type == audit.User && self}
}

func (q PermissionQuery) action() (string, error) {
	if q.Resource == "" {
		return "", store.Invalid("resource", "required", "is required")
	}
	if q.Action == "" {
		return "", store.Invalid("action", "required", "is required")
	}
	action, err := rbac.JoinAction(q.Action, q.Resource)
	if err != nil {
		return "", store.Invalid("action", "pattern", "must be an action such as models.use, or a verb")
	}
	if q.MFAAgeMinutes != nil && *q.MFAAgeMinutes < 0 {
		return "", store.Invalid("mfa_age_minutes", "range", "must not be negative")
	}
	if q.Cost != nil && q.Cost.IsNegative() {
		return "", store.Invalid("cost", "range", "must not be negative")
	}
	return action, nil
}

func (m *Manager) queryPlace(ctx context.Context, q PermissionQuery) (Place, error) {
	switch {
	case q.Team != "":
		return m.TeamPlace(ctx, q.Team)
	case q.Organization != "":
		return m.OrgPlace(ctx, q.Organization)
	}
	return Place{}, store.Invalid("team_id", "required", "team_id or organization_id is required")
}
