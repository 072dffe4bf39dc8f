package store

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry is where the rooms over a store tell OpenTelemetry what they do. Each half may be nil, and tells nobody then.
type Telemetry struct {
	Tracers trace.TracerProvider
	Meters  metric.MeterProvider
}

// Telemetry is that of the [Options].
func (s *Store) Telemetry() Telemetry { return s.telemetry }

// scope names the library, as instruments and spans carry it.
const scope = "github.com/orgkit/orgkit"

// Meter makes instruments. Where nobody is told it is nil.
func (t Telemetry) Meter() metric.Meter {
	if t.Meters == nil {
		return nil
	}
	return t.Meters.Meter(scope)
}

// Work is one kind of work that is told of: each piece of it is a span, and its seconds count in a histogram. A nil Work
// tells nobody, and costs next to nothing.
type Work struct {
	name    string
	tracer  trace.Tracer
	seconds metric.Float64Histogram
}

// Work returns the work of a name, as of "orgkit.billing.flush": that is the name of its spans, and the histogram has
// ".duration" behind it. It is nil where nobody is told.
func (t Telemetry) Work(name, description string) *Work {
	if t.Tracers == nil && t.Meters == nil {
		return nil
	}
	w := &Work{name: name}
	if t.Tracers != nil {
		w.tracer = t.Tracers.Tracer(scope)
	}
	if m := t.Meter(); m != nil {
		// An instrument is made in any case: the error says that its name is wrong, which the tests would show.
		w.seconds, _ = m.Float64Histogram(name+".duration", metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(seconds...))
	}
	return w
}

// seconds are the bounds of the buckets: what is answered from memory takes a microsecond, what waits for a database some
// thousand of them.
var seconds = []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 1e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60}

// Piece is one piece of work, from Begin to End.
type Piece struct {
	work  *Work
	ctx   context.Context
	span  trace.Span
	began time.Time
}

// Begin begins a piece. The context carries its span.
func (w *Work) Begin(ctx context.Context) (context.Context, Piece) {
	if w == nil {
		return ctx, Piece{}
	}
	p := Piece{work: w, began: time.Now()}
	if w.tracer != nil {
		ctx, p.span = w.tracer.Start(ctx, w.name, trace.WithTimestamp(p.began))
	}
	p.ctx = ctx
	return ctx, p
}

// Recording says whether the span is one that is kept, so that what only a span tells need not be made for nothing.
func (p Piece) Recording() bool { return p.span != nil && p.span.IsRecording() }

// Note tells the span something, of which there may be any number of values. No secret and nothing personal belongs there.
func (p Piece) Note(about ...attribute.KeyValue) {
	if p.Recording() {
		p.span.SetAttributes(about...)
	}
}

// End ends the piece. What it is told about it stands in the span and in the histogram: so it has few values. An error is
// told by what kind it is of.
func (p Piece) End(err error, about ...attribute.KeyValue) {
	if p.work == nil {
		return
	}
	if err != nil {
		about = append(about, attribute.String("error.type", errorType(err)))
	}
	if p.Recording() {
		p.span.SetAttributes(about...)
		if err != nil {
			p.span.SetStatus(codes.Error, err.Error())
		}
	}
	if p.span != nil {
		p.span.End()
	}
	if p.work.seconds != nil {
		p.work.seconds.Record(p.ctx, time.Since(p.began).Seconds(), metric.WithAttributes(about...))
	}
}

// errorType is the kind of an error by the sentinels of this package, in the words that OpenTelemetry has for the rest.
func errorType(err error) string {
	for _, k := range []struct {
		is   error
		name string
	}{{context.Canceled, "canceled"}, {context.DeadlineExceeded, "deadline_exceeded"}, {ErrClosed, "closed"}, {ErrConflict, "conflict"},
		{ErrNotFound, "not_found"}, {ErrTransient, "transient"}, {ErrUnreachable, "unreachable"}, {ErrInvalid, "invalid"}} {
		if errors.Is(err, k.is) {
			return k.name
		}
	}
	return "_OTHER"
}
