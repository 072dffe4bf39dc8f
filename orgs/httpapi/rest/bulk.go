package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// many is the body of a call for many.
type many struct {
	Items  []object `json:"items" minItems:"1" maxItems:"1000"`
	Atomic bool     `json:"atomic,omitempty"` // all or none
}

type rowView struct {
	Status int `json:"status"`
	Body   any `json:"body"`
}

type rowsView struct {
	Results []rowView `json:"results"`
}

// addBulk registers a call for many, which answers 207.
func addBulk(a *api, path, summary string, fn func(ctx context.Context, _ *none) (*answer[rowsView], error)) {
	register(a, describe[many](a, http.MethodPost, path, summary, http.StatusMultiStatus), fn)
}

// bulk reads the rows of a request, has them done and answers with a result for each. A row that cannot be
// read fails alone, unless all belong together.
func bulk[B, In, Out, View any](ctx context.Context, a *api, input func(B) In, do func(ctx context.Context, rows []In, atomic bool) ([]orgs.Row[Out], error), render func(Out) View) (*answer[rowsView], error) {
	body, err := read[many](ctx, a, false)
	if err != nil {
		return nil, err
	}
	out := rowsView{Results: make([]rowView, len(body.Items))}
	var rows []In
	var at []int
	for i, raw := range body.Items {
		b, err := decode[B](a, json.RawMessage(raw), false)
		if err == nil {
			rows, at = append(rows, input(b)), append(at, i)
			continue
		}
		if body.Atomic {
			return nil, &orgs.RowError{Row: i, Err: err}
		}
		out.Results[i] = a.failedRow(ctx, err)
	}
	run := func(ctx context.Context, rows []In) ([]rowView, error) {
		done, err := do(ctx, rows, body.Atomic)
		if err != nil {
			return nil, err
		}
		views := make([]rowView, len(done))
		for j, r := range done {
			if r.Err != nil {
				failed(ctx, r.Err)
				views[j] = a.failedRow(ctx, r.Err)
			} else {
				views[j] = rowView{http.StatusCreated, render(r.Value)}
			}
		}
		return views, nil
	}
	if request(ctx).attempt != nil {
		run = repeatedRows(a, *request(ctx).attempt, body.Atomic, run)
	}
	if len(rows) > 0 {
		views, err := run(ctx, rows)
		if err != nil {
			return nil, err
		}
		for j, v := range views {
			out.Results[at[j]] = v
		}
	}
	return &answer[rowsView]{Status: http.StatusMultiStatus, Body: out}, nil
}

// repeatedRows does each row, or all that belong together, in a unit in which its answer is kept: a request that was cut off
// goes on where it was.
func repeatedRows[In any](a *api, at orgs.Attempt, atomic bool, run func(ctx context.Context, rows []In) ([]rowView, error)) func(ctx context.Context, rows []In) ([]rowView, error) {
	part := func(ctx context.Context, name string, rows []In) (views []rowView, err error) {
		at := at
		at.Part = name
		kept, later, err := a.Once(ctx, at, func(ctx context.Context, _ *store.Tx) (orgs.Answer, error) {
			var failure error
			if views, err = run(context.WithValue(ctx, failureKey{}, &failure), rows); err == nil {
				err = failure
			}
			if err != nil {
				return orgs.Answer{}, err
			}
			return a.keptRows(views)
		})
		if err == nil && later {
			views, err = rowsOf(kept)
		}
		return views, err
	}
	if atomic {
		return func(ctx context.Context, rows []In) ([]rowView, error) { return part(ctx, "all", rows) }
	}
	return func(ctx context.Context, rows []In) ([]rowView, error) {
		views := make([]rowView, len(rows))
		for i := range rows {
			name := strconv.Itoa(i)
			done, err := part(ctx, name, rows[i:i+1])
			if err != nil {
				done, err = a.keptFailure(ctx, at, name, err)
			}
			if err != nil {
				return nil, err
			}
			views[i] = done[0]
		}
		return views, ctx.Err()
	}
}

// keptFailure keeps how a row has failed, unless that may pass; another attempt may have been faster.
func (a *api) keptFailure(ctx context.Context, at orgs.Attempt, name string, failure error) (views []rowView, err error) {
	at.Part = name
	views = []rowView{a.failedRow(ctx, failure)}
	if views[0].Status >= 500 || ctx.Err() != nil {
		request(ctx).unsettled = true
		return views, ctx.Err()
	}
	kept, later, err := a.Once(ctx, at, func(context.Context, *store.Tx) (orgs.Answer, error) { return a.keptRows(views) })
	if err == nil && later {
		views, err = rowsOf(kept)
	}
	return views, err
}

// rowsOf are rows that were kept, letter by letter.
func rowsOf(kept orgs.Answer) ([]rowView, error) {
	var rows []struct {
		Status int
		Body   json.RawMessage
	}
	err := json.Unmarshal(kept.Body, &rows)
	views := make([]rowView, len(rows))
	for i, r := range rows {
		views[i] = rowView{r.Status, r.Body}
	}
	return views, err
}

// keptRows are rows as they are kept: without what is shown once.
func (a *api) keptRows(views []rowView) (orgs.Answer, error) {
	var b bytes.Buffer
	hidden, err := a.withoutSecrets(&b, views)
	if err == nil && !hidden {
		err = a.huma.Marshal(&b, "application/json", views)
	}
	return orgs.Answer{Status: http.StatusMultiStatus, Body: b.Bytes()}, err
}

func (a *api) failedRow(ctx context.Context, err error) rowView {
	p := a.problem(ctx, err)
	return rowView{p.Status, struct{ httpapi.Problem }{p.Problem}}
}
