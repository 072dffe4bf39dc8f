package rbac

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// ApprovalStatus is where an approval request stands.
type ApprovalStatus string

// The statuses.
const (
	ApprovalPending  ApprovalStatus = "pending"
	ApprovalApproved ApprovalStatus = "approved"
	ApprovalDenied   ApprovalStatus = "denied"
)

// How long things last (F321), unless the approver says otherwise.
const (
	approvalPending = 7 * 24 * time.Hour
	approvalGrant   = 30 * 24 * time.Hour
	approvalDenial  = 24 * time.Hour
)

// Approval is one request to do what needs somebody's word, and the word that was given. There is
// at most one that is open or in force per team, requester, action and resource.
type Approval struct {
	store.Meta
	OrgID        string         `json:"organization_id"`
	TeamID       string         `json:"team_id"`
	Requester    string         `json:"requester"` // user
	Action       string         `json:"action"`
	Resource     string         `json:"resource"`
	Reason       string         `json:"reason"`
	Status       ApprovalStatus `json:"status"`
	Requirements []ApprovalNeed `json:"requirements"`
	Approver     string         `json:"approver"` // user, once decided
	Answer       string         `json:"answer"`   // the approver's reason
	// EndsAt is when the request lapses while it is pending, the grant once approved, the
	// remembered refusal once denied.
	EndsAt    time.Time        `json:"ends_at"`
	MaxAmount *decimal.Decimal `json:"max_amount"` // cost cap per call in USD, nil for none
}

// AuditResource is how the log names the request.
func (a Approval) AuditResource() audit.Resource {
	return audit.Resource{Type: "approval", ID: a.ID}
}

var approvals = store.Define[Approval]("approvals", "apr", store.Traced("id"),
	store.Index("team_id", "requester", "resource", "created_at"), store.Index("org_id", "status", "ends_at"))

// RequestApproval opens the request for what r was refused, or returns the one that is open. The
// requester is r.Person, who is the actor or the person bound to it and holds something in the organization. A
// recent denial of the same is a *[Denied] with code approval_denied; a
// missing reason where one is asked for opens nothing and is store.ErrInvalid.
func (g *Guard) RequestApproval(ctx context.Context, r Request, needs []ApprovalNeed, reason string) (a Approval, err error) {
	if r.Person == "" {
		return a, store.Invalid("requester", "required", "an approval needs a person who asks")
	}
	reason = strings.TrimSpace(reason)
	if err := CheckText("reason", reason, 0, MaxDescription); err != nil {
		return a, err
	}
	if reason == "" && slices.ContainsFunc(needs, func(n ApprovalNeed) bool { return n.ReasonRequired }) {
		return a, store.Invalid("reason", "required", "is required for this approval")
	}
	// A refused call is asked again and again; only the first one writes.
	op := Op{Action: "approvals.create", OrgID: r.OrgID, TeamID: r.TeamID, Resource: r.Resource, Self: true}
	if a, err = g.openApproval(ctx, op, r); err != nil || a.ID != "" {
		return a, err
	}
	err = g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		open, err := latestApproval(ctx, tx, r)
		if err != nil {
			return audit.Change{}, err
		}
		if live(&open, tx.Now()) && open.Status == ApprovalPending { // somebody was faster
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "a request is open already", ID: open.ID}
		}
		a = Approval{OrgID: r.OrgID, TeamID: r.TeamID, Requester: r.Person, Action: r.Action, Resource: r.Resource,
			Reason: reason, Status: ApprovalPending, Requirements: needs, EndsAt: tx.Now().Add(approvalPending)}
		err = approvals.Insert(ctx, tx, &a)
		return audit.Created(&a).As("approval.requested").In(r.TeamID), err
	})
	var faster *store.ConflictError
	if errors.As(err, &faster) {
		return g.openApproval(ctx, op, r)
	}
	return a, err
}

func (g *Guard) openApproval(ctx context.Context, op Op, r Request) (a Approval, err error) {
	err = g.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		if by := actor(ctx); !by.Sovereign() && by.Person() != r.Person {
			return &Denied{Code: "permission_denied", Action: op.Action, Resource: r.Resource, TeamID: r.TeamID,
				Decision: Decision{Remedy: []string{"ask for yourself"}}}
		}
		last, err := latestApproval(ctx, tx, r)
		switch {
		case err != nil || !live(&last, tx.Now()):
			return err
		case last.Status == ApprovalDenied:
			return &Denied{Code: "approval_denied", Action: r.Action, Resource: r.Resource, TeamID: r.TeamID,
				Decision: Decision{Remedy: []string{"ask again after " + last.EndsAt.Format(time.RFC3339)}}}
		case last.Status == ApprovalPending:
			a = last
		}
		return nil
	})
	return a, err
}

func live(a *Approval, now time.Time) bool { return a.ID != "" && now.Before(a.EndsAt) }

// of selects the requests of this in an organization, the newest first.
func (w wish) of(orgID string) store.Query {
	return store.Query{
		Where: []store.Cond{store.Eq("team_id", w.team), store.Eq("requester", w.requester),
			store.Eq("resource", w.resource), store.Eq("action", w.action), store.Eq("org_id", orgID)},
		Order: []store.Order{store.Desc("created_at")},
	}
}

// latestApproval returns the newest request of the same thing; its id is empty if there is none.
func latestApproval(ctx context.Context, tx *store.Tx, r Request) (a Approval, err error) {
	q := wish{r.TeamID, r.Person, r.Action, r.Resource}.of(r.OrgID)
	q.Limit = 1
	page, err := approvals.List(ctx, tx, q)
	if err == nil && len(page.Items) > 0 {
		a = page.Items[0]
	}
	return a, err
}

// qualifies says whether the user may decide: holds members.approve_requests in the team and one
// of the roles, in the team or at the level of the organization.
func qualifies(ctx context.Context, w world, team, user string, need *ApprovalNeed) (bool, error) {
	st, err := w.stand(ctx, user)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	fits := slices.ContainsFunc(in(st.held, team), func(a seat) bool {
		role := store.SlugKey(st.snap.role(a.roleID).Slug)
		return slices.ContainsFunc(need.Approvers, func(who string) bool {
			return store.SlugKey(who) == role || who == "user:"+user
		})
	})
	if !fits {
		return false, nil
	}
	h, err := st.holdings(team, false)
	return h.contain(approving), err
}

// knowledge is what policies of a place are held against.
func (g *Guard) knowledge(ctx context.Context, tx *store.Tx, orgID, teamID string) (Knowledge, error) {
	may := map[string]bool{}
	for r, err := range roles.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}}) {
		if err != nil {
			return Knowledge{}, err
		}
		o, err := overrides.Find(ctx, tx, store.Eq("team_id", teamID), store.Eq("role_id", r.ID))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return Knowledge{}, err
		}
		h, err := newHolding(slices.Concat(r.Permissions, o.Add), o.Remove)
		if err != nil {
			return Knowledge{}, err
		}
		may[r.SlugKey] = holdings{h}.contain(approving)
	}
	return Knowledge{Vocabulary: g.vocabulary, AnomalySource: g.opt.Anomaly != nil, Now: tx.Now(), Approves: func(who string) bool {
		return strings.HasPrefix(who, "user:") || may[store.SlugKey(who)]
	}}, nil
}

// approving is what an approver holds.
var approving = Permission{pattern: "members.approve_requests"}

// ApprovalDecision is the input of [Guard.DecideApproval].
type ApprovalDecision struct {
	Approve   bool
	Reason    string
	Lasts     time.Duration    // of the grant, 1 h to 365 d; 0 is 30 days
	MaxAmount *decimal.Decimal // cost cap per call in USD
}

// DecideApproval approves or denies a pending request. The approver must hold
// members.approve_requests in the team and one of the roles that each requirement names, and
// cannot be the requester. Of two decisions at once one wins, the other is store.ErrConflict.
func (g *Guard) DecideApproval(ctx context.Context, orgID, id string, in ApprovalDecision) (a Approval, err error) {
	var team string
	if err := g.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := ownApproval(ctx, tx, orgID, id)
		team = a.TeamID
		return err
	}); err != nil {
		return a, err
	}
	op := Op{Action: "members.approve_requests", OrgID: orgID, TeamID: team, Past: true}
	err = g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if in.Lasts != 0 && (in.Lasts < time.Hour || in.Lasts > 365*24*time.Hour) {
			return audit.Change{}, store.Invalid("expires_in_hours", "range", "must be from 1 to 8760")
		}
		if in.MaxAmount != nil && in.MaxAmount.IsNegative() {
			return audit.Change{}, store.Invalid("max_amount", "range", "must not be negative")
		}
		if a, err = ownApproval(ctx, tx, orgID, id); err != nil {
			return audit.Change{}, err
		}
		if a.Status != ApprovalPending || !live(&a, tx.Now()) {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "the request is not pending any more", ID: a.ID}
		}
		before, by := a, actor(ctx)
		if err := g.mayDecide(ctx, tx, a, by); err != nil {
			return audit.Change{}, err
		}
		a.Approver, a.Answer, a.MaxAmount = by.ID, in.Reason, in.MaxAmount
		kind := "approval.approved"
		if in.Approve {
			lasts := in.Lasts
			if lasts == 0 {
				lasts = approvalGrant
			}
			a.Status, a.EndsAt = ApprovalApproved, tx.Now().Add(lasts)
		} else {
			kind = "approval.denied"
			a.Status, a.EndsAt = ApprovalDenied, tx.Now().Add(approvalDenial)
		}
		return audit.Updated(before, &a).As(kind).In(a.TeamID).Because(in.Reason), approvals.Update(ctx, tx, &a)
	})
	return a, err
}

// ApprovalOrg returns the organization of a request, or store.ErrNotFound where there is none or the
// actor holds nothing in it.
func (g *Guard) ApprovalOrg(ctx context.Context, id string) (orgID string, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return "", ErrNoActor
	}
	err = g.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := approvals.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		orgID = a.OrgID
		if by.Sovereign() {
			return nil
		}
		return g.Belongs(ctx, tx, a.OrgID, by.ID)
	})
	return orgID, err
}

func (g *Guard) mayDecide(ctx context.Context, tx *store.Tx, a Approval, by audit.Actor) error {
	refused := &Denied{Code: "permission_denied", Action: "members.approve_requests", TeamID: a.TeamID, Resource: "approval:" + a.ID}
	if by.Type != audit.User || by.ID == a.Requester {
		refused.Decision.Remedy = []string{"let an approver decide who is not the requester"}
		return refused
	}
	chain, err := Lineage(ctx, tx, a.OrgID)
	if err != nil {
		return err
	}
	for _, need := range a.Requirements {
		ok, err := qualifies(ctx, &records{guard: g, tx: tx, chain: chain, locked: true}, a.TeamID, by.ID, &need)
		if err != nil {
			return err
		}
		if !ok {
			refused.Decision.Remedy = []string{"let a holder of " + strings.Join(need.Approvers, " or ") + " decide"}
			return refused
		}
	}
	return nil
}

func ownApproval(ctx context.Context, tx *store.Tx, orgID, id string) (Approval, error) {
	a, err := approvals.Get(ctx, tx, id)
	if err == nil && a.OrgID != orgID {
		return Approval{}, store.ErrNotFound
	}
	return a, err
}
