package gate

import (
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// by is the caller of a call.
func (n *known) by(c *Call) orgs.Caller {
	who := *n.caller
	who.Actor.IP, who.Actor.RequestID = c.IP, c.RequestID
	return who
}

// tell tells the log of a call that was admitted.
func (g *Gate) tell(n *known, ln *lane, c *Call, id string) {
	key := &n.caller.Key
	g.m.Audit().Decided(&audit.Decision{OrgID: key.OrgID, TeamID: key.TeamID, ID: id, Action: c.Action, Resource: ln.resource, Actor: n.by(c).Actor})
}

// tellRefusal tells the log how a call ended about which was decided, by a [Denied]. What ended by another error was neither
// admitted nor refused.
func (g *Gate) tellRefusal(n *known, ask *rbac.Request, dec *rbac.Decision, c *Call, err error) {
	var denied *Denied
	if !errors.As(err, &denied) {
		return
	}
	d := audit.Decision{OrgID: ask.OrgID, TeamID: n.caller.Key.TeamID, ID: dec.ID, Action: ask.Action, Resource: ask.Resource, Actor: n.by(c).Actor,
		Code: denied.Code}
	if !dec.Allowed { // else something else refused
		d.Reasons = dec.Reasons
	}
	if dec.Anomalous {
		d.Type = audit.AnomalyType
	}
	g.m.Audit().Decided(&d)
}

// exhausted is the refusal of a call that was decided on by limits or budgets, with where its rate limits stand.
func (g *Gate) exhausted(n *known, ln *lane, limits *billing.Limits, id string, c *Call, err error) error {
	if id == "" {
		id = g.m.Store().NewID("dec")
	}
	err = refused(err, id)
	var d *Denied
	if !errors.As(err, &d) {
		return err
	}
	d.of(n.by(c))
	if rate, some := limits.Nearest(); some {
		d.Rate = &rate
	}
	ask := n.request(ln, c, nil)
	g.tellRefusal(n, &ask, &rbac.Decision{ID: id, Allowed: true}, c, d)
	return d
}

// unasked is the refusal of a call about which nothing was decided, as a [Denied], c being nil where a key was looked up for
// none; the log is told of a key that may not be used, and of a rule of its team.
func (g *Gate) unasked(n *known, c *Call, err error) error {
	who := *n.caller
	if c != nil {
		who = n.by(c)
	}
	g.m.Refused(who, err)
	out := refused(err, "")
	var denied *Denied
	if !errors.As(out, &denied) {
		return out
	}
	if denied.of(who); denied.Code == "missing_tags" {
		g.m.Audit().Decided(&audit.Decision{OrgID: who.Key.OrgID, TeamID: who.Key.TeamID, Action: "api_keys.use", Resource: "api_key:" + who.Key.ID,
			Code: denied.Code, Actor: who.Actor})
	}
	return out
}

// invalid is a call that cannot be.
func invalid(err error) error {
	var field *store.FieldError
	if errors.As(err, &field) {
		return &Denied{Code: "invalid_request", Message: field.Error()}
	}
	return err
}
