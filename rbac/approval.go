package rbac

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// ApprovalStatus is where an approval request stands.
type ApprovalStatus string

// The statuses.
const (
	ApprovalPending   ApprovalStatus = "pending"
	ApprovalApproved  ApprovalStatus = "approved"
	ApprovalDenied    ApprovalStatus = "denied"
	ApprovalExpired   ApprovalStatus = "expired"   // the request, or what was granted
	ApprovalWithdrawn ApprovalStatus = "withdrawn" // likewise
)

// How long things last (F321), unless the approver says otherwise.
const (
	approvalPending = 7 * 24 * time.Hour
	approvalGrant   = 30 * 24 * time.Hour
	approvalDenial  = 24 * time.Hour
)

// Approval is one request to do what needs somebody's word, and the words that were given. There is
// at most one that is pending per team, requester, action and resource.
type Approval struct {
	store.Meta
	OrgID     string         `json:"organization_id"`
	TeamID    string         `json:"team_id"`   // or project; "" for the organization
	Requester string         `json:"requester"` // user
	Action    string         `json:"action"`
	Resource  string         `json:"resource"`
	Reason    string         `json:"reason"`
	Status    ApprovalStatus `json:"status"` // as stored; see StatusAt
	// Requirements are those of all rules that ask for an approval. Each is met by one approver who qualifies
	// for it; one person may meet several.
	Requirements []ApprovalNeed `json:"requirements"`
	Decisions    []Vote         `json:"decisions"` // in the order in which they were given
	// EndsAt is when the request lapses while it is pending, the grant once approved, the
	// remembered refusal once denied.
	EndsAt    time.Time        `json:"ends_at"`
	MaxAmount *decimal.Decimal `json:"max_amount"` // USD, once approved: cost cap per call, or how much of Amount; nil for none

	// Of a [Matter]: how much was asked for (USD), and until when at the latest; nil for none.
	Amount *decimal.Decimal `json:"amount,omitempty"`
	Until  *time.Time       `json:"until,omitempty"`
}

// Vote is what one approver has said.
type Vote struct {
	By        string           `json:"by"` // user
	Approve   bool             `json:"approve"`
	Reason    string           `json:"reason"`
	At        time.Time        `json:"at"`
	Lasts     time.Duration    `json:"lasts"`      // of a grant, from the last word that was needed
	MaxAmount *decimal.Decimal `json:"max_amount"` // USD: cost cap per call, or how much of what is asked for; nil for none
}

// permission is what who decides on the request holds.
func (a *Approval) permission() string {
	if len(a.Requirements) == 0 {
		return approving
	}
	return a.Requirements[0].permission()
}

// AuditResource is how the log names the request.
func (a Approval) AuditResource() audit.Resource {
	return audit.Resource{Type: "approval", ID: a.ID}
}

// StatusAt is the status at that time: what is pending or approved ends by itself.
func (a Approval) StatusAt(now time.Time) ApprovalStatus {
	if (a.Status == ApprovalPending || a.Status == ApprovalApproved) && !now.Before(a.EndsAt) {
		return ApprovalExpired
	}
	return a.Status
}

var approvals = store.Define[Approval]("approvals", "apr", store.Traced("id"),
	store.Index("team_id", "requester", "resource", "created_at"), store.Index("org_id", "created_at"),
	store.Index("org_id", "status", "ends_at"), store.Index("status", "ends_at"))

// ApprovalNotice is one step of an approval request, for whoever tells people.
type ApprovalNotice struct {
	Event    string   // the type of the event in the audit log, such as approval.requested
	Approval Approval // after the step
	// To are users: of a new request, and of one that needs a further word, those who may give it; of
	// everything else the requester.
	To []string
}

// step describes one step of a request for the log, and tells people of it.
func (g *Guard) step(ctx context.Context, tx *store.Tx, event string, before *Approval, a *Approval, reason string) (audit.Change, error) {
	change := audit.Created(a)
	if before != nil {
		change = audit.Updated(*before, a)
	}
	if g.opt.Notify == nil {
		return change.As(event).In(a.TeamID).Because(reason), nil
	}
	n := ApprovalNotice{Event: event, Approval: *a, To: []string{a.Requester}}
	if a.Status == ApprovalPending {
		var err error
		if n.To, err = g.approvers(ctx, tx, a); err != nil {
			return audit.Change{}, err
		}
	}
	return change.As(event).In(a.TeamID).Because(reason), g.opt.Notify(ctx, tx, n)
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

// Approval returns a request, to its requester and to who holds members.approve_requests in its context, or what its
// approvers hold. To everybody else it does not exist.
func (g *Guard) Approval(ctx context.Context, orgID, id string) (a Approval, err error) {
	err = g.Read(ctx, Op{Action: "approvals.read", OrgID: orgID, Resource: "approval:" + id, Self: true}, func(ctx context.Context, tx *store.Tx) error {
		found, err := ownApproval(ctx, tx, orgID, id)
		if err != nil {
			return err
		}
		if by := actor(ctx); by.Type != audit.User || by.ID != found.Requester {
			if err := g.mustSee(ctx, tx, by, &found); err != nil {
				return err
			}
		}
		a = found
		return nil
	})
	return a, err
}

// ApprovalFilter selects requests; the zero value selects all.
type ApprovalFilter struct {
	Status    ApprovalStatus // as it is now
	Requester string         // user; "me" is the actor
	Action    string
	Resource  string
	// Permission lets who holds it see all requests; "" is members.approve_requests. It goes with an Action whose approvers
	// hold it.
	Permission string
	Limit      int
	After      string
}

// Approvals lists requests, the newest first: of a team or project, or with teamID "" of the organization with
// all teams. Who holds members.approve_requests, or the permission of the filter, sees those of the teams where they do,
// everybody else their own.
func (g *Guard) Approvals(ctx context.Context, orgID, teamID string, f ApprovalFilter) (page store.Page[Approval], err error) {
	op := Op{Action: "approvals.read", OrgID: orgID, TeamID: teamID, Self: true}
	err = g.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		q := store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}, Order: []store.Order{store.Desc("created_at")}, Limit: f.Limit, After: f.After}
		if teamID != "" {
			q.Where = append(q.Where, store.Eq("team_id", teamID))
		}
		for column, is := range map[string]string{"action": f.Action, "resource": f.Resource} {
			if is != "" {
				q.Where = append(q.Where, store.Eq(column, is))
			}
		}
		mine := "" // what the actor has asked for: a key of theirs is not they
		by, requester := actor(ctx), f.Requester
		if by.Type == audit.User {
			mine = by.ID
		}
		if requester == "me" {
			if requester = mine; mine == "" {
				return nil
			}
		}
		if requester == "" || requester != mine {
			teams, all, err := g.overseen(ctx, tx, by, orgID, teamID, cmp.Or(f.Permission, approving))
			switch {
			case err != nil:
				return err
			case all:
			case len(teams) > 0:
				q.Where = append(q.Where, store.In("team_id", teams))
			case mine == "" || requester != "": // there is nothing of theirs, or it is somebody else's that was asked for
				return nil
			default:
				requester = mine
			}
		}
		if requester != "" {
			q.Where = append(q.Where, store.Eq("requester", requester))
		}
		status, err := f.Status.at(tx.Now())
		if err != nil {
			return err
		}
		q.Where = append(q.Where, status...)
		page, err = approvals.List(ctx, tx, q)
		return err
	})
	return page, err
}

// ending are the statuses as stored that end by themselves.
var ending = []ApprovalStatus{ApprovalPending, ApprovalApproved}

// notOver and over select by whether the time of a request is over. Times are kept in microseconds, and what ends
// now has ended.
func notOver(now time.Time) store.Cond { return store.From("ends_at", now.Add(time.Microsecond)) }
func over(now time.Time) store.Cond    { return store.Below("ends_at", now.Add(time.Microsecond)) }

// at selects by a status as it is at that time.
func (s ApprovalStatus) at(now time.Time) ([]store.Cond, error) {
	switch s {
	case "":
		return nil, nil
	case ApprovalPending, ApprovalApproved:
		return []store.Cond{store.Eq("status", s), notOver(now)}, nil
	case ApprovalExpired:
		return []store.Cond{store.In("status", append([]ApprovalStatus{ApprovalExpired}, ending...)), over(now)}, nil
	case ApprovalDenied, ApprovalWithdrawn:
		return []store.Cond{store.Eq("status", s)}, nil
	}
	return nil, store.Invalid("status", "enum", "must be pending, approved, denied, expired or withdrawn")
}

// mustSee answers store.ErrNotFound to who is neither an approver of the request nor oversees all requests there.
func (g *Guard) mustSee(ctx context.Context, tx *store.Tx, by audit.Actor, a *Approval) error {
	for _, permission := range []string{a.permission(), approving} {
		if all, err := g.oversees(ctx, tx, by, a.OrgID, a.TeamID, permission); err != nil || all {
			return err
		}
	}
	return store.ErrNotFound
}

// oversees says whether the actor sees all requests in a context, of those on which who decides holds the permission.
func (g *Guard) oversees(ctx context.Context, tx *store.Tx, by audit.Actor, orgID, teamID, permission string) (bool, error) {
	_, err := g.mayRead(ctx, tx, by, Op{Action: permission, OrgID: orgID, TeamID: teamID, Past: true})
	if errors.Is(err, ErrDenied) {
		return false, nil
	}
	return err == nil, err
}

// overseen are the contexts in which the actor sees all requests, of one or of the organization with all teams and
// projects, where overrides may give and take; all says that they are all there are.
func (g *Guard) overseen(ctx context.Context, tx *store.Tx, by audit.Actor, orgID, teamID, permission string) (teams []string, all bool, err error) {
	if all, err = g.oversees(ctx, tx, by, orgID, teamID, permission); err != nil || teamID != "" {
		return nil, all, err
	}
	if all {
		teams = append(teams, "")
	}
	for r, err := range Restrictions.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}}) {
		if err != nil {
			return nil, false, err
		}
		if r.ID == orgID {
			continue
		}
		is, err := g.oversees(ctx, tx, by, orgID, r.ID, permission)
		if err != nil {
			return nil, false, err
		}
		if all = all && is; is {
			teams = append(teams, r.ID)
		}
	}
	return teams, all, nil
}

// of selects the requests of this in an organization, the newest first.
func (w wish) of(orgID string) store.Query {
	return store.Query{
		Where: []store.Cond{store.Eq("team_id", w.team), store.Eq("requester", w.requester),
			store.Eq("resource", w.resource), store.Eq("action", w.action), store.Eq("org_id", orgID)},
		Order: []store.Order{store.Desc("created_at")},
	}
}

// latestApproval returns the newest request of the same thing that was not withdrawn; its id is empty if there
// is none.
func latestApproval(ctx context.Context, tx *store.Tx, r Request) (a Approval, err error) {
	q := wish{r.TeamID, r.Person, r.Action, r.Resource}.of(r.OrgID)
	q.Where = append(q.Where, store.In("status", []ApprovalStatus{ApprovalPending, ApprovalApproved, ApprovalDenied}))
	q.Limit = 1
	page, err := approvals.List(ctx, tx, q)
	if err == nil && len(page.Items) > 0 {
		a = page.Items[0]
	}
	return a, err
}

func ownApproval(ctx context.Context, tx *store.Tx, orgID, id string) (Approval, error) {
	a, err := approvals.Get(ctx, tx, id)
	if err == nil && a.OrgID != orgID {
		return Approval{}, store.ErrNotFound
	}
	return a, err
}

func live(a *Approval, now time.Time) bool { return a.ID != "" && now.Before(a.EndsAt) }
