package gate

import (
	"context"
	"errors"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// permits asks for the use of the key, the model and every feature, as if the cost were not known. What is unknown opens
// nothing: a call that is permitted so is permitted whatever it costs. Others have to be asked about with their cost.
func (g *Gate) permits(ctx context.Context, n *known, ln *lane, c *Call) (bool, error) {
	plain := len(c.Features) == 0 && len(c.Objects) == 0 && c.Action == useModels
	if plain && ln.open.Load() {
		return true, nil
	}
	q := rbac.Call{Resource: n.self, At: c.Now, IP: c.IP, MFAAt: n.caller.Actor.MFAAt}
	may, err := n.principal.Allows(ctx, g.useKey, &q)
	if !may.Allowed || err != nil {
		return false, err
	}
	settled := may.Settled
	use := g.use
	if c.Action != useModels {
		use = g.m.Action(c.Action)
	}
	q.Resource, q.Asked = ln.resource, ln.asked
	if may, err = n.principal.Allows(ctx, use, &q); !may.Allowed || err != nil {
		return false, err
	}
	if plain && settled && may.Settled { // under a later basis the key is read again, and the lane made anew
		ln.open.Store(true)
	}
	q.Asked = ""
	for _, f := range c.Features {
		q.Resource = "feature:" + f
		if may, err = n.principal.Allows(ctx, use, &q); !may.Allowed || err != nil {
			return false, err
		}
	}
	for _, object := range c.Objects {
		q.Resource = object
		if may, err = n.principal.Allows(ctx, use, &q); !may.Allowed || err != nil {
			return false, err
		}
	}
	return true, nil
}

// reasons decides on a call with its cost, and refuses it with the reasons. It answers the id of a decision that permits it.
func (g *Gate) reasons(ctx context.Context, n *known, ln *lane, e *billing.Estimate, c *Call, err error) (id string, _ error) {
	if err != nil {
		return "", g.unasked(n, c, err)
	}
	ask, dec, err := g.decide(ctx, n, ln, c, e.Amount())
	if err != nil {
		return "", g.unasked(n, c, err)
	}
	if dec.Allowed {
		return dec.ID, nil
	}
	err = g.refuse(ctx, n, &ask, &dec, c)
	g.tellRefusal(n, &ask, &dec, c, err)
	return "", err
}

// request is what a call asks for.
func (n *known) request(ln *lane, c *Call, cost *decimal.Decimal) rbac.Request {
	key := &n.caller.Key
	return rbac.Request{OrgID: key.OrgID, TeamID: key.Context(), Action: c.Action, Person: n.caller.Actor.Person(),
		Call: rbac.Call{Resource: ln.resource, Asked: ln.asked, At: c.Now, IP: c.IP, MFAAt: n.caller.Actor.MFAAt, Cost: cost}}
}

// decide is permits with the cost and the reasons: the first refusal is the answer, and the request what was refused; of a
// call that is allowed they are those of the model.
func (g *Gate) decide(ctx context.Context, n *known, ln *lane, c *Call, cost *decimal.Decimal) (rbac.Request, rbac.Decision, error) {
	model := n.request(ln, c, cost)
	use := model
	use.Action, use.Resource, use.Asked = "api_keys.use", n.self, ""
	questions := []rbac.Request{use, model}
	for _, f := range c.Features {
		feature := model
		feature.Resource, feature.Asked = "feature:"+f, ""
		questions = append(questions, feature)
	}
	for _, o := range c.Objects {
		object := model
		object.Resource, object.Asked = o, ""
		questions = append(questions, object)
	}
	var of rbac.Decision
	for i, q := range questions {
		d, err := g.m.Decide(ctx, n.caller.Subject(), &q)
		if err != nil || !d.Allowed {
			return q, d, err
		}
		if i == 1 {
			of = d
		}
	}
	return model, of, nil
}

// restricts refuses a call that the key itself is not for. That is a decision as any other, and has an id.
func (g *Gate) restricts(n *known, ln *lane, c *Call) error {
	d := n.admitsUse(ln, orgs.WriteOperation, c)
	if d == nil {
		return nil
	}
	return g.restricted(n, ln, c, d)
}

// restricted is the rest of restricts: what it has on the stack would be on that of every call.
func (g *Gate) restricted(n *known, ln *lane, c *Call, d *Denied) error {
	d.DecisionID = g.m.Store().NewID("dec")
	d.of(n.by(c))
	ask := n.request(ln, c, nil)
	g.tellRefusal(n, &ask, &rbac.Decision{ID: d.DecisionID, Code: d.Code,
		Reasons: []rbac.Reason{{Kind: string(rbac.PoolKey), ID: n.caller.Key.ID, Text: d.Message}}}, c, d)
	return d
}

// refuse turns a decision into a Denied and, where an approval would open the call, asks for it.
func (g *Gate) refuse(ctx context.Context, n *known, ask *rbac.Request, dec *rbac.Decision, c *Call) error {
	d := &Denied{Code: dec.Code, DecisionID: dec.ID, Remedy: dec.Remedy, Missing: dec.Missing,
		Message: dec.Sentence(), cause: &rbac.Denied{Code: dec.Code, Action: ask.Action, Resource: ask.Resource, TeamID: ask.TeamID, Decision: *dec}}
	d.of(n.by(c))
	if dec.Code != "approval_required" || ask.Person == "" {
		return d
	}
	a, _, err := g.m.RequestApproval(audit.WithActor(ctx, n.by(c).Actor), *ask, c.ApprovalReason)
	var denied *rbac.Denied
	var field *store.FieldError
	switch {
	case err == nil:
		d.ApprovalID = a.ID
	case errors.As(err, &denied) && denied.Code == "approval_denied":
		d.Code, d.Remedy, d.Message = denied.Code, denied.Decision.Remedy, "an approver has refused this"
	case errors.As(err, &denied), errors.As(err, &field) && field.Field == "resource":
		d.Remedy = []string{"try again"} // the rules have changed meanwhile
	case errors.As(err, &field):
		d.ReasonRequired = true
		d.Remedy = append(d.Remedy, "send a reason for the approval")
	default:
		return err
	}
	return d
}
