package opengatellm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// limitView is a limit of a role or project: of requests or tokens of the input, in a minute or a day; null is none.
type limitView struct {
	Router   *int64 `json:"router,omitempty"`
	RouterID *int64 `json:"router_id,omitempty"`
	Type     string `json:"type"`
	Value    *int64 `json:"value"`
}

// renderLimits shows limits; to who has them, those that let nothing through are as those that are not there.
func (a *api) renderLimits(ctx context.Context, limits []orgs.RoleLimit, own bool) ([]limitView, error) {
	views := []limitView{}
	for _, l := range limits {
		if own && l.Value != nil && *l.Value == 0 {
			continue
		}
		n, err := a.routerNumber(ctx, l.Model)
		if err != nil {
			return nil, err
		}
		v := limitView{Router: &n, Type: l.Type, Value: l.Value}
		if a.opt.Generation == GenerationC {
			v.Router, v.RouterID = nil, &n
		}
		views = append(views, v)
	}
	return views, nil
}

// unlimited are the limits of the platform: none, of every model and type.
func (a *api) unlimited(ctx context.Context) ([]limitView, error) {
	var limits []orgs.RoleLimit
	for _, m := range a.Catalogue().Models() {
		for _, t := range orgs.LimitTypes {
			limits = append(limits, orgs.RoleLimit{Model: m.ID, Type: t})
		}
	}
	return a.renderLimits(ctx, limits, false)
}

// limitForm is a limit as it was sent: the router by its number, or a model by its name.
type limitForm struct {
	number int64
	model  string
	typ    string
	value  *int64
}

// router is what the limit is of, as it was sent.
func (f limitForm) router() string {
	if f.model != "" {
		return f.model
	}
	return fmt.Sprint(f.number)
}

// maxLimits is how many a role or project has at most.
const maxLimits = 1000

// limits reads a list of limits; nil is none, or null.
func (f *form) limits(name string) *[]limitForm {
	if !f.has(name) {
		return nil
	}
	list := []limitForm{}
	wrong := func(i int, field, typ, msg string) {
		loc := []any{"body", name, i}
		if field != "" {
			loc = append(loc, field)
		}
		f.faults = append(f.faults, fault{Type: typ, Loc: loc, Msg: msg})
	}
	all := f.list(name)
	if len(all) > maxLimits {
		f.wrong("body", name, "too_long", fmt.Sprintf("List should have at most %d items", maxLimits), nil)
		return &list
	}
	for i, raw := range all {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil || fields == nil {
			wrong(i, "", "model_attributes_type", "Input should be a valid dictionary or object to extract fields from")
			continue
		}
		one := &form{fields: fields}
		one.alias("router", "router_id")
		one.alias("router", "model")
		l := one.limit()
		for _, fault := range one.faults {
			fault.Loc = append([]any{"body", name, i}, fault.Loc[1:]...)
			f.faults = append(f.faults, fault)
		}
		if len(one.faults) == 0 && slices.ContainsFunc(list, func(other limitForm) bool { return other.router() == l.router() && other.typ == l.typ }) {
			wrong(i, "", "value_error", fmt.Sprintf("Value error, Duplicate limit found: (%s, %s).", store.PlainText(l.router(), 100), l.typ))
		}
		list = append(list, l)
	}
	return &list
}

func (f *form) limit() (l limitForm) {
	f.required("router")
	f.required("type")
	if raw := f.fields["router"]; json.Unmarshal(raw, &l.model) != nil || l.model == "" {
		if l.model = ""; raw != nil && (json.Unmarshal(raw, &l.number) != nil || !f.has("router")) {
			f.wrong("body", "router", "int_type", intType, nil)
		}
	}
	if raw := f.fields["type"]; raw != nil && (json.Unmarshal(raw, &l.typ) != nil || !slices.Contains(limitTypes, l.typ)) {
		f.wrong("body", "type", "enum", "Input should be "+either(limitTypes), nil)
	}
	l.value = f.integer("value", 0)
	return l
}

// limitTypes are those of limits, in the order in which that system names them.
var limitTypes = []string{"tpm", "tpd", "rpm", "rpd"}

// lookUp finds the models of limits.
func (a *api) lookUp(ctx context.Context, list *[]limitForm) (*[]orgs.RoleLimit, error) {
	if list == nil {
		return nil, nil
	}
	limits := []orgs.RoleLimit{}
	for i, l := range *list {
		model, err := a.routed(ctx, l)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(limits, func(other orgs.RoleLimit) bool { return other.Model == model && other.Type == l.typ }) { // by another name
			return nil, &invalid{[]fault{{Type: "value_error", Loc: []any{"body", "limits", i}, Msg: fmt.Sprintf("Value error, Duplicate limit found: (%s, %s).", store.PlainText(l.router(), 100), l.typ)}}}
		}
		limits = append(limits, orgs.RoleLimit{Model: model, Type: l.typ, Value: l.value})
	}
	return &limits, nil
}

// routed is the id of the model of a limit.
func (a *api) routed(ctx context.Context, l limitForm) (string, error) {
	missing := &refusal{http.StatusNotFound, a.text("Model router not found.", fmt.Sprintf("Model router %s not found.", store.PlainText(l.router(), 100)))}
	if l.model != "" {
		m, known := a.Catalogue().Resolve(l.model)
		if !known {
			return "", missing
		}
		return m.ID, nil
	}
	id, err := a.modelNumbered(ctx, l.number)
	if errors.Is(err, store.ErrNotFound) {
		return "", missing
	}
	return id, err
}
