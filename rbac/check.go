package rbac

import (
	"context"
	"errors"
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
	if err := fresh(ctx, tx); err != nil {
		return Decision{}, err
	}
	st, err := g.standingOf(ctx, tx, r.OrgID, subject)
	if err != nil {
		return Decision{}, err
	}
	return g.decide(ctx, tx, st, r)
}

// decide is the one place where a decision is made.
func (g *Guard) decide(ctx context.Context, tx *store.Tx, st standing, r Request) (Decision, error) {
	if !g.vocabulary.Known(r.Action) {
		return st.stamp(tx, Decision{Verdict: VerdictDeny, Code: "permission_denied", MissingPermission: r.Action,
			Reasons: []Reason{{Kind: "unknown_action", Text: "no such action is registered"}}}), nil
	}
	if key, ok := st.key(); ok {
		return g.decideKey(ctx, tx, st, key, r)
	}
	p := st.profile(r.TeamID)
	if isPolicyEditing(r.Action) {
		p.Skip = st.ownerOf()
	}
	d, err := g.answer(ctx, tx, st, p, r)
	return st.stamp(tx, d), err
}

// teamActions is what a key with inherit_team_permissions may do: act as its team on the data
// plane, within the team's settings and policies (F472).
var teamActions = []string{"models.use", "models.read", "api_keys.use"}

// decideKey decides for an API key. What the key acts for as its team needs no role of anybody.
// What it was granted explicitly holds only as far as its maker and the person bound to it hold
// the same, now.
func (g *Guard) decideKey(ctx context.Context, tx *store.Tx, st standing, key Assignment, r Request) (Decision, error) {
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
	d, err := g.answer(ctx, tx, st, p, r)
	d = st.stamp(tx, d)
	if err != nil || d.Verdict == VerdictDeny || key.ActsAsTeam && slices.Contains(teamActions, r.Action) {
		return d, err
	}
	for _, user := range []string{key.CreatedBy, key.Bound} {
		if user == "" {
			continue
		}
		person, err := g.stand(ctx, tx, st.chain, user, false)
		if errors.Is(err, store.ErrNotFound) {
			return st.stamp(tx, Decision{Verdict: VerdictDeny, Code: "permission_denied", MissingPermission: r.Action,
				Reasons: []Reason{{Kind: "key", ID: key.Subject, Text: "the key's maker or bound person is no member any more"}}}), nil
		} else if err != nil {
			return Decision{}, err
		}
		u, err := g.decide(ctx, tx, person, r)
		if err != nil || !u.Allowed {
			return u, err
		}
	}
	return d, nil
}

// answer compiles the profile and asks it, with the inputs of the call.
func (g *Guard) answer(ctx context.Context, tx *store.Tx, st standing, p profile, r Request) (Decision, error) {
	rs, err := st.snap.ruleset(p, g.opt.Resolve)
	if err != nil {
		return Decision{}, err
	}
	in := Inputs{Now: r.At, IP: r.IP, Cost: r.Cost, MFAAt: r.MFAAt, MFAKnown: r.Person != "", Own: own(r, st.held)}
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
		t, err := g.approved(ctx, tx, r, need)
		if err != nil {
			failed = err
		}
		return t
	}
	d := rs.Decide(Question{Action: r.Action, Resource: r.Resource, Asked: r.Asked}, in)
	return d, failed
}

// own says whether the resource is the person's: their own record, or a team or project that they are in.
func own(r Request, held []Assignment) Truth {
	if kind, place, ok := strings.Cut(r.Resource, ":"); ok && r.Owner == "" && place != "" && kind == placeType(place) {
		return truth(slices.ContainsFunc(held, func(a Assignment) bool { return a.TeamID == place && a.State == Active }))
	}
	return truth(r.Owner != "" && r.Owner == r.Person)
}

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

func (st standing) stamp(tx *store.Tx, d Decision) Decision {
	d.ID, d.Revision = tx.NewID("dec"), revisionOf(st.chain)
	return d
}
