package rbac

import (
	"errors"
	"strings"

	"github.com/orgkit/orgkit/audit"
)

// ErrDenied: the actor may not do this. The detail is a *[Denied].
var ErrDenied = errors.New("permission denied")

// ErrNoActor: the context carries no actor, so nobody asks; see audit.WithActor.
var ErrNoActor = errors.New("no actor in the context")

// Denied says what was refused and what would make it pass.
type Denied struct {
	Code     string // stable word: permission_denied, grant_ceiling, ip_denied, mfa_required, ...
	Action   string
	Resource string
	TeamID   string
	Field    string // the field of the input that asked too much, for grant_ceiling
	Decision Decision

	asked Op // what was refused, for the event
}

func (d *Denied) Error() string {
	text := d.Code + ": " + d.Action
	if d.Decision.MissingPermission != "" {
		text += " needs " + d.Decision.MissingPermission
	}
	return text
}

// Unwrap makes every Denied an [ErrDenied].
func (d *Denied) Unwrap() error { return ErrDenied }

// change is the event of a refusal.
func (d *Denied) change() audit.Change {
	c := audit.Change{Type: audit.DeniedType, Outcome: audit.Denied, TeamID: d.TeamID,
		Data: map[string]any{"code": d.Code, "reasons": d.Decision.Reasons, "decision_id": d.Decision.ID}}
	c.Resource.Type, c.Resource.ID, _ = strings.Cut(d.Resource, ":")
	switch {
	case d.Code == "ip_denied":
		c.Type = "security.ip_denied"
	case d.Decision.Anomalous:
		c.Type = audit.AnomalyType
	}
	return c
}
