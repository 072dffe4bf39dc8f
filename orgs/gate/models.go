package gate

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
)

// Models are the models of the catalogue that the key of the call may use now, in the order of the catalogue. Each of them
// is decided on as [Gate.Admit] does, by its id, as if the call cost nothing: what is not listed is refused whatever it
// costs. Features, rates and budgets do not count, nothing is taken, and nothing is logged. Of the call its Model and
// what the model would be asked do not count. A key that may not be used is a *[Denied].
func (g *Gate) Models(ctx context.Context, c Call) ([]billing.Model, error) {
	at, _ := g.m.Store().Clock()
	n, err := g.known(ctx, &c, at)
	if err == nil {
		err = n.admits(&c)
	}
	if err != nil {
		return nil, g.unasked(n.by(&c), err)
	}
	if c.Now.IsZero() {
		c.Now = at
	}
	if c.Action == "" {
		c.Action = useModels
	}
	c.Features, c.Objects = nil, nil
	var free decimal.Decimal
	list := []billing.Model{}
	for _, m := range g.m.Catalogue().Models() {
		ln, err := n.lane(g, m.ID)
		if err != nil {
			return nil, err
		}
		if n.refuses(ln.model.ID) != nil {
			continue
		}
		may, err := g.permits(ctx, n, ln, &c)
		if err == nil && !may {
			_, d, err := g.decide(ctx, n, ln, &c, &free)
			if err != nil {
				return nil, g.unasked(n.by(&c), err)
			}
			may = d.Allowed
		}
		if err != nil {
			return nil, g.unasked(n.by(&c), err)
		}
		if may {
			list = append(list, *ln.model)
		}
	}
	return list, nil
}
