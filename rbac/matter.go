package rbac

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Matter is something that no call does and no rule speaks of, and that people can ask for all the same, such as the
// raise of a budget. Its requests are approvals like all others ([Guard.Petition]); the floor that the matter belongs to
// brings what was granted into force.
type Matter struct {
	// Apply brings into force what was granted on a request, or takes it back, as the status of the request says: approved
	// or withdrawn. It runs inside the unit of that step, which its error undoes, and may end the grant sooner.
	Apply func(ctx context.Context, tx *store.Tx, a *Approval) error
}

// Attend has a matter looked after, whose requests have that action: none of the vocabulary.
func (g *Guard) Attend(action string, m Matter) { g.matters.Store(action, m) }

// matterGrant is how long a grant of a matter lasts at most.
const matterGrant = 365 * 24 * time.Hour

// lasts is how long a grant lasts if the approver does not say.
func (a *Approval) lasts() time.Duration {
	if a.ofMatter() {
		return matterGrant
	}
	return approvalGrant
}

func (a *Approval) ofMatter() bool {
	return len(a.Requirements) > 0 && a.Requirements[0].Permission != ""
}

// apply brings what was granted of a matter into force, or takes it back.
func (g *Guard) apply(ctx context.Context, tx *store.Tx, a *Approval) error {
	if !a.ofMatter() {
		return nil
	}
	m, attended := g.matters.Load(a.Action)
	if !attended {
		return errors.New("rbac: nobody attends to " + a.Action)
	}
	return m.(Matter).Apply(ctx, tx, a)
}

// Petition is a request about a matter.
type Petition struct {
	OrgID      string
	TeamID     string // whose approvers decide; "" is the organization's
	Action     string // of the matter
	Resource   string // that it is about, "type:id"
	Permission string // that an approver holds
	Requester  string // user; "" is the actor or the person bound to it, and only the platform asks for others
	Reason     string
	Amount     *decimal.Decimal // USD, that is asked for
	Until      *time.Time       // when the grant is to end at the latest
}

// Petition opens a request about a matter, or returns the one of the same requester and resource that is pending; opened
// says which. One on other terms than the pending one is a *store.ConflictError with the id of that, one within a day of
// a denial a *[Denied] with the code approval_denied. may says, inside the unit, whether an actor who holds something in the
// organization may ask.
func (g *Guard) Petition(ctx context.Context, p Petition, may func(ctx context.Context, tx *store.Tx) error) (a Approval, opened bool, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return a, false, ErrNoActor
	}
	r := Request{OrgID: p.OrgID, TeamID: p.TeamID, Person: cmp.Or(p.Requester, by.Person()), Action: p.Action, Call: Call{Resource: p.Resource}}
	if r.Person == "" {
		return a, false, errNobodyAsks
	}
	fresh := Approval{Reason: strings.TrimSpace(p.Reason), Amount: p.Amount, Until: p.Until,
		Requirements: []ApprovalNeed{{Approvers: []string{}, Permission: p.Permission}}}
	if err := CheckText("reason", fresh.Reason, 0, MaxDescription); err != nil {
		return a, false, err
	}
	a, opened, err = g.open(ctx, r, may, func(context.Context, *store.Tx) (Approval, error) { return fresh, nil })
	if err == nil && !opened && !a.sameTerms(&fresh) {
		err = &store.ConflictError{Code: "conflict", Message: "a request on other terms is pending; withdraw it first", ID: a.ID}
	}
	return a, opened, err
}

func (a *Approval) sameTerms(b *Approval) bool {
	amounts := a.Amount == b.Amount || a.Amount != nil && b.Amount != nil && a.Amount.Equal(*b.Amount)
	return amounts && (a.Until == b.Until || a.Until != nil && b.Until != nil && a.Until.Equal(*b.Until))
}

// whoseRolesAllow are the roles of an organization that hold a permission, or are given it in a team, by their slugs.
func whoseRolesAllow(ctx context.Context, tx *store.Tx, orgID, teamID, permission string) (slugs []string, err error) {
	hold := func(list []string) bool {
		return slices.ContainsFunc(list, func(s string) bool {
			p, err := ParsePermission(s)
			return err == nil && p.Covers(permission)
		})
	}
	for r, err := range roles.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}}) {
		if err != nil {
			return nil, err
		}
		if hold(r.Permissions) {
			slugs = append(slugs, r.Slug)
		}
	}
	for o, err := range overrides.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("team_id", teamID)}}) {
		if err != nil {
			return nil, err
		}
		if hold(o.Add) {
			slugs = append(slugs, o.Role)
		}
	}
	return slugs, nil
}
