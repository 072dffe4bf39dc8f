package rbac

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Request is a question to the guard, with what is known of the call.
type Request struct {
	OrgID    string
	TeamID   string // the context, "" for the organization's
	Action   string // dot form
	Resource string // "type:name"
	Asked    string // the resource as the client named it, where an alias was resolved; "" is the same
	Owner    string // the user that the resource belongs to, for grants that end in :own
	Person   string // the user who acts or is bound to the key, "" for nobody

	At    time.Time
	IP    netip.Addr
	MFAAt *time.Time       // when the person last proved a second factor, if the credential says
	Cost  *decimal.Decimal // upper bound of the call in USD; nil is unknown
}

// Check decides for a subject, a user or a key, by the records that tx sees. A subject that holds
// nothing in the organization is store.ErrNotFound. Nothing is recorded.
func (g *Guard) Check(ctx context.Context, tx *store.Tx, subject string, r Request) (Decision, error) {
	scope, err := Scopes.Get(ctx, tx, r.OrgID)
	if err != nil {
		return Decision{}, err
	}
	held, err := Held(ctx, tx, r.OrgID, subject)
	if err != nil {
		return Decision{}, err
	}
	if len(held) == 0 {
		return Decision{}, store.ErrNotFound
	}
	return g.decide(ctx, tx, scope, held, r)
}

// decide is the one place where a decision is made.
func (g *Guard) decide(ctx context.Context, tx *store.Tx, scope Scope, held []Assignment, r Request) (Decision, error) {
	if !g.vocabulary.Known(r.Action) {
		return g.stamp(tx, scope, Decision{Verdict: VerdictDeny, Code: "permission_denied", MissingPermission: r.Action,
			Reasons: []Reason{{Kind: "unknown_action", Text: "no such action is registered"}}}), nil
	}
	snap, err := g.snapshots.get(ctx, tx, scope)
	if err != nil {
		return Decision{}, err
	}
	if held[0].Kind == Key {
		return g.decideKey(ctx, tx, scope, snap, held[0], r)
	}
	p := snap.profile(held, r.TeamID)
	p.NoPolicies = isPolicyEditing(r.Action) && snap.owner(held)
	d, err := g.answer(ctx, tx, snap, p, r, held)
	return g.stamp(tx, scope, d), err
}

// teamActions is what a key with inherit_team_permissions may do: act as its team on the data
// plane, within the team's settings and policies (F472).
var teamActions = []string{"models.use", "models.read", "api_keys.use"}

// decideKey decides for an API key. What the key acts for as its team needs no role of anybody.
// What it was granted explicitly holds only as far as its maker and the person bound to it hold
// the same, now.
func (g *Guard) decideKey(ctx context.Context, tx *store.Tx, scope Scope, snap *snapshot, key Assignment, r Request) (Decision, error) {
	p := profile{Team: r.TeamID, Removed: key.Remove}
	if key.State == Active && (key.TeamID == "" || key.TeamID == r.TeamID) {
		if key.ActsAsTeam {
			p.Grants = append(p.Grants, grant{Key: true, Add: teamActions})
		}
		if !key.ActsAsTeam || !slices.Contains(teamActions, r.Action) {
			if len(key.Add) > 0 {
				p.Grants = append(p.Grants, grant{Key: true, Add: key.Add})
			}
		}
	}
	d, err := g.answer(ctx, tx, snap, p, r, nil)
	d = g.stamp(tx, scope, d)
	if err != nil || d.Verdict == VerdictDeny || key.ActsAsTeam && slices.Contains(teamActions, r.Action) {
		return d, err
	}
	for _, user := range []string{key.CreatedBy, key.Bound} {
		if user == "" {
			continue
		}
		held, err := Held(ctx, tx, r.OrgID, user)
		if err != nil {
			return Decision{}, err
		}
		if len(held) == 0 {
			return g.stamp(tx, scope, Decision{Verdict: VerdictDeny, Code: "permission_denied", MissingPermission: r.Action,
				Reasons: []Reason{{Kind: "key", ID: key.Subject, Text: "the key's maker or bound person is no member any more"}}}), nil
		}
		u, err := g.decide(ctx, tx, scope, held, r)
		if err != nil || !u.Allowed {
			return u, err
		}
	}
	return d, nil
}

// answer compiles the profile and asks it, with the inputs of the call.
func (g *Guard) answer(ctx context.Context, tx *store.Tx, snap *snapshot, p profile, r Request, held []Assignment) (Decision, error) {
	rs, err := snap.ruleset(p, g.opt.Resolve)
	if err != nil {
		return Decision{}, err
	}
	in := Inputs{Now: r.At, IP: r.IP, Cost: r.Cost, MFAAt: r.MFAAt, MFAKnown: r.Person != "", Own: own(r, held)}
	if in.MFAAt == nil && g.opt.MFA != nil && r.Person != "" {
		at, err := g.opt.MFA(ctx, r.Person)
		in.MFAAt, in.MFAKnown = at, err == nil
	}
	if g.opt.Anomaly != nil {
		in.Anomaly.Registered = true
		in.Anomaly.Score, in.Anomaly.Err = g.opt.Anomaly(ctx, r.OrgID, r.Person)
	}
	var failed error
	in.Approved = func(need ApprovalNeed) Truth {
		t, err := g.approved(ctx, tx, snap, r, need)
		if err != nil {
			failed = err
		}
		return t
	}
	d := rs.Decide(Question{Action: r.Action, Resource: r.Resource, Asked: r.Asked}, in)
	return d, failed
}

// own says whether the resource is the person's: their own record, or a team that they are in.
func own(r Request, held []Assignment) Truth {
	if team, ok := strings.CutPrefix(r.Resource, "team:"); ok && r.Owner == "" {
		return truth(slices.ContainsFunc(held, func(a Assignment) bool { return a.TeamID == team && a.State == Active }))
	}
	return truth(r.Owner != "" && r.Owner == r.Person)
}

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

func (g *Guard) stamp(tx *store.Tx, scope Scope, d Decision) Decision {
	d.ID, d.Revision = tx.NewID("dec"), scope.Revision
	return d
}

// Holds returns what the subject may do in the context by its roles and grants, policies and
// settings aside: permissions in canonical form, sorted. It is what the grant ceiling compares.
func (g *Guard) Holds(ctx context.Context, tx *store.Tx, orgID, teamID, subject string) ([]string, error) {
	h, err := g.holdings(ctx, tx, orgID, teamID, subject)
	if err != nil {
		return nil, err
	}
	return h.list(g.vocabulary), nil
}

// Ceiling returns a *[Denied] with code grant_ceiling unless the actor holds, in the context,
// every permission that is to be handed out. The platform and the system hold everything.
func (g *Guard) Ceiling(ctx context.Context, tx *store.Tx, orgID, teamID, field string, permissions []string) error {
	by := actor(ctx)
	if by.Sovereign() {
		return nil
	}
	return g.CeilingOf(ctx, tx, by.ID, orgID, teamID, field, permissions)
}

// CeilingOf is [Guard.Ceiling] for somebody else than the actor, such as the inviter at the moment
// in which the invitation is accepted.
func (g *Guard) CeilingOf(ctx context.Context, tx *store.Tx, subject, orgID, teamID, field string, permissions []string) error {
	h, err := g.holdings(ctx, tx, orgID, teamID, subject)
	if err != nil {
		return err
	}
	for _, s := range permissions {
		want, err := ParsePermission(s)
		if err != nil {
			return err
		}
		if !h.contain(want) {
			return &Denied{Code: "grant_ceiling", Action: want.String(), TeamID: teamID, Field: field,
				Decision: Decision{MissingPermission: want.String(),
					Remedy: []string{"let somebody who holds " + want.String() + " grant it"}}}
		}
	}
	return nil
}

// RoleGrants returns what a role hands out in a team, overrides included: what the ceiling has to
// cover when somebody is given that role there.
func (g *Guard) RoleGrants(ctx context.Context, tx *store.Tx, role Role, teamID string) ([]string, error) {
	grants := slices.Clone(role.Permissions)
	if teamID == "" {
		return grants, nil
	}
	page, err := overrides.List(ctx, tx, store.Query{Where: []store.Cond{
		store.Eq("team_id", teamID), store.Eq("role_id", role.ID)}})
	if err != nil {
		return nil, err
	}
	for _, o := range page.Items {
		grants = append(grants, o.Add...)
	}
	return grants, nil
}
