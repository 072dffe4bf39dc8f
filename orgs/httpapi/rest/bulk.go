package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
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
	if len(rows) > 0 {
		done, err := do(ctx, rows, body.Atomic)
		if err != nil {
			return nil, err
		}
		for j, r := range done {
			if r.Err != nil {
				out.Results[at[j]] = a.failedRow(ctx, r.Err)
			} else {
				out.Results[at[j]] = rowView{http.StatusCreated, render(r.Value)}
			}
		}
	}
	return &answer[rowsView]{Status: http.StatusMultiStatus, Body: out}, nil
}

func (a *api) failedRow(ctx context.Context, err error) rowView {
	p := a.problem(ctx, err)
	return rowView{p.Status, struct{ httpapi.Problem }{p.Problem}}
}
