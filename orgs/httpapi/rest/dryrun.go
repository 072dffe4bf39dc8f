package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
)

// differenceView is what a change would do to who may do what, or has done.
type differenceView struct {
	DryRun   bool         `json:"dry_run"`
	Widens   bool         `json:"widens"` // somebody may do what they might not before
	Changes  []changeView `json:"changes"`
	Opens    []string     `json:"opens"`    // what else is open now: status, ip_allowlist, require_2fa
	Unlooked int          `json:"unlooked"` // organizations below that were too many to be looked at
}

type changeView struct {
	OrganizationID string `json:"organization_id"`

	Subjects []string   `json:"subjects"` // users and API keys
	Contexts []string   `json:"contexts"` // ids of the organization, of teams and projects
	Action   string     `json:"action"`
	Resource string     `json:"resource"`
	Before   rbac.Terms `json:"before"`
	After    rbac.Terms `json:"after"`
	Widens   bool       `json:"widens"`
}

func renderDifference(d rbac.Difference) differenceView {
	v := differenceView{DryRun: true, Widens: d.Widens, Changes: make([]changeView, len(d.Changes)), Opens: filled(d.Opens), Unlooked: d.Unlooked}
	for i, c := range d.Changes {
		contexts := slices.Clone(c.Contexts)
		if i := slices.Index(contexts, ""); i >= 0 {
			contexts[i] = c.OrgID
		}
		v.Changes[i] = changeView{c.OrgID, slices.Sorted(slices.Values(c.Subjects)), contexts, c.Action, c.Resource, c.Before, c.After, c.Widens}
	}
	return v
}

// The parameters of a change that is looked at first.
const (
	dryRunParam    = "dry_run"
	narrowingParam = "narrowing"
)

// notRehearsed are the ends of paths of changes that change nobody's rights, whose rows fail each by itself, or
// of what is deleted and shows nobody.
var notRehearsed = []string{"/approvals", "/audit", "/billing", "/budget/raises", "/bulk", "/restore", "/webhooks", "/{webhook}", "/rotate", "/test", "/retry", "/finalize", "/void", "/mark-paid"}

// rehearsable lets a change in an organization or team be looked at before it is made: with dry_run it is
// answered by the difference and taken back, with narrowing it is made only if it grants nothing new.
func (a *api) rehearsable(op *huma.Operation) {
	inPlace := strings.Contains(op.Path, "{org}") || strings.Contains(op.Path, "{team}")
	if op.Method == http.MethodGet || !inPlace || slices.ContainsFunc(notRehearsed, func(end string) bool { return strings.HasSuffix(op.Path, end) }) {
		return
	}
	for _, p := range [][2]string{
		{dryRunParam, "answer what the change would do to who may do what, and take it back"},
		{narrowingParam, "make the change only if it grants nothing new"},
	} {
		op.Parameters = append(op.Parameters, &huma.Param{Name: p[0], In: "query", Schema: &huma.Schema{Type: huma.TypeBoolean}, Description: p[1]})
	}
	op.Middlewares = append(op.Middlewares, a.rehearse)
}

// errAnswered ends the change of a request that was answered with a failure.
var errAnswered = errors.New("rest: the request has failed")

type failureKey struct{}

// failed notes with what an operation has failed, for the unit around it.
func failed(ctx context.Context, err error) {
	if at, ok := ctx.Value(failureKey{}).(*error); ok {
		*at = err
	}
}

func (a *api) rehearse(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	query := r.URL.Query()
	dry, err := boolean(query, dryRunParam)
	narrow, err2 := boolean(query, narrowingParam)
	if err = errors.Join(err, err2); err == nil && !dry && !narrow {
		if query.Has(dryRunParam) || query.Has(narrowingParam) {
			r = without(r, dryRunParam, narrowingParam)
			ctx = huma.WithContext(humago.NewContext(ctx.Operation(), r, w), ctx.Context())
		}
		next(ctx)
		return
	}
	var d rbac.Difference
	var inner httpapi.Recorder
	if err == nil {
		d, err = a.rehearsed(ctx, without(r, dryRunParam, narrowingParam), dry, &inner, next)
	}
	switch {
	case errors.Is(err, errAnswered), err == nil && !dry:
		inner.CopyTo(w)
	case err != nil:
		httpapi.WriteError(w, r, err, a.edge)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(renderDifference(d))
	}
}

// rehearsed makes the change of the request, and looks at it.
func (a *api) rehearsed(ctx huma.Context, r *http.Request, dry bool, out *httpapi.Recorder, next func(huma.Context)) (rbac.Difference, error) {
	at, err := a.place(ctx.Context())
	if err != nil {
		return rbac.Difference{}, err
	}
	q := rbac.WhatIfQuery{OrgID: at.OrgID}
	for _, m := range a.Catalogue().Models() {
		for _, name := range append([]string{m.ID}, m.Aliases...) {
			q.Resources = append(q.Resources, rbac.ModelPattern(name))
		}
	}
	run := a.Narrowing
	if dry {
		run = a.WhatIf
	}
	return run(ctx.Context(), q, func(unit context.Context) error {
		*out = httpapi.Recorder{} // the unit may be run again
		var failure error
		next(huma.WithContext(humago.NewContext(ctx.Operation(), r, out), context.WithValue(unit, failureKey{}, &failure)))
		if out.Status >= 400 {
			return errors.Join(errAnswered, failure)
		}
		return nil
	})
}

// boolean reads a parameter, which is there once or not at all.
func boolean(query url.Values, name string) (bool, error) {
	values := query[name]
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "false":
		return false, nil
	case len(values) == 1 && values[0] == "true":
		return true, nil
	}
	return false, faulty("query."+name, "enum", "must be true or false, once")
}

// without is the request without some of its query.
func without(r *http.Request, names ...string) *http.Request {
	query, u := r.URL.Query(), *r.URL
	for _, name := range names {
		query.Del(name)
	}
	u.RawQuery = query.Encode()
	out := r.WithContext(r.Context())
	out.URL = &u
	return out
}
