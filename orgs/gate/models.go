package gate

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
)

// Models are the models of the catalogue that the key of the call may use now, in the order of the catalogue. Each of them
// is decided on as [Gate.Admit] does, by its id, as if the call cost nothing, and takes models.read (models.list): what is not listed is refused whatever it
// costs. Features, rates and budgets do not count, nothing is taken, and nothing is logged. Of the call its Model and
// what the model would be asked do not count. A key that may not be used is a *[Denied].
func (g *Gate) Models(ctx context.Context, c Call) ([]billing.Model, error) {
	at, _ := g.m.Store().Clock()
	n, err := g.known(ctx, &c, at)
	if err == nil {
		err = n.admits(&c)
	}
	if err == nil {
		if d := n.admitsUse(nil, orgs.ReadOperation, &c); d != nil {
			err = d
		}
	}
	if err != nil {
		return nil, g.unasked(n, &c, err)
	}
	if c.Now.IsZero() {
		c.Now = at
	}
	if c.Action == "" {
		c.Action = useModels
	}
	c.Features, c.Objects = nil, nil
	list := []billing.Model{}
	for _, m := range g.m.Catalogue().Models() {
		ln, err := n.lane(g, m.ID)
		if err != nil {
			return nil, err
		}
		if !n.admitsModel(ln) || n.refuses(ln.model.ID) != nil {
			continue
		}
		may, err := g.mayOf(ctx, n, ln, &c, "models.read")
		if err == nil && may {
			may, err = g.mayOf(ctx, n, ln, &c, c.Action)
		}
		if err != nil {
			return nil, g.unasked(n, &c, err)
		}
		if may {
			list = append(list, *ln.model)
		}
	}
	return list, nil
}

// mayOf decides on an action with the model, as if it cost nothing.
func (g *Gate) mayOf(ctx context.Context, n *known, ln *lane, c *Call, action string) (bool, error) {
	of := *c
	of.Action = action
	may, err := g.permits(ctx, n, ln, &of)
	if may || err != nil {
		return may, err
	}
	var free decimal.Decimal
	_, d, err := g.decide(ctx, n, ln, &of, &free)
	return d.Allowed, err
}
