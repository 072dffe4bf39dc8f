package rest

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// editing says how objects of one kind are changed by PATCH. B is the body that makes a new one.
type editing[Rec, B any] struct {
	get     func(ctx context.Context) (Rec, error)
	version func(Rec) int64
	view    func(context.Context, Rec) (any, error) // what a client has read, and may send back
	body    func(Rec) B                             // as it could be made anew
	put     func(ctx context.Context, rec Rec, b B, has fields) (Rec, error)
}

// fields are the names of the fields that a patch holds.
type fields map[string]json.RawMessage

// given is a pointer to the value if the patch holds the field, for inputs in which nil leaves as it is.
func given[T any](has fields, name string, value T) *T {
	if _, ok := has[name]; !ok {
		return nil
	}
	return &value
}

// patch applies the request's merge patch (RFC 7396) to an object: it is read, merged, checked as a new one
// would be, and changed only if nobody has changed it meanwhile; otherwise all of it happens again, unless the
// request itself was for one version.
func patch[Rec, B any](ctx context.Context, a *api, e editing[Rec, B]) (rec Rec, err error) {
	for try := 1; ; try++ {
		if rec, err = e.get(ctx); err != nil {
			return rec, err
		}
		changes, err := read[object](ctx, a, true)
		if err != nil {
			return rec, err
		}
		named, err := matches(ctx, e.version(rec))
		if err != nil {
			return rec, err
		}
		view, err := e.view(ctx, rec)
		if err != nil {
			return rec, err
		}
		b, has, err := merged(a, view, e.body(rec), json.RawMessage(changes))
		if err != nil {
			return rec, err
		}
		out, err := e.put(rbac.WithPrecondition(ctx, e.version(rec)), rec, b, has)
		var conflict *store.ConflictError
		if errors.As(err, &conflict) && conflict.Code == "version_mismatch" && !named && try < 8 {
			continue
		}
		return out, err
	}
}

// merged applies changes to a body. Whatever is sent back as it was read is no change, also what only the
// server writes.
func merged[B any](a *api, view any, body B, changes json.RawMessage) (b B, has fields, err error) {
	if err := json.Unmarshal(changes, &has); err != nil {
		return b, nil, err
	}
	was, err := objectOf(view)
	if err != nil {
		return b, nil, err
	}
	editable := names(reflect.TypeFor[B]())
	for name, value := range has {
		now, known := was[name]
		switch {
		case known && equal(now, value):
			delete(has, name)
		case known && !editable[name]:
			return b, nil, faulty("body."+name, "read_only", "is written by the server alone")
		}
	}
	present, err := json.Marshal(body)
	if err != nil {
		return b, nil, err
	}
	changes, err = json.Marshal(has)
	if err != nil {
		return b, nil, err
	}
	whole, err := httpapi.MergePatch(present, changes)
	if err != nil {
		return b, nil, err
	}
	b, err = decode[B](a, whole, false)
	return b, has, err
}

func objectOf(v any) (o fields, err error) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	return o, err
}

// names are the fields of a body that can be changed by it.
func names(t reflect.Type) map[string]bool {
	known := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		if f.Tag.Get("readOnly") == "true" {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
	}
	return known
}

// equal compares JSON by what it says.
func equal(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
