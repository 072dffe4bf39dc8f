package gate

import (
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

// tell tells the log how a call ended about which was decided: by a nil error it was admitted, by a [Denied] refused, and
// by any other neither.
func (g *Gate) tell(adm *Admission, ask *rbac.Request, dec *rbac.Decision, err error) {
	d := audit.Decision{OrgID: ask.OrgID, TeamID: adm.Caller.Key.TeamID, ID: dec.ID, Action: ask.Action, Resource: ask.Resource, Actor: adm.Caller.Actor}
	if err != nil {
		var denied *Denied
		if !errors.As(err, &denied) {
			return
		}
		d.Code, d.Reasons = denied.Code, dec.Reasons
		if dec.Allowed { // and something else refused
			d.Reasons = nil
		}
		if dec.Anomalous {
			d.Type = audit.AnomalyType
		}
	}
	g.m.Audit().Decided(&d)
}

// unasked is the refusal of a call about which nothing was decided, as a [Denied]; the log is told of a key that may not
// be used, and of a rule of its team.
func (g *Gate) unasked(who orgs.Caller, err error) error {
	g.m.Refused(who, err)
	out := refused(err, "")
	var denied *Denied
	if errors.As(out, &denied) && denied.Code == "missing_tags" {
		g.m.Audit().Decided(&audit.Decision{OrgID: who.Key.OrgID, TeamID: who.Key.TeamID, Action: "api_keys.use", Resource: "api_key:" + who.Key.ID,
			Code: denied.Code, Actor: who.Actor})
	}
	return out
}
