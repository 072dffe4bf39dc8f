package orgs

import (
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// The types of the events of credentials that are used. Of each key the first use in an hour is logged, and of refused
// ones the first of a kind in a minute and how many there were; see [audit.Log.Decided].
const (
	KeyUsedType     = "api_key.used"
	KeyDeniedType   = "api_key.denied"
	TokenDeniedType = "token.denied" // in the log of the platform: tokens are of no organization

	IPDeniedType  = "security.ip_denied" // by the list of the organization; by that of a key it is KeyDeniedType
	SuspendedType = "security.suspended" // the organization is, or the person
)

const (
	whyUserSuspended = "user_suspended"
	whyUserExpired   = "user_expired"
)

// ErrKeyAddress: the key itself may not be used from there. Whoever refuses a call for it tells [Manager.Refused] so.
var ErrKeyAddress = errors.New("the key is not allowed from this address")

// named is the key as an actor, of whom no more is known than what the key says.
func (k APIKey) named() audit.Actor {
	return audit.Actor{Type: audit.APIKey, ID: k.ID, Label: k.Name, OnBehalfOf: k.UserID}
}

// Refused tells the log that a known key was used and is refused before anything is decided: an *[AuthError],
// [ErrKeyAddress], [ErrKeyRestricted], store.ErrNotFound where the key holds nothing any more, or a *rbac.Denied that is no decision, such as
// those of [Caller.Stopped]. Whatever else went wrong is
// no refusal, and an unknown secret belongs to nobody's log.
func (m *Manager) Refused(c Caller, err error) {
	if c.Key.ID == "" {
		return
	}
	if c.Token != nil && c.Key.OrgID == "" { // which is at home nowhere, or was not looked for there
		m.refusedToken(c.Actor, *c.Token, err)
		return
	}
	d := audit.Decision{OrgID: c.Key.OrgID, TeamID: c.Key.TeamID, Action: "api_keys.use", Resource: "api_key:" + c.Key.ID, Actor: c.Actor, Type: KeyDeniedType}
	var auth *AuthError
	var denied *rbac.Denied
	switch {
	case errors.Is(err, ErrKeyAddress):
		d.Code = "ip_denied"
	case errors.Is(err, ErrKeyRestricted):
		d.Code = "restricted"
	case errors.As(err, &auth):
		d.Code = auth.why
	case errors.As(err, &denied) && denied.Decision.ID == "":
		d.Code, d.Reasons = denied.Code, denied.Decision.Reasons
	case errors.Is(err, store.ErrNotFound):
		d.Code = "holds_nothing"
	default:
		return
	}
	switch {
	case d.Code == "org_suspended" || d.Code == whyUserSuspended:
		d.Type = SuspendedType
	case d.Code == "ip_denied" && denied != nil:
		d.Type = IPDeniedType
	}
	m.Audit().Decided(&d)
}

// refusedToken is Refused for a personal token.
func (m *Manager) refusedToken(a audit.Actor, t Token, err error) {
	var auth *AuthError
	if t.ID == "" || !errors.As(err, &auth) {
		return
	}
	d := audit.Decision{Action: "tokens.use", Resource: "token:" + t.ID, Actor: a, Code: auth.why, Type: TokenDeniedType}
	if d.Code == whyUserSuspended {
		d.Type = SuspendedType
	}
	m.Audit().Decided(&d)
}
