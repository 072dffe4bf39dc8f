package gate

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
)

// admitTold is Admit that OpenTelemetry hears of: see the package doc.
func (g *Gate) admitTold(ctx context.Context, c *Call, a *Admission) (*Admission, error) {
	ctx, p := g.work.Begin(ctx)
	out, err := g.answer(ctx, c, a)
	var denied *Denied
	switch {
	case err == nil:
		if p.Recording() {
			k := &out.Caller.Key
			p.Note(attribute.String("gen_ai.request.model", out.Model.ID), attribute.String("orgkit.decision_id", out.DecisionID()),
				attribute.String("orgkit.organization_id", k.OrgID), attribute.String("orgkit.team_id", k.TeamID), attribute.String("orgkit.key_id", k.ID))
		}
		p.End(nil, codeKey.String("admitted"))
	case errors.As(err, &denied):
		p.Note(attribute.String("orgkit.decision_id", denied.DecisionID))
		p.End(nil, codeKey.String(denied.Code))
	default:
		p.End(err)
	}
	return out, err
}

const codeKey = attribute.Key("orgkit.code")
