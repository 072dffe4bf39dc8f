package rbac

import (
	"context"

	"github.com/orgkit/orgkit/store"
)

// SubjectKind says what holds an assignment.
type SubjectKind string

// The kinds of subject.
const (
	Member SubjectKind = "member" // a user
	Key    SubjectKind = "key"    // an API key
)

// Assignment is what a subject holds in an organization: at its level when TeamID is empty, else
// in that team or project. For a user it is the membership itself; for a key it is what the key may do.
type Assignment struct {
	store.Meta
	OrgID   string      `json:"organization_id"`
	TeamID  string      `json:"team_id"`
	Subject string      `json:"subject"` // usr_… or key_…
	Kind    SubjectKind `json:"kind"`
	State   State       `json:"state"` // Active or Suspended
	RoleID  string      `json:"role_id"`
	Source  string      `json:"source"` // manual, invitation, sso or scim

	// Given are the ids of roles that the identity provider of the organization gives beside that one, by groups: the member
	// holds all of them. Only what comes from there changes them. The owner's is never among them.
	Given []string `json:"given"`

	Add    []string `json:"add"`    // custom grants; for a key all that it was granted
	Remove []string `json:"remove"` // removed whatever grants them (F469)

	// Of keys: the user bound to it, "" for a service key; its maker; and whether it acts as its
	// team on the data plane (F472) or only by its own grants.
	Bound      string `json:"bound"`
	CreatedBy  string `json:"created_by"`
	ActsAsTeam bool   `json:"acts_as_team"`
}

// Assignments holds all of them. Only the floor above writes it, inside [Guard.Change].
var Assignments = store.Define[Assignment]("assignments", "mem", store.Traced("subject"),
	store.Unique("subject", "org_id", "team_id"),
	store.Index("org_id", "team_id", "kind", "created_at"), store.Index("org_id", "role_id"))

// Held returns everything that the subject holds in the organization, suspended included.
func Held(ctx context.Context, tx *store.Tx, orgID, subject string) ([]Assignment, error) {
	var held []Assignment
	for a, err := range Assignments.All(ctx, tx, store.Query{
		Where: []store.Cond{store.Eq("subject", subject), store.Eq("org_id", orgID)},
	}) {
		if err != nil {
			return nil, err
		}
		held = append(held, a)
	}
	return held, nil
}

// seat is what decisions know of an assignment: nothing that tells those apart who hold the same.
type seat struct {
	teamID, roleID string
	level          int32 // of the organization above whose seat it is, 0 for the organization itself
	active         bool
	add, remove    []string
	key            *keySeat // nil: of a member
}

// keySeat is what only keys have.
type keySeat struct {
	bound, createdBy string
	actsAsTeam       bool
}

// seats are that of the role, and one of each role that is given beside it. What is removed from the member is removed
// from all of them.
func (a *Assignment) seats() []seat {
	seats := make([]seat, 1, 1+len(a.Given))
	seats[0] = a.seat()
	for _, role := range a.Given {
		seats = append(seats, seat{teamID: a.TeamID, roleID: role, active: a.State == Active, remove: a.Remove})
	}
	return seats
}

func (a *Assignment) seat() seat {
	s := seat{teamID: a.TeamID, roleID: a.RoleID, active: a.State == Active, add: a.Add, remove: a.Remove}
	if a.Kind == Key {
		s.key = &keySeat{a.Bound, a.CreatedBy, a.ActsAsTeam}
	}
	return s
}

// in returns the active seats that act in the context: those at the level of the organization and, in a
// team, those of the team.
func in(held []seat, teamID string) []seat {
	var act []seat
	for _, s := range held {
		if s.active && (s.teamID == "" || s.teamID == teamID) {
			act = append(act, s)
		}
	}
	return act
}

// ForgetTeam removes everything that this package keeps of a team or project that is about to go: the
// memberships, overrides, policies and restriction. The assignments of keys stay with their keys.
func ForgetTeam(ctx context.Context, tx *store.Tx, orgID, teamID string) error {
	of := store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("team_id", teamID)}}
	for a, err := range Assignments.All(ctx, tx, store.Query{Where: append(of.Where, store.Eq("kind", Member))}) {
		if err != nil {
			return err
		}
		if err := Assignments.Delete(ctx, tx, a.ID); err != nil {
			return err
		}
	}
	for o, err := range overrides.All(ctx, tx, of) {
		if err != nil {
			return err
		}
		if err := overrides.Delete(ctx, tx, o.ID); err != nil {
			return err
		}
	}
	for p, err := range policies.All(ctx, tx, of) {
		if err != nil {
			return err
		}
		if err := policies.Delete(ctx, tx, p.ID); err != nil {
			return err
		}
	}
	return Restrictions.Delete(ctx, tx, teamID)
}
