package opengatellm

import (
	"context"
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// routerNoun is of what models are numbered. They are no records: what is numbered is their name in the catalogue.
const (
	routerNoun   = "router"
	routerPrefix = "router:"
)

// routerView is a model of the catalogue, as limits name it.
type routerView struct {
	Object  string   `json:"object"`
	ID      int64    `json:"id"`
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
}

// routers lists the models. What is served is the host's to say, and nothing here changes it.
func (a *api) routers(r *http.Request) (answer, error) {
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	p := in.paging("id", "name")
	if err := in.err(); err != nil {
		return answer{}, err
	}
	models := append([]billing.Model(nil), a.Catalogue().Models()...)
	n, err := a.routerNumbers(r.Context())
	if err != nil {
		return answer{}, err
	}
	return listed(a, p, models, func(m billing.Model) entry { return entry{id: n[routerPrefix+m.ID], name: m.ID} },
		func(m billing.Model) (any, error) { return renderRouter(m, n[routerPrefix+m.ID]), nil })
}

func (a *api) router(r *http.Request) (answer, error) {
	n, err := a.pathID(r, "router")
	if err != nil {
		return answer{}, err
	}
	id, err := a.modelNumbered(r.Context(), n)
	if err != nil {
		return answer{}, a.orMissing(err, "Model router", n)
	}
	m, known := a.Catalogue().Resolve(id)
	if !known {
		return answer{}, a.missing("Model router", n)
	}
	return answer{http.StatusOK, renderRouter(m, n)}, nil
}

func renderRouter(m billing.Model, n int64) routerView {
	return routerView{"router", n, m.ID, append([]string{}, m.Aliases...)}
}

// routerNumbers are the numbers of all models, in the order of the catalogue.
func (a *api) routerNumbers(ctx context.Context) (map[string]int64, error) {
	var ids []string
	for _, m := range a.Catalogue().Models() {
		ids = append(ids, routerPrefix+m.ID)
	}
	return a.numbersOf(ctx, routerNoun, ids...)
}

// routerNumber is the number of a model, which may be served no more.
func (a *api) routerNumber(ctx context.Context, model string) (int64, error) {
	n, err := a.routerNumbers(ctx)
	if err != nil || n[routerPrefix+model] != 0 {
		return n[routerPrefix+model], err
	}
	return a.numberOf(ctx, routerNoun, routerPrefix+model)
}

// modelNumbered is the id of a model by its number.
func (a *api) modelNumbered(ctx context.Context, n int64) (id string, err error) {
	if _, err := a.routerNumbers(ctx); err != nil { // which it may get only now
		return "", err
	}
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err = orgs.Numbered(ctx, tx, routerNoun, n)
		return err
	})
	return strings.TrimPrefix(id, routerPrefix), err
}
