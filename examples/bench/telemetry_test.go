package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/memory"
)

// TestOpenTelemetry has its SDK hear of admissions, decisions, flushes and jobs.
func TestOpenTelemetry(t *testing.T) {
	spans, reader := tracetest.NewSpanRecorder(), metric.NewManualReader()
	tracers := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	s := memory.New(&memory.Options{Store: store.Options{Telemetry: store.Telemetry{Tracers: tracers, Meters: meters}}})
	d, err := newDoor(t.Context(), s, billing.MeteringOptions{Off: true})
	require.NoError(t, err)
	secret, err := d.key(true)
	require.NoError(t, err)

	ctx, host := tracers.Tracer("host").Start(t.Context(), "POST /v1/chat/completions")
	adm, err := d.gate.Admit(ctx, gate.Call{Secret: secret, Model: gateModel, InputTokens: 1000, MaxOutputTokens: 300})
	require.NoError(t, err)
	require.NoError(t, adm.Settle(ctx, billing.Usage{InputTokens: 1000, OutputTokens: 300}))
	_, err = d.gate.Admit(ctx, gate.Call{Secret: secret, Model: gateModel, Action: "models.delete", MaxOutputTokens: 300})
	var denied *gate.Denied
	require.ErrorAs(t, err, &denied)
	_, err = d.gate.Admit(ctx, gate.Call{Secret: secret + "x", Model: gateModel})
	require.ErrorIs(t, err, gate.ErrDenied)
	host.End()
	require.NoError(t, d.m.Flush(t.Context()))

	w := jobs.NewWorker(s, nil)
	w.Handle("mend", func(ctx context.Context, _ jobs.Job) error {
		_, span := tracers.Tracer("host").Start(ctx, "mending")
		span.End()
		return errors.New("the tool is broken")
	}, nil)
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "mend", OrgID: d.org.ID})
		return err
	}))
	_, err = w.RunDue(t.Context())
	require.Error(t, err)

	admissions, attempts := []string{}, map[string]int{}
	var attempt trace.ReadOnlySpan
	for _, span := range spans.Ended() {
		attempts[span.Name()]++
		about := attribute.NewSet(span.Attributes()...)
		value := func(name string) string {
			v, _ := about.Value(attribute.Key(name))
			return v.AsString()
		}
		require.NotContains(t, fmt.Sprint(span.Attributes(), span.Events(), span.Status()), secret)
		switch span.Name() {
		case "orgkit.gate.admit":
			require.Equal(t, host.SpanContext().SpanID(), span.Parent().SpanID())
			admissions = append(admissions, value("orgkit.code"))
			switch value("orgkit.code") {
			case "admitted":
				require.Equal(t, adm.DecisionID(), value("orgkit.decision_id"))
				require.Equal(t, []string{gateModel, d.org.ID, d.team.ID, adm.Caller.Key.ID},
					[]string{value("gen_ai.request.model"), value("orgkit.organization_id"), value("orgkit.team_id"), value("orgkit.key_id")})
			case denied.Code:
				require.Equal(t, denied.DecisionID, value("orgkit.decision_id"))
				require.NotEmpty(t, span.Events())
				require.Equal(t, "orgkit.decision", span.Events()[0].Name)
			}
		case "orgkit.jobs.attempt":
			attempt = span
			require.Equal(t, codes.Error, span.Status().Code)
			require.Equal(t, "mend", value("orgkit.job.kind"))
		case "mending":
			require.Nil(t, attempt, "it ends first")
		}
	}
	require.Equal(t, []string{"admitted", denied.Code, "invalid_api_key"}, admissions)
	require.Equal(t, 1, attempts["orgkit.jobs.attempt"])
	require.NotZero(t, attempts["orgkit.billing.flush"])
	require.Equal(t, 1, attempts["mending"])

	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	counts := map[string]uint64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					counts[m.Name+" "+p.Attributes.Encoded(attribute.DefaultEncoder())] += p.Count
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					counts[m.Name+" "+p.Attributes.Encoded(attribute.DefaultEncoder())] += uint64(p.Value)
				}
			}
		}
	}
	for name, n := range map[string]uint64{
		"orgkit.gate.admit.duration orgkit.code=admitted": 1, "orgkit.gate.admit.duration orgkit.code=" + denied.Code: 1, "orgkit.gate.admit.duration orgkit.code=invalid_api_key": 1,
		"orgkit.jobs.attempt.duration error.type=_OTHER,orgkit.job.kind=mend": 1,
	} {
		require.Equal(t, n, counts[name], "%s: %v", name, counts)
	}
	require.NotZero(t, counts["orgkit.billing.flush.duration "], "%v", counts)
	require.NotZero(t, counts["orgkit.rbac.decisions orgkit.code=allowed"], "%v", counts)
	require.NotZero(t, counts["orgkit.rbac.decisions orgkit.code="+denied.Code], "%v", counts)
}
