package rbac

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// tell tells OpenTelemetry of a decision: see the package doc.
func (g *Guard) tell(ctx context.Context, r *Request, d *Decision) {
	code := d.Code
	if d.Allowed {
		code = "allowed"
	}
	if g.decisions != nil {
		g.decisions.Add(ctx, 1, metric.WithAttributes(attribute.String("orgkit.code", code)))
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent("orgkit.decision", trace.WithAttributes(attribute.String("orgkit.decision_id", d.ID), attribute.String("orgkit.action", r.Action),
			attribute.String("orgkit.code", code), attribute.String("orgkit.organization_id", r.OrgID), attribute.String("orgkit.team_id", r.TeamID)))
	}
}
