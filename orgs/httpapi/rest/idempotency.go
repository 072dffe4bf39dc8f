package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// keptHeaders are those of an answer that are kept with it.
var keptHeaders = []string{"Content-Type", "Location", "ETag"}

// shownOnce is a secret in the answer that made it. In what is kept of that answer it is null.
type shownOnce struct{ text string }

// once is nil where there is no secret.
func once(secret string) *shownOnce {
	if secret == "" {
		return nil
	}
	return &shownOnce{secret}
}

// Schema describes such secrets to clients.
func (shownOnce) Schema(huma.Registry) *huma.Schema {
	s := orNull(huma.TypeString)
	s.Description = "a secret, in the answer that made it alone; null where that answer is repeated for its Idempotency-Key"
	return s
}

// MarshalJSON returns the secret, or null for one that is not told again.
func (s shownOnce) MarshalJSON() ([]byte, error) {
	if s.text == "" {
		return []byte("null"), nil
	}
	return json.Marshal(s.text)
}

// repeatable lets a POST be sent again: with a key it is done once, and what was answered is answered again.
func (a *api) repeatable(op *huma.Operation) {
	if op.Method != http.MethodPost {
		return
	}
	describeRepeats(op)
	op.Middlewares = append(op.Middlewares, a.repeat)
}

// describeRepeats says of an operation that it may be sent again.
func describeRepeats(op *huma.Operation) {
	most := orgs.MaxIdempotencyKey
	op.Parameters = append(op.Parameters, &huma.Param{Name: httpapi.IdempotencyHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &most},
		Description: "for 24 hours the same request with this key is answered as the first that succeeded, and nothing is done again"})
	op.Responses["422"] = &huma.Response{Ref: "#/components/responses/" + failureName(http.StatusUnprocessableEntity)}
}

// attemptOf is the attempt that a request is, nil where it is not to be repeated. A rehearsal leaves nothing to be repeated.
func attemptOf(op *huma.Operation, x *exchange) (*orgs.Attempt, error) {
	if x.err != nil || x.URL.Query().Get(dryRunParam) == "true" {
		return nil, nil
	}
	return httpapi.AttemptOf(x.Request, op.Method+" "+op.Path, x.body)
}

// repeat answers what was answered, or has the request done and its answer kept in the same unit.
func (a *api) repeat(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	x := request(ctx.Context())
	at, err := attemptOf(ctx.Operation(), x)
	if at == nil && err == nil {
		next(ctx)
		return
	}
	var out httpapi.Recorder
	var kept orgs.Answer
	var later bool
	run := func(unit context.Context) error {
		out, x.kept = httpapi.Recorder{}, nil // the unit may be run again
		var failure error
		next(huma.WithContext(humago.NewContext(ctx.Operation(), r, &out), context.WithValue(unit, failureKey{}, &failure)))
		if out.Status >= 400 {
			return errors.Join(errAnswered, failure)
		}
		return nil
	}
	keep := func(unit context.Context, tx *store.Tx) (orgs.Answer, error) { return x.answer(unit, &out, tx), nil }
	switch {
	case err != nil:
	case strings.HasSuffix(ctx.Operation().Path, "/bulk"): // whose rows are units of their own
		if kept, later, err = a.Answered(ctx.Context(), *at); err == nil && !later {
			x.attempt = at
			if err = run(ctx.Context()); err == nil && !x.unsettled {
				kept, later, err = a.Once(ctx.Context(), *at, keep)
			}
		}
	default:
		kept, later, err = a.Once(ctx.Context(), *at, func(unit context.Context, tx *store.Tx) (orgs.Answer, error) {
			if err := run(unit); err != nil {
				return orgs.Answer{}, err
			}
			return keep(unit, tx)
		})
	}
	if err != nil {
		failed(ctx.Context(), err)
	}
	switch {
	case errors.Is(err, errAnswered), err == nil && !later:
		out.CopyTo(w)
	case err != nil:
		a.refuse(ctx.Context(), w, r, err)
	default:
		httpapi.Replay(w, kept)
	}
}

// refuse writes an error, with its own status.
func (a *api) refuse(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	if out, ok := ctx.Value(answeringKey{}).(*answering); ok {
		out.exact = true
	}
	httpapi.WriteError(w, r, err, a.edge)
}

// answer is what is kept of an answer: without what is shown once.
func (x *exchange) answer(ctx context.Context, out *httpapi.Recorder, tx *store.Tx) orgs.Answer {
	kept := orgs.Answer{Status: max(out.Status, http.StatusOK), Header: map[string]string{}, Body: bytes.Clone(out.Body.Bytes())}
	if x.kept != nil {
		kept.Body = x.kept
	}
	for _, name := range keptHeaders {
		if value := out.Header().Get(name); value != "" {
			kept.Header[name] = value
		}
	}
	if w, ok := ctx.Value(answeringKey{}).(*answering); ok && w.receipt != nil {
		if rev := w.receipt.Within(tx); len(rev) > 0 {
			kept.Header[revisionHeader] = rev.String()
		}
	}
	return kept
}

// remember notes what is to be kept of a body that holds what is shown once.
func (a *api) remember(x *exchange, body any) error {
	var b bytes.Buffer
	hidden, err := a.withoutSecrets(&b, body)
	if hidden {
		x.kept = b.Bytes()
	}
	return err
}

// withoutSecrets writes a body as it is kept, if it is otherwise than it is shown.
func (a *api) withoutSecrets(b *bytes.Buffer, body any) (hidden bool, err error) {
	var found []*shownOnce
	secretsIn(reflect.ValueOf(body), &found)
	if len(found) == 0 {
		return false, nil
	}
	texts := make([]string, len(found))
	for i, s := range found {
		texts[i], s.text = s.text, ""
	}
	err = a.huma.Marshal(b, "application/json", body)
	for i, s := range found {
		s.text = texts[i]
	}
	return true, err
}

var shownOnceType = reflect.TypeFor[*shownOnce]()

// secretsIn finds what is shown once, in views and in lists of views.
func secretsIn(v reflect.Value, found *[]*shownOnce) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		switch {
		case v.IsNil():
		case v.Type() == shownOnceType:
			*found = append(*found, v.Interface().(*shownOnce))
		default:
			secretsIn(v.Elem(), found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				secretsIn(v.Field(i), found)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			secretsIn(v.Index(i), found)
		}
	}
}
